"""The practice org's save path over HTTP: checks, rules, hooks, owners, roll-ups."""

from __future__ import annotations

from typing import Any

import pytest

from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError

SCHEMA = """
org:
  users:
    - {username: idle@x.example, last: Idle, active: false}
    - {username: ann@x.example, first: Ann, last: Lee}
  queues: {Desk: {name: Desk, objects: [Case]}, Other: {name: Other, objects: [Lead]}}
objects:
  Account:
    fields:
      Code__c: {type: text, length: 10, unique: true, external_id: true}
      Tier__c: {type: picklist, values: [Gold, Silver], restricted: true}
      Tags__c: {type: multipicklist, values: [Red, Green, Blue], restricted: true}
      Score__c: {type: number, precision: 5, scale: 2}
      Twice__c: {type: number, precision: 18, scale: 2, formula: "Score__c * 2"}
      Notes__c: {type: html}
      Lines__c:
        {type: number, scale: 0, rollup: {child: Line__c, via: Account__c, function: count}}
      Total__c:
        type: currency
        rollup: {child: Line__c, via: Account__c, function: sum, field: Amount__c}
    record_types: {Business: {name: Business, default: true}, Old: {name: Old, active: false}}
    validation_rules:
      No_Bad: {formula: 'CONTAINS(Name, "bad")', message: The name is bad, field: Name}
      Lower_Score:
        formula: "AND(NOT(ISNEW()), ISCHANGED(Score__c), Score__c < PRIORVALUE(Score__c))"
        message: Score may not fall
      Small_Total: {formula: "Total__c > 1000", message: Too much on this account}
    duplicate_rules:
      Same_Phone: {match: [Phone], action: alert, message: Same phone}
      Same_Site: {match: [Site], action: block, message: Same site}
    hooks:
      - {set: {Website: "LOWER(Website)"}}
      - {html: [Notes__c]}
      - on: [insert]
        when: 'Fax = "task"'
        create: {sobject: Task, fields: {Subject: '"Call " & Name', WhatId: Id}}
      - {when: 'Fax = "no"', refuse: No fax please, field: Fax}
  Case:
    assignment_rules: {Web: {where: 'ISPICKVAL(Origin, "Web")', owner: Desk}}
  Line__c:
    name_field: {type: autonumber, format: "L-{0000}"}
    owner: []
    fields:
      Account__c: {type: master_detail, to: Account, children: Lines__r}
      Amount__c: {type: currency}
"""


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """One org for the module; tests use names of their own."""
    return module_practice_org(schema=SCHEMA)


def add(org: PracticeOrg, sobject: str, **fields: Any) -> str:
    """Create one record and return its id."""
    return str(org.json("POST", f"sobjects/{sobject}", fields)["id"])


