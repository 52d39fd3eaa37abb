"""What the checks before a launch find in real rows, between two practice orgs."""

from __future__ import annotations

import pytest

from core.bootstrap import Orgbridge
from core.db import orgs as org_rows
from core.db import plans
from core.domain.findings import Finding, Severity
from core.domain.plan import parse_plan
from core.errors import OrgbridgeError
from core.migration.preflight import PreflightInput, preflight
from core.migration.preflight.schema import schema_findings
from tests.org.engine import Pair, connect, line
from tests.org.pairs import create, live
from tests.org.rule_orgs import KEYED, OBJECTS, plan, schema
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PracticeOrgs

orgs = two_orgs(
    schema(domain="old.example"), schema(domain="new.example").replace("Partner", "Reseller")
)
pair = empty_pair(*OBJECTS)


def findings(pair: Pair, text: str, **given: int) -> dict[str, list[Finding]]:
    """All findings of a plan by their code."""
    workspace = pair.actor.workspace_id
    with pair.bridge.session(workspace) as session:
        ids = {row.name: row.id for row in org_rows.org_rows(session)}
    asked = PreflightInput(
        plan=parse_plan(text),
        source=pair.bridge.org_client(workspace, ids["legacy"]),
        target=pair.bridge.org_client(workspace, ids["new"]),
        **given,
    )
    found: dict[str, list[Finding]] = {}
    for finding in preflight(asked, schema_checks=schema_findings).findings:
        found.setdefault(finding.code, []).append(finding)
    return found


LONG = f"source: Account, {KEYED}, auto_map: false, fields: {{Name: Name, Phone: Long__c}}"


def test_rule_8_6_values_that_will_be_refused_are_counted_or_called_a_sample(pair: Pair) -> None:
    ids = create(
        pair.source,
        "Account",
        *({"Name": f"A{n}", "Long__c": "x" * (60 if n < 2 else 5)} for n in range(6)),
    )

    whole = findings(pair, plan(LONG))
    part = findings(pair, plan(LONG), scan_rows=3)

    (refused,) = whole["value_refused"]
    assert (refused.field, refused.rows, refused.is_sampled) == ("Phone", 2, False)
    assert set(refused.sample_ids) == set(ids[:2])
    assert "STRING_TOO_LONG" in refused.sentence
    assert whole["values_looked_at"][0].severity is Severity.PASSED
    assert part["value_refused"][0].is_sampled
    assert "3 of 6 rows" in part["values_looked_at"][0].sentence


def test_rule_8_1_a_dry_run_blocks_what_the_org_would_refuse(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "A", "Long__c": "x" * 60}, {"Name": "B"})

    rehearsed = pair.run(plan(LONG), mode="dry-run")
    carried = pair.run(plan(LONG))

    assert line(rehearsed, "account")["blocked"] == line(carried, "account")["failed"] == 1
    codes = [pair.failures(run["run_id"])[0]["code"] for run in (rehearsed, carried)]
    assert codes == ["STRING_TOO_LONG", "STRING_TOO_LONG"]


def test_owners_record_types_and_matches_are_covered_one_by_one(pair: Pair) -> None:
    users = {row["LastName"]: row["Id"] for row in pair.source.rows("User")}
    types = {row["DeveloperName"]: row["Id"] for row in pair.source.rows("RecordType")}
    known, twice, unknown = create(
        pair.source,
        "Account",
        {"Name": "known", "OwnerId": users["Idle"], "RecordTypeId": types["Partner"]},
        {"Name": "twice", "OwnerId": users["Lee"]},
        {"Name": "unknown", "OwnerId": users["Lee"]},
    )
    create(pair.target, "Account", *({"Name": name} for name in ("known", "twice", "TWICE")))
    for account in (known, twice, unknown):
        create(pair.source, "Contact", {"LastName": "X", "AccountId": account})

    found = findings(
        pair,
        plan(
            f"source: Account, {KEYED}, lookups: {{OwnerId: {{match: Username,"
            " map: {idle@old.example: idle@new.example}}}",
            f"source: Contact, {KEYED}, lookups: {{AccountId: {{object: Account, match: Name}}}}",
        ),
        crowd_rows=1,
    )

    unmatched = {(f.mapping, f.field): f.rows for f in found["lookup_unmatched"]}
    assert unmatched == {("account", "OwnerId"): 2, ("contact", "AccountId"): 1}
    assert found["lookup_ambiguous"][0].rows == 1
    assert found["inactive_owner"][0].rows == 1
    assert "Partner" in found["record_type_missing"][0].sentence
    assert found["record_type_missing"][0].rows == 1
    assert [(f.rows, f.sample_ids) for f in found["crowd"]] == [(2, (users["Lee"],))]


