"""Plan files: the documented example, round trips, and errors that name the place."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.plan import (
    ConstantRule,
    ExpressionRule,
    KeySpec,
    MaskRule,
    OnTargetChange,
    Operation,
    Plan,
    ReviewState,
    ValueMapRule,
    Write,
    dump_plan,
    objects_named,
    parse_plan,
    plan_document,
    plan_from_document,
)
from core.domain.soql import quoted
from core.errors import UserError

EXAMPLE = """
orgbridge: 1
name: sales-core
source: legacy              # registered org names
target: new
objects:
  - source: Account
    operation: upsert
    key: Legacy_Id__c
    where: "Type != 'Competitor'"
    fields:
      Name: Name
      Industry: {from: Industry, values: {Tech: Technology}, otherwise: keep}
      Description: {expression: "upper(Name) || ' (moved)'"}
      Rating: {constant: Warm, write: if_blank}
      Email__c: {from: Email__c, mask: email}
    skip: [Fax]
    lookups:
      ParentId: {missing: reject}
      OwnerId: {match: Username, map: {ann@old.example: ann@new.example}, missing: running_user}
  - source: Opportunity
  - as: contact2
    source: DataImport__c
    target: Contact
    key: {source: [Id], target: [Legacy_Id__c], value: "'EMEA-' || Id"}
    where: "LastName2__c != null"
    scope: {within: [AccountId]}
    rows: live
    fields: {LastName: LastName2__c, Region__c: {from: Account.Region__c}}
    lookups:
      WhatId: {through: [account, opportunity]}
      CampaignId: {object: Campaign, match: {source: Name, target: Name}, ambiguous: reject}
    blanks: keep
    on_target_change: report
    on_target_missing: report
    load: {api: auto, batch: 200, serial: false, order_by: AccountId, all_or_none: false,
           duplicate_rules: block, assignment_rules: off}
    after: [account]
    defer: [ReportsToId]
    finally: {Status: Active}
    tests: [{in: {LastName2__c: " Ng "}, out: {LastName: "Ng"}}]
