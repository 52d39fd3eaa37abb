"""Rules over pages: what each kind does, what fails a row, and that pages do not matter."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from core.domain.describe import Field, Fields, SObject
from core.domain.plan import RuleKind, Write, plan_from_document
from core.domain.rules import CompiledMapping, compile_mapping, lookup_kind, rule_kind
from core.errors import UserError

SOURCE = SObject(
    name="Lead__c",
    fields=Fields(
        (
            Field("Id", "id"),
            Field("Name", "string", length=80),
            Field("Email__c", "email", length=80),
            Field("Phone__c", "phone", length=40),
            Field("Status__c", "picklist"),
            Field("Tags__c", "multipicklist"),
            Field("Amount__c", "currency", precision=18, scale=2),
            Field("Born__c", "date"),
            Field("CreatedDate", "datetime"),
            Field("Active__c", "boolean"),
            Field("Count__c", "int"),
            Field(
                "Account__c",
                "reference",
                reference_to=("Account",),
                relationship_name="Account__r",
            ),
            Field("OwnerId", "reference", reference_to=("User",), relationship_name="Owner"),
            Field("Code__c", "string"),
        )
    ),
)
TARGET = SObject(
    name="Contact",
    fields=Fields(
        (
            Field("Id", "id"),
            Field("LastName", "string", length=20),
            Field("Email", "email", length=80),
            Field("Phone", "phone", length=40),
            Field("Status__c", "picklist"),
            Field("Tags__c", "multipicklist"),
            Field("Amount__c", "currency", precision=18, scale=1),
            Field("Birthdate", "date"),
            Field("Seen__c", "datetime"),
            Field("Active__c", "boolean"),
            Field("Note__c", "textarea", label="Note", length=255),
            Field("Legacy_Id__c", "string", external_id=True),
            Field("AccountId", "reference", reference_to=("Account",)),
            Field("OwnerId", "reference", reference_to=("User", "Group"), polymorphic=True),
            Field("RecordTypeId", "reference", reference_to=("RecordType",)),
        )
    ),
)
PAGE = {
    "Id": ["a01000000000001", "a01000000000002AAA", "a01000000000003"],
    "Name": [" Ng ", "O'Neil", None],
    "Email__c": ["Ann@Old.example", "ann@old.example", ""],
    "Phone__c": ["+49 (30) 123-45", None, "555"],
    "Status__c": ["Tech", "Other", None],
    "Tags__c": ["a;b", "b;c;b", None],
    "Amount__c": ["1.0E2", "12345678901234567.85", None],
    "Born__c": ["2024-02-29", None, "1999-12-31"],
    "CreatedDate": ["2011-07-07T22:37:00.000+0000", "2024-03-31T01:30:00.000Z", None],
    "Active__c": ["true", "FALSE", None],
    "Count__c": ["5", "0", None],
    "Account__c": ["001000000000001", None, None],
    "OwnerId": ["005000000000001AAA"] * 3,
    "Code__c": ["12", "x", None],
    "Account__r.Region__c": ["North", None, None],
}


def compiled(fields: dict[str, Any], **mapping: Any) -> CompiledMapping:
    plan = plan_from_document(
        {
            "orgbridge": 1,
            "name": "p",
            "source": "a",
            "target": "b",
            "objects": [{"source": "Lead__c", "target": "Contact", "fields": fields, **mapping}],
        }
    )
    return compile_mapping(plan.objects[0], SOURCE, TARGET, salt=b"salt")


def page(rows: dict[str, list[str | None]] | None = None) -> pl.DataFrame:
    return pl.DataFrame(rows or PAGE, schema_overrides=dict.fromkeys(rows or PAGE, pl.String))


def column(rule: Any, target: str = "Note__c") -> list[str | None]:
    return compiled({target: rule}).apply(page()).frame[target].to_list()


def test_copies_bring_values_to_one_spelling() -> None:
    result = compiled(
        {
            "LastName": "Name",
            "Amount__c": "Amount__c",
            "Seen__c": "CreatedDate",
            "Active__c": "Active__c",
            "Email": "Email__c",
            "Note__c": "Account__r.Region__c",
        }
    ).apply(page())

    assert result.failures.is_empty()
    assert result.frame.to_dict(as_series=False) == {
        "LastName": [" Ng ", "O'Neil", None],
        "Amount__c": ["100", "12345678901234567.85", None],
        "Seen__c": ["2011-07-07T22:37:00.000Z", "2024-03-31T01:30:00.000Z", None],
        "Active__c": ["true", "false", None],
        "Email": ["Ann@Old.example", "ann@old.example", None],
        "Note__c": ["North", None, None],
    }


def test_constants_and_write_modes() -> None:
    mapping = compiled({"Note__c": {"constant": "x", "write": "if_blank"}, "Phone": "Phone__c"})

    assert mapping.apply(page()).frame["Note__c"].to_list() == ["x", "x", "x"]
    assert mapping.writes == {"Note__c": Write.IF_BLANK, "Phone": Write.ALWAYS}
    assert mapping.apply(page().clear()).frame.height == 0


@pytest.mark.parametrize(
    ("otherwise", "expected"),
    [
        ("keep", ["Technology", "Other", None]),
        ("blank", ["Technology", None, None]),
        ("reject", ["Technology", None, None]),
        ("Misc", ["Technology", "Misc", None]),
    ],
)
def test_value_maps_treat_unlisted_values_as_told(
    otherwise: str, expected: list[str | None]
) -> None:
    rule = {"from": "Status__c", "values": {"Tech": "Technology"}, "otherwise": otherwise}

    result = compiled({"Status__c": rule}).apply(page())

    assert result.frame["Status__c"].to_list() == expected
    assert result.failures["row"].to_list() == ([1] if otherwise == "reject" else [])


def test_value_map_failures_name_field_and_value() -> None:
    rule = {"from": "Status__c", "values": {"Tech": "T"}, "otherwise": "reject"}

    (failure,) = compiled({"Status__c": rule}).apply(page()).failures.to_dicts()

    assert failure == {
        "row": 1,
        "field": "Status__c",
        "code": "VALUE_NOT_MAPPED",
        "message": "Status__c = 'Other': is not in the value map, and the rule rejects other "
        "values.",
    }


def test_value_maps_fill_blanks_only_when_listed() -> None:
    rule = {"from": "Status__c", "values": {"": "New", "Tech": ""}}

    assert column(rule, "Status__c") == [None, "Other", "New"]


def test_multi_select_values_map_entry_by_entry() -> None:
    rule = {"from": "Tags__c", "values": {"b": "B"}, "otherwise": "keep"}

    assert column(rule, "Tags__c") == ["a;B", "B;c", None]
    rejecting = compiled({"Tags__c": {**rule, "otherwise": "reject"}}).apply(page())
    assert rejecting.failures["row"].to_list() == [0, 1]


def test_masks_keep_relations_and_hide_values() -> None:
    email = column({"from": "Email__c", "mask": "email"}, "Email")
    phone = column({"from": "Phone__c", "mask": "phone"}, "Phone")
    other_salt = compile_mapping(
        compiled({"Email": {"from": "Email__c", "mask": "email"}}).mapping,
        SOURCE,
        TARGET,
        salt=b"other",
    )

    assert email[0] == email[1] != "ann@old.example"
    assert str(email[0]).endswith("@example.invalid")
    assert email[2] is None
    assert str(phone[0])[0] == "+"
    assert len(str(phone[0])) == len("+49 (30) 123-45")
    assert phone[0] != "+49 (30) 123-45"
    assert other_salt.apply(page()).frame["Email"][0] != email[0]
    assert column({"from": "Name", "mask": "blank"}) == [None, None, None]
    assert column({"from": "Name", "mask": "redact"}) == ["REDACTED", "REDACTED", None]
    assert column({"from": "Born__c", "mask": "year"}) == ["2024-01-01", None, "1999-01-01"]
    assert len(str(column({"from": "Name", "mask": "hash"}, "LastName")[0])) == 20


def test_dates_convert_in_their_zone() -> None:
    to_date = {"from": "CreatedDate", "convert": "to_date", "zone": "Europe/Berlin"}
    to_datetime = {"from": "Born__c", "convert": "to_datetime", "zone": "Europe/Berlin"}

    assert column(to_date, "Birthdate") == ["2011-07-08", "2024-03-31", None]
    assert column(to_datetime, "Seen__c") == [
        "2024-02-28T23:00:00.000Z",
        None,
        "1999-12-30T23:00:00.000Z",
    ]
    shift = {"from": "Born__c", "convert": "shift_days", "days": 1}
    assert column(shift, "Birthdate") == ["2024-03-01", None, "2000-01-01"]


def test_text_parses_by_format_and_skipped_hours_move_on() -> None:
    rows: dict[str, list[str | None]] = {
        name: [None] * 3 for name in PAGE if name not in ("Id", "Code__c")
    }
    rows |= {"Id": ["1", "2", "3"], "Code__c": ["31.03.2024 02:30", "27.10.2024 02:30", "x"]}
    rule = {
        "from": "Code__c",
        "convert": "parse_datetime",
        "format": "%d.%m.%Y %H:%M",
        "zone": "Europe/Berlin",
    }

    result = compiled({"Seen__c": rule}).apply(page(rows))

    assert result.frame["Seen__c"].to_list() == [
        "2024-03-31T01:30:00.000Z",
        "2024-10-27T00:30:00.000Z",
        None,
    ]
    assert result.failures["code"].to_list() == ["CONVERSION_FAILED"]


@pytest.mark.parametrize(
    ("text", "expected", "failed"),
    [
        ("upper(Name) || ' (moved)'", [" NG  (moved)", "O'NEIL (moved)", None], []),
        ("CAST(Code__c AS INT)", ["12", None, None], [1]),
        ("coalesce(CAST(Code__c AS INT), 0)", ["12", "0", "0"], []),
        ("CASE WHEN Code__c = '12' THEN CAST(Code__c AS INT) ELSE 7 END", ["12", "7", "7"], []),
        ("Amount__c * 2", ["200", "24691357802469135.7", None], []),
        ("strftime(CreatedDate, '%Y')", ["2011", "2024", None], []),
        ("Count__c / 0", [None, None, None], [0, 1]),
        ("'EMEA-' || Id", ["EMEA-a01000000000001AAA"], []),
        ("account__R.region__c", ["North", None, None], []),
        ("CAST('2024-02-30' AS DATE)", [None, None, None], [0, 1, 2]),
    ],
)
def test_expressions_are_typed_and_casts_that_lose_fail(
    text: str, expected: list[str | None], failed: list[int]
) -> None:
    paths = {"Account__r.Region__c": Field("Account__r.Region__c", "string")}
    mapping = compiled({"Note__c": "Name"}).mapping
    rule = plan_from_document(
        {
            "orgbridge": 1,
            "name": "p",
            "source": "a",
            "target": "b",
            "objects": [{"source": "A", "fields": {"Amount__c": {"expression": text}}}],
        }
    ).objects[0]
    mapping = mapping.model_copy(update={"fields": rule.fields})

    result = compile_mapping(mapping, SOURCE, TARGET, paths=paths).apply(page())

    assert result.frame["Amount__c"].to_list()[: len(expected)] == expected
    assert result.failures["row"].to_list() == failed


FORBIDDEN = [
    "(SELECT 1)",
    "read_csv('/etc/passwd')",
    "pg_read_file('/etc/passwd')",
    "sum(Amount__c)",
    "count(*)",
    "first(Name)",
    "max(Name) OVER ()",
    "row_number() OVER ()",
    "upper(Name) OVER (PARTITION BY Name)",
    "Name IN (SELECT Name FROM x)",
    "EXISTS(SELECT 1)",
    "random()",
    "now()",
    "current_date",
    "unnest(Tags__c)",
    "Name FROM x",
    "1; DROP TABLE x",
    "Name, Email__c",
    "*",
    "Nope__c",
    "Name = 'x' UNION SELECT 1",
    "Born__c > 'x'",
    "(((",
    "CAST(Name AS JSON)",
    "getvariable('x')",
    "$1",
    "x" * 5000,
    "Name AS y",
    "(" * 300 + "1" + ")" * 300,
    "1" + "+1" * 500,
    "",
    "lower(DISTINCT Name)",
    "/etc/passwd",
    "'a",
    "string_agg(Name, ',')",
    "median(Amount__c)",
    "query('select 1')",
]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_expressions_that_reach_beyond_the_row_are_refused_by_place(text: str) -> None:
    if not text:
        with pytest.raises(UserError, match=r"expression"):
            compiled({"Note__c": {"expression": text}})
        return
    with pytest.raises(UserError) as caught:
        try:
            compiled({"Note__c": {"expression": text}})
        except UserError as error:
            assert "Note__c" in str(error)
            raise

    assert len(str(caught.value)) < 700


def test_lookups_are_left_to_the_engine_with_their_policy() -> None:
    mapping = compiled(
        {"AccountId": "Account__c", "OwnerId": "OwnerId"},
        lookups={
            "AccountId": {"missing": "blank"},
            "RecordTypeId": {"from": "Status__c", "map": {"Partner": "Reseller"}},
        },
    )

    found = {lookup.field.name: lookup for lookup in mapping.lookup_columns}
    assert found["AccountId"].policy.missing == "blank"
    assert found["AccountId"].source_is_id
    assert found["OwnerId"].kind is RuleKind.USER_MAP
    assert found["RecordTypeId"].kind is RuleKind.RECORD_TYPE_MAP
    assert not found["RecordTypeId"].source_is_id
    assert mapping.apply(page()).frame.columns == []
    assert mapping.source_columns == ("Id", "Status__c", "Account__c", "OwnerId")
    constant = compiled({"AccountId": {"constant": "001000000000009AAA"}})
    assert constant.lookup_columns == ()
    assert constant.apply(page()).frame["AccountId"][0] == "001000000000009AAA"


def test_rule_2_1_the_target_key_is_stamped_from_its_expression() -> None:
    mapping = compiled(
        {"LastName": "Name"},
        key={"source": ["Id"], "target": ["Legacy_Id__c"], "value": "'EMEA-' || Id"},
    )

    result = mapping.apply(page())

    assert result.frame["Legacy_Id__c"].to_list()[0] == "EMEA-a01000000000001AAA"
    assert result.frame.columns == ["LastName", "Legacy_Id__c"]


@pytest.mark.parametrize(
    ("fields", "mapping", "sentence"),
    [
        (
            {"Nope__c": "Name"},
            {},
            "Contact, Nope__c: Contact of the target has no field 'Nope__c'",
        ),
        (
            {"Note__c": "Nope__c"},
            {},
            "no field 'Nope__c' (contact.fields.Note__c).",
        ),
        ({"Note__c": "Foo__r.Bar"}, {}, "no relationship 'foo__r'"),
        ({"Note__c": {"expression": "nope"}}, {}, "Contact, Note: Lead__c has no field"),
        ({}, {"lookups": {"AccountId": {"from": "Nope"}}}, "(contact.lookups.AccountId.from)."),
        ({}, {"key": {"target": "Nope__c", "value": "Id"}}, "(contact.key.target.Nope__c)."),
        (
            {},
            {"key": {"target": "Legacy_Id__c", "value": "sum(Id)"}},
            "key.value: SUM()",
        ),
    ],
)
def test_rules_that_name_what_is_not_there_are_refused_by_place(
    fields: dict[str, Any], mapping: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        compiled(fields, **mapping)

    assert sentence in str(caught.value)


def test_kinds_of_rules_are_seen_with_their_field() -> None:
    fields = compiled({"AccountId": "Account__c", "Note__c": {"constant": "x"}}).mapping.fields

    assert rule_kind(fields["AccountId"], TARGET.fields["AccountId"]) is RuleKind.LOOKUP
    assert rule_kind(fields["Note__c"], TARGET.fields["Note__c"]) is RuleKind.CONSTANT
    assert lookup_kind(TARGET.fields["OwnerId"]) is RuleKind.USER_MAP


EVERY_RULE: dict[str, Any] = {
    "LastName": {"from": "Name", "mask": "name"},
    "Email": {"from": "Email__c", "mask": "email"},
    "Status__c": {"from": "Status__c", "values": {"Tech": "T"}, "otherwise": "reject"},
    "Tags__c": {"from": "Tags__c", "values": {"b": "B"}},
    "Amount__c": {"expression": "CAST(Code__c AS DECIMAL(10, 2)) + coalesce(Amount__c, 1)"},
    "Birthdate": {"from": "Born__c", "convert": "shift_days", "days": 3},
    "Seen__c": {"from": "CreatedDate", "convert": "to_date"},
    "Note__c": {"expression": "concat_ws('-', Name, Count__c, Active__c)"},
    "Phone": {"constant": "1"},
}
TEXT = st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["12", "Tech", "a;b", "1e3"]))
ROWS = st.lists(
    st.fixed_dictionaries(
        {name: TEXT for name in PAGE if name not in ("Born__c", "CreatedDate", "Amount__c")}
        | {
            "Born__c": st.one_of(st.none(), st.dates().map(str)),
            "CreatedDate": st.just("2011-07-07T22:37:00.000+0000"),
            "Amount__c": st.one_of(st.none(), st.decimals(-(10**15), 10**15, places=2).map(str)),
        }
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 5))
def test_the_result_does_not_depend_on_the_page_size(
    rows: list[dict[str, str | None]], size: int
) -> None:
    mapping = compiled(EVERY_RULE)
    whole = pl.DataFrame(rows, schema=dict.fromkeys(PAGE, pl.String))

    at_once = mapping.apply(whole)
    parts = [mapping.apply(part) for part in whole.iter_slices(size)] if rows else []

    if parts:
        assert_frame_equal(at_once.frame, pl.concat([part.frame for part in parts]))
        shifted = [
            part.failures.with_columns(pl.col("row") + number * size)
            for number, part in enumerate(parts)
        ]
        keys = ["row", "field", "code", "message"]
        assert_frame_equal(
            at_once.failures.sort(keys), pl.concat(shifted).cast({"row": pl.UInt32}).sort(keys)
        )
    assert all(dtype == pl.String for dtype in at_once.frame.dtypes)
