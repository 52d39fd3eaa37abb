"""The checks before a launch, against two practice orgs with their real flaws."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.domain.findings import Finding, Severity
from core.domain.plan import parse_plan
from core.migration.preflight import PreflightInput, PreflightReport, preflight
from core.migration.preflight.schema import schema_findings
from core.salesforce.client import OrgClient
from core.salesforce.credentials import Credentials
from core.salesforce.retry import OF_A_PERSON
from core.secret import Secret
from tests.orgs import PracticeOrg, PracticeOrgs

SOURCE = """
objects:
  Account:
    fields:
      Code__c: {type: text, length: 20}
      Sector__c: {type: picklist, values: [Tech, Retail, Mining]}
      Note__c: {type: text, length: 200}
      Size__c: {type: number, precision: 10, scale: 2}
"""
TARGET = """
objects:
  Account:
    fields:
      Code__c: {type: text, length: 20, external_id: true, unique: true}
      Sector__c: {type: picklist, values: [Tech, Retail], restricted: true}
      Note__c: {type: text, length: 20}
      Size__c: {type: number, precision: 8, scale: 0}
    validation_rules: {Name_Ok: {formula: "LEN(Name) < 2", message: Too short, field: Name}}
"""
PLAN = """
orgbridge: 1
name: p
source: old
target: new
objects:
  - source: Account
    key: Code__c
    where: "Name != 'left out'"
  - source: Contact