"""


def minimal(**mapping: Any) -> dict[str, Any]:
    return {
        "orgbridge": 1,
        "name": "p",
        "source": "a",
        "target": "b",
        "objects": [{"source": "Account", **mapping}],
    }


def test_the_documented_example_reads_as_documented() -> None:
    plan = parse_plan(EXAMPLE)
    account, _, contact = plan.objects

    assert account.name == "account"
    assert account.target == "Account"
    assert account.key == KeySpec(source=("Legacy_Id__c",), target=("Legacy_Id__c",))
    industry = account.fields["Industry"]
    assert isinstance(industry, ValueMapRule)
    assert industry.values == {"Tech": "Technology"}
    assert isinstance(account.fields["Description"], ExpressionRule)
    assert account.fields["Rating"] == ConstantRule(constant="Warm", write=Write.IF_BLANK)
    assert isinstance(account.fields["Email__c"], MaskRule)
    assert account.lookups["OwnerId"].map == {"ann@old.example": "ann@new.example"}
    assert contact.key.value == "'EMEA-' || Id"
    assert contact.load.assignment_rules == "off"
    assert contact.final_fields == {"Status": ConstantRule(constant="Active")}
    assert contact.tests[0].given == {"LastName2__c": " Ng "}


def test_everything_but_source_has_a_default() -> None:
    (mapping,) = plan_from_document(minimal()).objects

    assert mapping.operation is Operation.UPSERT
    assert mapping.key.is_ledger
    assert mapping.auto_map
    assert mapping.on_target_change is OnTargetChange.REPORT
    assert mapping.lookup("ParentId").missing == "reject"


def test_scalars_keep_their_spelling() -> None:
    plan = parse_plan(
        "orgbridge: 1\nname: p\nsource: a\ntarget: b\nobjects:\n- source: A\n  fields:\n"
        "    Zip: {constant: 007}\n    Flag: {constant: no}\n    Day: {constant: 2024-01-31}\n"
        "    Rate: {constant: 1.50}\n    On: {constant: true}\n    Nil: {constant: null}\n"
        "    M: {from: M, values: {yes: Y, true: T, 1: one, null: n}}\n"
    )
    fields = plan.objects[0].fields

    values = {k: r.constant for k, r in fields.items() if isinstance(r, ConstantRule)}
    assert values == {
        "Zip": "007",
        "Flag": "no",
        "Day": "2024-01-31",
        "Rate": "1.50",
        "On": "true",
        "Nil": None,
    }
    mapped = fields["M"]
    assert isinstance(mapped, ValueMapRule)
    assert mapped.values == {"yes": "Y", "true": "T", "1": "one", "null": "n"}


def test_rejected_rules_stay_but_are_not_applied() -> None:
    plan = plan_from_document(
        minimal(fields={"A": {"from": "B", "review": "rejected", "confidence": 0.4}})
    )

    assert plan.objects[0].applied_fields == {}
    assert plan.objects[0].fields["A"].review is ReviewState.REJECTED
    assert plan_from_document(plan_document(plan)) == plan


NAMES = st.from_regex(r"[A-Z][A-Za-z0-9]{0,6}(__c)?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
COMMON = {"write": st.sampled_from(list(Write)), "review": st.sampled_from(list(ReviewState))}
RULES = st.one_of(
    NAMES,
    st.fixed_dictionaries({"from": NAMES}, optional=COMMON),
    st.fixed_dictionaries({"constant": st.one_of(st.none(), TEXTS)}, optional=COMMON),
    st.fixed_dictionaries(
        {"from": NAMES, "values": st.dictionaries(TEXTS, st.one_of(st.none(), TEXTS), max_size=3)},
        optional={"otherwise": TEXTS} | COMMON,
    ),
    st.fixed_dictionaries({"from": NAMES, "mask": st.sampled_from(["email", "hash"])}),
    st.fixed_dictionaries({"from": NAMES, "convert": st.just("to_date")}),
    st.fixed_dictionaries({"expression": st.sampled_from(["upper(A)", "A || 'x'", "1"])}),
    st.fixed_dictionaries({"from": NAMES, "ids": st.just("rewrite")}),
)


def _no_twins(rules: dict[str, Any]) -> bool:
    return len({name.lower() for name in rules}) == len(rules)


MAPPINGS = st.fixed_dictionaries(
    {"source": NAMES},
    optional={
        "target": NAMES,
        "operation": st.sampled_from(list(Operation)),
        "key": st.one_of(
            st.just("ledger"),
            NAMES,
            st.lists(NAMES, min_size=1, max_size=3, unique_by=str.lower),
            st.fixed_dictionaries(
                {"source": NAMES, "target": NAMES, "value": st.just("'E-' || Id")}
            ),
        ),
        "where": st.one_of(
            st.just("A = 'x' AND B != null"), TEXTS.map(lambda t: f"A = {quoted(t)}")
        ),
        "fields": st.dictionaries(NAMES, RULES, max_size=4).filter(_no_twins),
        "lookups": st.dictionaries(
            NAMES,
            st.fixed_dictionaries(
                {},
                optional={
                    "missing": st.sampled_from(["blank", "running_user", "001000000000000AAA"]),
                    "match": st.one_of(
                        NAMES, st.fixed_dictionaries({"source": NAMES, "target": NAMES})
                    ),
                    "map": st.dictionaries(TEXTS, TEXTS, max_size=2),
                },
            ),
            max_size=2,
        ).filter(_no_twins),
        "finally": st.dictionaries(
            NAMES, st.fixed_dictionaries({"constant": TEXTS}), max_size=2
        ).filter(_no_twins),
        "blanks": st.sampled_from(["clear", "keep", "default"]),
        "load": st.fixed_dictionaries({}, optional={"batch": st.integers(1, 10_000)}),
    },
)


@settings(max_examples=80, deadline=None)
@given(st.lists(MAPPINGS, min_size=1, max_size=3))
def test_dump_and_parse_are_inverse(mappings: list[dict[str, Any]]) -> None:
    named = [{"as": f"m{number}", **mapping} for number, mapping in enumerate(mappings)]
    plan = plan_from_document({**minimal(), "objects": named})

    assert parse_plan(dump_plan(plan)) == plan
    assert plan_from_document(plan_document(plan)) == plan
    # any other reader of YAML 1.1 understands the same document
    assert plan_from_document(yaml.safe_load(dump_plan(plan))) == plan


WRONG: list[tuple[dict[str, Any], str]] = [
    (minimal(feilds={}), "objects[0].feilds: is no key of a plan; did you mean `fields`?"),
    (minimal(operation="upsrt"), "objects[0].operation: input should be 'insert'"),
    (minimal(key=["A", "a"]), "objects[0].key: a key names each field once"),
    (
        minimal(key={"source": ["A", "B"], "target": "C"}),
        "objects[0].key: 2 source fields cannot be compared with 1 target fields",
    ),
    (
        minimal(key={"target": ["A", "B"], "value": "x"}),
        "objects[0].key: a key with a value has exactly one target field",
    ),
    (
        minimal(lookups={"OwnerId": {"missing": "rejct"}}),
        "objects[0].lookups.OwnerId.missing: 'rejct' is none of",
    ),
    (minimal(lookups={"OwnerId": {"through": ["x"]}}), "objects[0].lookups.OwnerId.through: there"),
    (minimal(fields={"Name": {"form": "x"}}), "objects[0].fields.Name.from: is missing"),
    (minimal(fields={"Name": ["x"]}), "objects[0].fields.Name: a rule is a source field"),
    (minimal(fields={"Name": 7}), "objects[0].fields.Name: a rule is a source field"),
    (minimal(fields={"A": "B", "a": "C"}), "'A' and 'a' are one field to Salesforce"),
    (minimal(fields={"A; DROP": "B"}), "objects[0].fields.A; DROP: 'A; DROP' is not an API name"),
    (minimal(fields={"A": "B"}, skip=["a"]), "'A' is both mapped under fields and listed"),
    (minimal(source="Account WHERE"), "objects[0].source: 'Account WHERE' is not an API name"),
    (minimal(load={"batch": "lots"}), "objects[0].load.batch: input should be a valid integer"),
    (minimal(load={"batch": 20_000}), "objects[0].load.batch: input should be less than or equal"),
    (minimal(after=["account"]), "objects[0].after: a mapping cannot come after itself"),
    (minimal(after=["nobody"]), "objects[0].after: there is no mapping 'nobody' here"),
    (
        {**minimal(), "objects": [{"source": "A"}, {"source": "B", "target": "A"}]},
        "objects[1].as: the name 'a' is already that of objects[0]",
    ),
    ({**minimal(), "objects": []}, "objects: must not be empty"),
    ({**minimal(), "objects": {"a": 1}}, "objects: input should be a valid tuple"),
    ({**minimal(), "orgbridge": 2}, "orgbridge: input should be 1; the file has '2'"),
    ({"name": "x"}, "orgbridge: the plan file does not say its version"),
    ([], "holds no plan"),  # type: ignore[list-item]
    (
        minimal(where="Name = 'x' LIMIT 1"),
        "objects[0].where: the filter has a clause behind it (LIMIT), at character 12",
    ),
    (minimal(where="Name = 'x'; DELETE"), "objects[0].where: the filter has '; '"),
    (
        minimal(fields={"A": {"expression": "read_csv('/etc/passwd')"}}),
        "objects[0].fields.A.expression: READ_CSV() is not allowed in an expression",
    ),
    (
        minimal(key={"source": "Id", "target": "K__c", "value": "(SELECT 1)"}),
        "objects[0].key.value: (SELECT 1) is not allowed in an expression",
    ),
    (minimal(final_fields={"A": "B"}), "objects[0].final_fields: is no key of a plan"),
    (minimal(load={"bach": 5}), "objects[0].load.bach: is no key of a plan; did you mean `batch`?"),
    (minimal(load={"finaly": 5}), "objects[0].load.finaly: is no key of a plan. "),
    (
        minimal(**{"finally": {"A": {"expresion": "B"}}}),
        "objects[0].finally.A.expresion: is no key of such a rule; did you mean `expression`?",
    ),
    (
        minimal(**{"finally": {"A": {"constant": "x", "until": "B"}}}),
        "objects[0].finally.A.until: is no key of such a rule; a rule is a source field",
    ),
    (
        minimal(fields={"D": {"from": "D", "convert": "to_date", "zone": "Mars/Base"}}),
        "objects[0].fields.D.zone: 'Mars/Base' is no time zone",
    ),
]


@pytest.mark.parametrize(("document", "sentence"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_wrong_documents_are_refused_by_place(document: Any, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        plan_from_document(document)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "line 1, column 5"),
        ("a: &x 1\nb: *x", "line 2, column 4: aliases"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' appears twice"),
        ("a: !!python/object/apply:os.system ['true']", "line 1, column 4"),
        ("[" * 200, "nested too deeply"),
        ("a: \x00", "not readable as YAML"),
        ("just words", "holds no plan"),
        ("", "holds no plan"),
    ],
)
def test_text_that_is_no_plan_is_refused_by_line(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=r"plan") as caught:
        parse_plan(text)

    assert sentence in str(caught.value)


def test_many_errors_are_all_in_the_facts_and_ten_in_the_message() -> None:
    document = minimal(fields={f"F{n}": {"form": "x"} for n in range(12)})

    with pytest.raises(UserError) as caught:
        plan_from_document(document)

    places = caught.value.fact("places")
    assert isinstance(places, tuple)
    assert len(places) == 24
    assert "and 14 more" in str(caught.value)
    assert "Nothing was saved." in str(caught.value)


def test_plans_are_frozen() -> None:
    plan = plan_from_document(minimal())

    with pytest.raises(ValueError, match="frozen"):
        plan.name = "other"  # type: ignore[misc]
    assert isinstance(plan, Plan)


def test_objects_are_found_by_the_names_that_people_are_shown() -> None:
    """Either spelling of an object; one that is not there is answered with the org's spelling."""
    plan = plan_from_document(
        {
            "orgbridge": 1,
            "name": "sales",
            "source": "a",
            "target": "b",
            "objects": [{"source": "Account"}, {"source": "Account", "as": "partners"}],
        }
    )

    found = objects_named(plan, ["Account", "account", "Partners"])

    assert [one.name for one in found] == ["account", "account", "partners"]
    with pytest.raises(UserError, match="no object 'nope'") as refused:
        objects_named(plan, ["nope"], state="Nothing was launched.")
    assert "It has: Account, partners." in str(refused.value)
    assert "Nothing was launched." in str(refused.value)