def refusal(org: PracticeOrg, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """The first error of a call that the org must refuse."""
    with pytest.raises(RefusedError) as caught:
        org.json(method, path, body)
    found: dict[str, Any] = caught.value.body[0]
    return found


def row(org: PracticeOrg, sobject: str, record_id: str) -> dict[str, Any]:
    """One stored row."""
    return next(one for one in org.rows(sobject) if one["Id"] == record_id)


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({}, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]"),
        ({"Name": "x" * 256}, "STRING_TOO_LONG", "(max length=255)"),
        ({"Name": "a", "Tier__c": "Tin"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "Tin"),
        ({"Name": "a", "Tags__c": "Red;Pink"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "Pink"),
        ({"Name": "a", "Score__c": 12345}, "NUMBER_OUTSIDE_VALID_RANGE", "12345"),
        ({"Name": "a", "Score__c": "many"}, "INVALID_TYPE_ON_FIELD_IN_RECORD", "many"),
        ({"Name": "a", "ParentId": "003000000000001AAA"}, "MALFORMED_ID", "incorrect type"),
        ({"Name": "a", "ParentId": "001000000000001AAA"}, "INVALID_CROSS_REFERENCE_KEY", "invalid"),
        ({"Name": "a", "Lines__c": 3}, "INVALID_FIELD_FOR_INSERT_UPDATE", "Lines__c"),
        ({"Name": "a", "Twice__c": 3}, "INVALID_FIELD_FOR_INSERT_UPDATE", "Twice__c"),
        (
            {"Name": "a", "CreatedDate": "2020-01-01T00:00:00Z"},
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "CreatedDate",
        ),
        ({"Name": "a bad one"}, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "The name is bad"),
        ({"Name": "a", "Fax": "no"}, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "No fax please"),
    ],
)
def test_insert_refuses_with_salesforces_code(
    org: PracticeOrg, fields: dict[str, Any], code: str, message: str
) -> None:
    found = refusal(org, "POST", "sobjects/Account", fields)

    assert found["errorCode"] == code
    assert message in found["message"]


def test_values_are_trimmed_rounded_ordered_and_rewritten(org: PracticeOrg) -> None:
    made = add(org, "Account", Name="  Trim  ", Score__c=1.005, Tags__c="blue;Red", Website="HTTP://X.EXAMPLE",
               Notes__c="<B>hi</B>", Phone="")  # fmt: skip

    found = row(org, "Account", made)
    assert (found["Name"], found["Tags__c"], found["Website"]) == (
        "Trim",
        "Red;Blue",
        "http://x.example",
    )
    assert found["Notes__c"] == "<p><b>hi</b></p>"
    assert found["Phone"] is None
    assert found["Score__c"] in (1.0, 1.01)
    assert (
        org.query(f"SELECT Twice__c FROM Account WHERE Id = '{made}'")[0]["Twice__c"]
        == found["Score__c"] * 2
    )


def test_unique_values_collide_in_any_letter_case_and_name_the_holder(org: PracticeOrg) -> None:
    first = add(org, "Account", Name="U1", Code__c="abc")

    found = refusal(org, "POST", "sobjects/Account", {"Name": "U2", "Code__c": "ABC"})

    assert found["errorCode"] == "DUPLICATE_VALUE"
    assert first[:15] in found["message"]


def test_rules_see_the_row_before(org: PracticeOrg) -> None:
    made = add(org, "Account", Name="Falls", Score__c=5)

    found = refusal(org, "PATCH", f"sobjects/Account/{made}", {"Score__c": 4})

    assert found["message"] == "Score may not fall"
    assert org.request("PATCH", f"sobjects/Account/{made}", {"Score__c": 6}).status == 204


def test_alerting_duplicate_rules_yield_to_the_header_blocking_ones_do_not(
    org: PracticeOrg,
) -> None:
    allow = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    first = add(org, "Account", Name="D1", Phone="777", Site="here")

    found = refusal(org, "POST", "sobjects/Account", {"Name": "D2", "Phone": "777"})
    passed = org.json("POST", "sobjects/Account", {"Name": "D3", "Phone": "777"}, headers=allow)
    blocked = org.request("POST", "sobjects/Account", {"Name": "D4", "Site": "here"}, headers=allow)

    assert found["errorCode"] == "DUPLICATES_DETECTED"
    records = found["duplicateResult"]["matchResults"][0]["matchRecords"]
    assert records[0]["record"]["Id"] == first
    assert passed["success"]
    assert blocked.status == 400


def test_assignment_rules_run_unless_the_header_says_no(org: PracticeOrg) -> None:
    web = add(org, "Case", Origin="Web")
    off = org.json(
        "POST", "sobjects/Case", {"Origin": "Web"}, headers={"Sforce-Auto-Assign": "FALSE"}
    )
    phone = add(org, "Case", Origin="Phone")

    owners = {one["Id"]: one["OwnerId"] for one in org.rows("Case")}
    assert owners[web].startswith("00G")
    assert owners[off["id"]].startswith("005")
    assert owners[phone].startswith("005")


def test_owners_are_active_users_or_queues_that_serve_the_object(org: PracticeOrg) -> None:
    people = {one["Username"]: one["Id"] for one in org.rows("User")}
    queues = {one["DeveloperName"]: one["Id"] for one in org.rows("Group")}

    idle = refusal(
        org, "POST", "sobjects/Account", {"Name": "o", "OwnerId": people["idle@x.example"]}
    )
    queue = refusal(org, "POST", "sobjects/Account", {"Name": "o", "OwnerId": queues["Desk"]})
    other = refusal(org, "POST", "sobjects/Case", {"OwnerId": queues["Other"]})

    assert idle["errorCode"] == "INACTIVE_OWNER_OR_USER"
    assert idle["message"].endswith("as owner of account")
    assert queue["errorCode"] == "MALFORMED_ID"
    assert other["errorCode"] == "INVALID_OPERATION"
    assert add(org, "Case", OwnerId=queues["Desk"])


def test_record_types_default_and_inactive_ones_are_refused(org: PracticeOrg) -> None:
    types = {one["DeveloperName"]: one["Id"] for one in org.rows("RecordType")}

    made = add(org, "Account", Name="rt")
    found = refusal(org, "POST", "sobjects/Account", {"Name": "rt", "RecordTypeId": types["Old"]})

    assert row(org, "Account", made)["RecordTypeId"] == types["Business"]
    assert found["errorCode"] == "INVALID_CROSS_REFERENCE_KEY"


def test_roll_ups_follow_their_children_and_their_rules_stop_them(org: PracticeOrg) -> None:
    account = add(org, "Account", Name="Rolls")
    first = add(org, "Line__c", Account__c=account, Amount__c=400)
    add(org, "Line__c", Account__c=account, Amount__c=500)

    before = row(org, "Account", account)
    found = refusal(org, "POST", "sobjects/Line__c", {"Account__c": account, "Amount__c": 200})
    org.request("DELETE", f"sobjects/Line__c/{first}")
    after = row(org, "Account", account)

    assert (before["Lines__c"], before["Total__c"]) == (2, 900)
    assert found["message"] == "Too much on this account"
    assert (after["Lines__c"], after["Total__c"]) == (1, 500)
    numbers = [one["Name"] for one in org.rows("Line__c") if one["Account__c"] == account]
    assert int(numbers[1].removeprefix("L-")) == int(numbers[0].removeprefix("L-")) + 1


def test_hooks_add_rows_that_point_at_the_new_one(org: PracticeOrg) -> None:
    made = add(org, "Account", Name="Hooked", Fax="task")

    found = org.query(f"SELECT Subject FROM Task WHERE WhatId = '{made}'")

    assert [one["Subject"] for one in found] == ["Call Hooked"]


def test_a_failing_row_does_not_spoil_its_neighbours(org: PracticeOrg) -> None:
    account = add(org, "Account", Name="Neighbours")
    records = [
        {"attributes": {"type": "Line__c"}, "Account__c": account, "Amount__c": amount}
        for amount in (10, "much", 20)
    ]

    answer = org.json("POST", "composite/sobjects", {"records": records})

    assert [one["success"] for one in answer] == [True, False, True]
    assert row(org, "Account", account)["Total__c"] == 30


def test_deleting_a_master_takes_its_details_and_undelete_brings_them_back(
    org: PracticeOrg,
) -> None:
    account = add(org, "Account", Name="Master")
    child = add(org, "Account", Name="Child", ParentId=account)
    line = add(org, "Line__c", Account__c=account, Amount__c=1)

    org.request("DELETE", f"sobjects/Account/{account}")
    gone = row(org, "Line__c", line)["IsDeleted"], row(org, "Account", child)["ParentId"]
    org.json("POST", "/_sim/edit", {"undelete": [account]})
    back = row(org, "Line__c", line)["IsDeleted"], row(org, "Account", child)["ParentId"]

    assert gone == (True, None)
    assert back == (False, account)


def test_a_restricting_child_stops_the_delete(org: PracticeOrg) -> None:
    account = add(org, "Account", Name="Held")
    case = add(org, "Case", AccountId=account)

    found = refusal(org, "DELETE", f"sobjects/Account/{account}")

    assert found["errorCode"] == "DELETE_FAILED"
    assert case in found["message"]


def test_parents_may_not_form_a_circle(org: PracticeOrg) -> None:
    top = add(org, "Account", Name="Top")
    low = add(org, "Account", Name="Low", ParentId=top)

    found = refusal(org, "PATCH", f"sobjects/Account/{top}", {"ParentId": low})

    assert found["errorCode"] == "CIRCULAR_DEPENDENCY"


def test_another_users_edit_is_signed_with_their_name(org: PracticeOrg) -> None:
    made = add(org, "Account", Name="Edited")
    people = {one["Username"]: one["Id"] for one in org.rows("User")}

    org.json(
        "POST",
        "/_sim/edit",
        {"user": "ann@x.example", "update": {"Account": [{"Id": made, "Name": "By Ann"}]}},
    )

    found = row(org, "Account", made)
    assert (found["Name"], found["LastModifiedById"]) == ("By Ann", people["ann@x.example"])
    assert found["CreatedById"] != found["LastModifiedById"]


def test_a_formula_outside_the_subset_stops_the_start(practice_org: PracticeOrgs) -> None:
    odd = "objects: {Account: {validation_rules: {Odd: {formula: 'VLOOKUP(Name)', message: x}}}}"

    with pytest.raises(AssertionError, match=r"Account, validation rule Odd: Function VLOOKUP"):
        practice_org(schema=odd)