def test_rule_3_12_a_crowd_below_one_parent_is_named(pair: Pair) -> None:
    (parent,) = create(pair.source, "Account", {"Name": "P"})
    create(pair.source, "Contact", *({"LastName": f"{n}", "AccountId": parent} for n in range(4)))
    text = plan(f"source: Account, {KEYED}", f"source: Contact, {KEYED}")

    found = findings(pair, text, crowd_rows=3)

    (crowd,) = found["crowd"]
    assert (crowd.mapping, crowd.field, crowd.rows) == ("contact", "AccountId", 4)
    assert "crowd" not in findings(pair, text)


def test_rule_2_3_a_plan_is_blocked_above_the_share_of_repeated_keys_it_allows(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "same"}, {"Name": "same"}, {"Name": "other"})
    strict = "source: Account, key: Name, duplicates: {block_above: 0.5}"

    blocked = findings(pair, plan(strict))["key_repeated_source"][0]
    allowed = findings(pair, plan(strict.replace("0.5", "0.7")))["key_repeated_source"][0]

    assert (blocked.severity, blocked.rows) == (Severity.BLOCKER, 2)
    assert allowed.severity is Severity.WARNING


def test_the_tests_of_a_plan_run_with_its_checks(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "A"})
    text = (
        f"source: Account, {KEYED}, auto_map: false, fields: {{Name: {{expression: upper(Name)}}}},"
        " tests: [{in: {Name: a}, out: {Name: %s}}]"
    )

    assert findings(pair, plan(text % "A"))["row_test"][0].severity is Severity.PASSED
    assert findings(pair, plan(text % "b"))["row_test"][0].severity is Severity.BLOCKER


def test_rule_3_9_a_second_pass_on_audited_rows_is_a_warning(pair: Pair) -> None:
    text = plan(f"source: Account, {KEYED}, fields: {{CreatedDate: CreatedDate}}")

    (warned,) = findings(pair, text)["audit_second_pass"]

    assert warned.severity is Severity.WARNING
    assert "ParentId" in warned.sentence


@pytest.mark.parametrize(
    ("objects", "place"),
    [
        (("source: Nonsense__c",), "Nonsense__c"),
        (("source: Account, target: Nonsense__c",), "Nonsense__c"),
        ((f"source: Account, {KEYED}, fields: {{Nonsense__c: Name}}",), "Nonsense__c"),
        ((f"source: Account, {KEYED}, fields: {{Phone: Nonsense__c}}",), "Nonsense__c"),
        ((f"source: Account, {KEYED}, where: \"Nonsense__c = 1\"",), "Nonsense__c"),
        ((f"source: Account, {KEYED}, after: [contact]",
          f"source: Contact, {KEYED}, after: [account]"), "contact"),
        ((f"source: Account, {KEYED}, fields: {{Amount__c: Day__c}}",), "Amount__c"),
    ],
)  # fmt: skip
def test_wrong_plans_are_stopped_by_place_and_nothing_is_sent(
    pair: Pair, objects: tuple[str, ...], place: str
) -> None:
    create(pair.source, "Account", {"Name": "A"})

    with pytest.raises(OrgbridgeError) as refused:
        pair.run(plan(*objects))

    assert place in str(refused.value)
    assert live(pair.target, "Account") == []


