"""The practice org's Tooling API and what field permissions make visible."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError

SCHEMA = """
org: {users: [{username: ann@x.example, last: Lee}]}
objects:
  Account:
    fields: {Code__c: {type: text, length: 10}, Sum__c: {type: number, formula: "1 + 1"}}
    validation_rules: {Old_Rule: {formula: 'Name = "old"', message: Old name}}
    duplicate_rules: {Same: {match: [Phone]}}
    hooks: [{set: {Website: "LOWER(Website)"}}]
"""


@pytest.fixture
def org(practice_org: PracticeOrgs) -> PracticeOrg:
    """A fresh org: these tests change its metadata."""
    return practice_org(schema=SCHEMA)


def tooling(org: PracticeOrg, soql: str) -> list[dict[str, Any]]:
    """Rows of a tooling query."""
    found: list[dict[str, Any]] = org.json("GET", f"tooling/query?q={quote(soql)}")["records"]
    return found


def new_field(org: PracticeOrg, name: str, **metadata: Any) -> str:
    """Create a custom field and return its id."""
    body = {"FullName": name, "Metadata": {"label": "New", **metadata}}
    return str(org.json("POST", "tooling/sobjects/CustomField", body)["id"])


def names(org: PracticeOrg) -> set[str]:
    """Field names in Account's describe."""
    return {one["name"] for one in org.json("GET", "sobjects/Account/describe")["fields"]}


def test_a_new_field_is_invisible_until_it_is_granted(org: PracticeOrg) -> None:
    key = {"type": "Text", "length": 18, "externalId": True, "unique": True, "caseSensitive": True}
    new_field(org, "Account.Key__c", **key)
    before = names(org)
    profile_set = org.query(
        "SELECT Id FROM PermissionSet WHERE Profile.Name = 'System Administrator'"
    )[0]["Id"]
    grant = {"ParentId": profile_set, "SobjectType": "Account", "Field": "Account.Key__c",
             "PermissionsRead": True, "PermissionsEdit": True}  # fmt: skip
    made = org.json("POST", "sobjects/FieldPermissions", grant)["id"]
    after = names(org)
    put = org.json("PATCH", "sobjects/Account/Key__c/K1", {"Name": "Keyed"})
    org.request("DELETE", f"sobjects/FieldPermissions/{made}")

    assert "Key__c" not in before
    assert "Key__c" in after
    assert put["created"]
    assert "Key__c" not in names(org)


def test_read_only_access_shows_in_the_describe_and_refuses_writes(org: PracticeOrg) -> None:
    new_field(org, "Account.Seen__c", type="Number", precision=5, scale=1)
    permission_set = org.json(
        "POST", "sobjects/PermissionSet", {"Name": "Reader", "Label": "Reader"}
    )["id"]
    grant = {"ParentId": permission_set, "SobjectType": "Account", "Field": "Account.Seen__c",
             "PermissionsRead": True, "PermissionsEdit": False}  # fmt: skip
    org.json("POST", "sobjects/FieldPermissions", grant)
    me = org.json("GET", "/_sim/org")["user_id"]
    org.json(
        "POST",
        "sobjects/PermissionSetAssignment",
        {"PermissionSetId": permission_set, "AssigneeId": me},
    )

    field = next(
        one
        for one in org.json("GET", "sobjects/Account/describe")["fields"]
        if one["name"] == "Seen__c"
    )
    with pytest.raises(RefusedError) as refused:
        org.json("POST", "sobjects/Account", {"Name": "x", "Seen__c": 1})

    assert (field["createable"], field["updateable"], field["type"]) == (False, False, "double")
    assert refused.value.body[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_fields_are_listed_read_changed_and_deleted(org: PracticeOrg) -> None:
    field_id = new_field(org, "Account.Temp__c", type="Text", length=20)
    path = f"tooling/sobjects/CustomField/{field_id}"

    read = org.json("GET", path)
    org.json("PATCH", path, {"Metadata": {**read["Metadata"], "length": 40}})
    found = tooling(
        org,
        "SELECT Id, DeveloperName, TableEnumOrId, Metadata FROM CustomField WHERE Id = "
        f"'{field_id}'",
    )
    org.request("DELETE", path)

    assert read["FullName"] == "Account.Temp__c"
    assert found[0]["Metadata"]["length"] == 40
    assert tooling(org, "SELECT Id FROM CustomField WHERE DeveloperName = 'Temp'") == []


def test_impossible_fields_are_refused(org: PracticeOrg) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("Account.Code__c", {"type": "Text", "length": 5}, "DUPLICATE_DEVELOPER_NAME"),
        ("Account.NoSuffix", {"type": "Text", "length": 5}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Account.Bad__c", {"type": "Text"}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Account.Box__c", {"type": "Checkbox"}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Nothing.Bad__c", {"type": "Text", "length": 5}, "INVALID_CROSS_REFERENCE_KEY"),
    ]

    found = []
    for name, metadata, _ in cases:
        with pytest.raises(RefusedError) as refused:
            new_field(org, name, **metadata)
        found.append(refused.value.body[0]["errorCode"])

    assert found == [code for _, _, code in cases]


def test_validation_rules_come_and_go(org: PracticeOrg) -> None:
    body = {
        "FullName": "Account.No_X",
        "Metadata": {
            "active": True,
            "errorConditionFormula": 'Name = "x"',
            "errorMessage": "Not x",
        },
    }
    rule_id = org.json("POST", "tooling/sobjects/ValidationRule", body)["id"]
    refused = org.request("POST", "sobjects/Account", {"Name": "x"})
    org.request("DELETE", f"tooling/sobjects/ValidationRule/{rule_id}")
    passed = org.request("POST", "sobjects/Account", {"Name": "x"})

    assert (refused.status, passed.status) == (400, 201)


def test_the_automation_of_an_org_can_be_asked_for(org: PracticeOrg) -> None:
    rules = tooling(
        org,
        "SELECT ValidationName, Active, ErrorMessage, EntityDefinition.QualifiedApiName "
        "FROM ValidationRule WHERE Active = true",
    )
    triggers = tooling(org, "SELECT Name, TableEnumOrId FROM ApexTrigger WHERE Status = 'Active'")
    duplicates = org.query(
        "SELECT DeveloperName, SobjectType FROM DuplicateRule WHERE IsActive = true"
    )
    flows = org.query(
        "SELECT ApiName, TriggerObjectOrEvent.QualifiedApiName FROM FlowDefinitionView "
        "WHERE IsActive = true AND TriggerType IN ('RecordBeforeSave')"
    )

    assert [
        (one["ValidationName"], one["EntityDefinition"]["QualifiedApiName"]) for one in rules
    ] == [("Old_Rule", "Account")]
    assert [one["TableEnumOrId"] for one in triggers] == ["Account"]
    assert duplicates == [{"DeveloperName": "Same", "SobjectType": "Account"}]
    assert flows == []


def test_metadata_survives_a_kill(org: PracticeOrg) -> None:
    new_field(org, "Account.Kept__c", type="Date")

    org.kill()
    org.start()

    assert len(tooling(org, "SELECT Id FROM CustomField WHERE DeveloperName = 'Kept'")) == 1