"""


@pytest.fixture
def orgs(practice_org: PracticeOrgs) -> tuple[PracticeOrg, PracticeOrg]:
    return practice_org(schema=SOURCE), practice_org(schema=TARGET)


@pytest.fixture
def check(orgs: tuple[PracticeOrg, PracticeOrg]) -> Callable[[str], PreflightReport]:
    clients = [
        OrgClient(
            Credentials(instance_url=org.url, access_token=Secret(org.access_token)),
            patience=OF_A_PERSON,
        )
        for org in orgs
    ]

    def run(text: str) -> PreflightReport:
        given = PreflightInput(parse_plan(text), source=clients[0], target=clients[1])
        return preflight(given, schema_checks=schema_findings)

    return run


def _by_code(report: PreflightReport) -> dict[str, Finding]:
    return {finding.code: finding for finding in report.findings}


def _insert(org: PracticeOrg, sobject: str, *rows: dict[str, object]) -> list[str]:
    records = [{"attributes": {"type": sobject}, **row} for row in rows]
    answers = org.json("POST", "composite/sobjects", {"records": records})
    return [answer["id"] for answer in answers]


def test_keys_picklists_and_lookups_are_counted_in_the_real_data(
    orgs: tuple[PracticeOrg, PracticeOrg], check: Callable[[str], PreflightReport]
) -> None:
    source, _ = orgs
    ids = _insert(
        source,
        "Account",
        {"Name": "one", "Code__c": "A", "Sector__c": "Mining"},
        {"Name": "two", "Code__c": "A", "Sector__c": "Tech"},
        {"Name": "three", "Sector__c": "Mining"},
        {"Name": "left out", "Code__c": "Z", "Sector__c": "Mining"},
    )
    _insert(
        source,
        "Contact",
        {"LastName": "in", "AccountId": ids[0]},
        {"LastName": "out", "AccountId": ids[3]},
        {"LastName": "none"},
    )

    report = check(PLAN)

    found = _by_code(report)
    assert report.rows == {"account": 3, "contact": 3}
    assert (found["key_blank_source"].rows, found["key_blank_source"].sample_ids) == (1, (ids[2],))
    assert found["key_repeated_source"].rows == 2
    assert found["picklist_values_missing"].rows == 2
    assert found["picklist_values_missing"].severity is Severity.WARNING
    outside = found["lookup_outside"]
    assert (outside.mapping, outside.field, outside.rows) == ("contact", "AccountId", 1)
    assert "Name_Ok" in found["validation_rules"].sentence


def test_a_missing_object_and_a_wrong_filter_are_blockers_with_their_place(
    check: Callable[[str], PreflightReport],
) -> None:
    report = check(PLAN.replace("Name != ", "Nmae != ").replace("Contact", "Gone__c"))

    found = _by_code(report)
    assert not report.is_ready
    assert found["object_missing"].mapping == "gone__c"
    assert found["filter_refused"].mapping == "account"
    assert "No such column 'Nmae'" in found["filter_refused"].sentence


@pytest.mark.parametrize("away", [(0,), (1,), (0, 1)])
def test_an_org_that_is_away_is_said_once_and_no_object_is_blamed(
    orgs: tuple[PracticeOrg, PracticeOrg],
    check: Callable[[str], PreflightReport],
    away: tuple[int, ...],
) -> None:
    for side in away:
        orgs[side].stop()

    report = check(PLAN)

    named = ("old", "new")[away[0]]
    (said,) = report.findings
    assert (said.severity, said.code, said.place) == (Severity.BLOCKER, "org_does_not_answer", "")
    assert said.sentence.startswith(f"{named} could not be asked: The org at 127.0.0.1")
    assert not report.is_ready


def test_preflight_writes_nothing(
    orgs: tuple[PracticeOrg, PracticeOrg], check: Callable[[str], PreflightReport]
) -> None:
    before = [org.rows("Account") + org.rows("Contact") for org in orgs]

    report = check(PLAN)

    assert report.is_ready
    assert [org.rows("Account") + org.rows("Contact") for org in orgs] == before
    assert report.count(Severity.BLOCKER) == 0
    assert report.count(Severity.UNKNOWN) == 0


def test_schemas_are_compared_field_by_field(check: Callable[[str], PreflightReport]) -> None:
    found = {finding.field: finding.code for finding in check(PLAN).findings if finding.field}

    assert found["Note__c"] == "shorter"
    assert found["Size__c"] == "scale"


def test_rule_1_3_a_user_who_sees_a_part_of_the_files_is_named(
    check: Callable[[str], PreflightReport],
) -> None:
    found = _by_code(check(PLAN + "  - source: ContentVersion\n"))

    assert found["no_query_all_files"].severity is Severity.WARNING
    assert "no_query_all_files" not in _by_code(check(PLAN))


def test_a_required_field_that_nothing_fills_is_a_blocker(
    check: Callable[[str], PreflightReport],
) -> None:
    report = check(PLAN.replace("source: Contact", "source: Contact\n    skip: [LastName]"))

    finding = _by_code(report)["required_unmapped"]
    assert (finding.mapping, finding.field, finding.severity) == (
        "contact",
        "LastName",
        Severity.BLOCKER,
    )


def test_rule_2_5_keyless_rows_by_collections_are_a_blocker(
    check: Callable[[str], PreflightReport],
) -> None:
    by_call = PLAN.replace("source: Contact", "source: Contact\n    load: {api: collections}")

    found = _by_code(check(by_call))

    assert found["keyless_by_call"].mapping == "contact"
    assert found["keyless_by_call"].severity is Severity.BLOCKER
    accepted = by_call.replace(
        "api: collections", "api: collections, accept_keyless: small and watched"
    )
    assert "keyless_by_call" not in _by_code(check(accepted))


def test_storage_stops_what_cannot_fit_and_not_what_may_be_there_already(
    orgs: tuple[PracticeOrg, PracticeOrg], check: Callable[[str], PreflightReport]
) -> None:
    """A rerun of what filled half of an org is no second half."""
    plan = "orgbridge: 1\nname: n\nsource: old\ntarget: new\nobjects:\n  - source: Account\n"
    source, target = orgs
    for _ in range(3):
        _insert(source, "Account", *({"Name": f"row {n}"} for n in range(200)))
    target.json("POST", "/_sim/limits", {"storage_mb": 0})

    stopped = _by_code(check(plan))["storage"]

    assert stopped.severity is Severity.BLOCKER
    assert "About 1 MB of data storage would be needed and 0 MB are left" in stopped.sentence
    assert "storage" not in _by_code(check(plan + "    operation: update\n"))
    target.json("POST", "/_sim/limits", {"storage_mb": 1})
    for _ in range(2):
        _insert(target, "Account", *({"Name": f"row {n}"} for n in range(200)))
    target.json("POST", "/_sim/limits", {"storage_mb": 0})
    warned = _by_code(check(plan))["storage"]
    assert warned.severity is Severity.WARNING
    assert "if none of the rows were there yet" in warned.sentence