def test_rule_5_2_ids_hidden_in_texts_are_counted(pair: Pair) -> None:
    (one,) = create(pair.source, "Account", {"Name": "A"})
    create(
        pair.source,
        "Account",
        {"Name": "B", "Long__c": f"see https://x.example/{one} and {one}"},
        {"Name": "C", "Long__c": "see nothing here"},
    )

    (hidden,) = findings(pair, plan(f"source: Account, {KEYED}"))["hidden_ids"]

    assert (hidden.field, hidden.rows, hidden.severity) == ("Long__c", 1, Severity.NOTE)


def test_currencies_without_a_place_are_named(pair: Pair) -> None:
    found = findings(
        pair, plan(f"source: Account, {KEYED}, skip: [CurrencyIsoCode]"), crowd_rows=100
    )

    assert found["currency_unmapped"][0].field == "CurrencyIsoCode"


def test_rule_1_3_masked_values_stop_a_plan(practice_org: PracticeOrgs, bridge: Orgbridge) -> None:
    secret = """
objects:
  Account: {fields: {Secret__c: {type: encryptedstring, length: 40}}}
standard: [Account]
"""
    pair = connect(bridge, practice_org(schema=secret), practice_org(schema=secret))
    create(pair.source, "Account", {"Name": "A", "Secret__c": "*******"}, {"Name": "B"})

    found = findings(pair, plan("source: Account, key: Name"))

    (masked,) = found["masked_values"]
    assert (masked.severity, masked.rows) == (Severity.BLOCKER, 1)


NAMED = {
    "key_missing": "source: Account, key: {source: Nope__c, target: Legacy_Id__c}",
    "rule_wrong": f"source: Account, {KEYED}, fields: {{Name: {{expression: upper(Nope__c)}}}}",
    "scope_missing": f"source: Contact, {KEYED}, scope: {{within: [NopeId]}}",
    "load_missing": f"source: Contact, {KEYED}, load: {{order_by: Nope__r.Name}}",
    "lookup_missing": f"source: Contact, {KEYED}, lookups: {{NopeId: {{missing: blank}}}}",
    "lookup_match_missing": f"source: Contact, {KEYED}, lookups:"
    " {AccountId: {object: Account, match: {source: Name, target: Nope__c}}}",
}


@pytest.mark.parametrize("code", list(NAMED))
def test_a_name_that_no_org_has_is_a_blocker_wherever_it_stands(pair: Pair, code: str) -> None:
    """The run would end at it; a check that only could not run would let it begin."""
    (account,) = create(pair.source, "Account", {"Name": "A"})
    create(pair.source, "Contact", {"LastName": "X", "AccountId": account})

    told = findings(pair, plan(NAMED[code]))

    blockers = {c for c, each in told.items() if each[0].severity is Severity.BLOCKER}
    # what the key names is copied into the target's key as well
    assert blockers - {"source_missing"} == {code}
    assert "Nope" in told[code][0].sentence


def test_a_field_to_skip_that_is_not_there_is_a_warning(pair: Pair) -> None:
    """Perhaps another one was meant, which is written now."""
    create(pair.source, "Account", {"Name": "A"})

    told = findings(pair, plan(f"source: Account, {KEYED}, skip: [Phone, Fone]"))

    (missing,) = told["skip_missing"]
    assert missing.severity is Severity.WARNING
    assert "Fone" in missing.sentence


def test_a_run_that_has_ended_holds_nobody_up(pair: Pair) -> None:
    """Also one that failed, and that may be resumed."""
    with pytest.raises(OrgbridgeError):
        pair.run(plan(NAMED["key_missing"]))
    workspace = pair.actor.workspace_id

    with pair.bridge.session(workspace) as session:
        held = plans.runs_writing_into(session, pair.target.organization_id)

    assert held == ()
