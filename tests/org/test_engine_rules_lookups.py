"""Rules of lookups (5.x) and of what they name, between two practice orgs."""

from __future__ import annotations

import pytest

from tests.org.engine import Pair, check_identity, line
from tests.org.pairs import by_key, change, create, live
from tests.org.rule_orgs import KEYED, OBJECTS, plan, schema
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PracticeOrg

orgs = two_orgs(schema(domain="old.example"), schema(domain="new.example"))
pair = empty_pair(*OBJECTS)


def contacts(policy: str) -> str:
    """A plan of contacts alone, whose accounts are found by that policy."""
    return plan(f"source: Contact, {KEYED}, lookups: {{AccountId: {{{policy}}}}}")


def test_rule_5_1_a_match_finds_records_that_are_not_in_the_plan(pair: Pair) -> None:
    (here,) = create(pair.source, "Account", {"Name": " Acme "})
    (there,) = create(pair.target, "Account", {"Name": "acme"})
    create(pair.source, "Contact", {"LastName": "Ng", "AccountId": here})

    document = pair.run(contacts("object: Account, match: Name"))

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    assert [row["AccountId"] for row in live(pair.target, "Contact")] == [there]


@pytest.mark.parametrize("policy", ["reject", "first", "blank"])
def test_rule_5_1_an_ambiguous_match_follows_its_policy(pair: Pair, policy: str) -> None:
    (here,) = create(pair.source, "Account", {"Name": "Acme"})
    twins = create(pair.target, "Account", {"Name": "Acme"}, {"Name": "ACME"})
    create(pair.source, "Contact", {"LastName": "Ng", "AccountId": here})

    document = pair.run(contacts(f"object: Account, match: Name, ambiguous: {policy}"))

    check_identity(document)
    found = [row["AccountId"] for row in live(pair.target, "Contact")]
    assert found == {"reject": [], "first": [sorted(twins)[0]], "blank": [None]}[policy]
    assert line(document, "contact")["blocked"] == int(policy == "reject")
    assert line(document, "contact")["lookups_left_blank"] == int(policy == "blank")


def test_rule_5_1_a_fixed_record_stands_in_for_what_is_missing(pair: Pair) -> None:
    (here,) = create(pair.source, "Account", {"Name": "Acme"})
    (spare,) = create(pair.target, "Account", {"Name": "Spare"})
    create(pair.source, "Contact", {"LastName": "Ng", "AccountId": here}, {"LastName": "Free"})

    document = pair.run(contacts(f"object: Account, match: Name, missing: {spare}"))

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    named = {row["LastName"]: row["AccountId"] for row in live(pair.target, "Contact")}
    assert named == {"Ng": spare, "Free": None}


def test_rule_5_1_owners_are_users_or_queues_and_the_running_user_stands_in(pair: Pair) -> None:
    users = {row["LastName"]: row["Id"] for row in pair.source.rows("User")}
    there = {row["LastName"]: row["Id"] for row in pair.target.rows("User")}
    queue, queue_there = (
        next(row["Id"] for row in org.rows("Group") if row["DeveloperName"] == "Desk")
        for org in (pair.source, pair.target)
    )
    owned = {"of ann": users["Lee"], "of desk": queue, "of idle": users["Idle"]}
    create(pair.source, "Case", *({"Subject": k, "OwnerId": v} for k, v in owned.items()))

    document = pair.run(
        plan(
            f"source: Case, {KEYED}, auto_map: false, fields: {{Subject: Subject}},"
            " lookups: {OwnerId: {match: Username,"
            " map: {ann@old.example: ann@new.example}, missing: running_user}}"
        )
    )

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    owners = {row["Subject"]: row["OwnerId"] for row in live(pair.target, "Case")}
    assert owners["of ann"] == there["Lee"]
    assert owners["of desk"] == queue_there
    assert owners["of idle"] not in (there["Lee"], there["Idle"], queue_there)


def test_rule_5_1_polymorphic_lookups_go_through_the_mappings_they_name(pair: Pair) -> None:
    (account,) = create(pair.source, "Account", {"Name": "A"})
    deal = {"Name": "O", "StageName": "Prospecting", "CloseDate": "2030-01-01"}
    (opportunity,) = create(pair.source, "Opportunity", {**deal, "AccountId": account})
    (person,) = create(pair.source, "Contact", {"LastName": "Ng", "AccountId": account})
    (lead,) = create(pair.source, "Lead", {"LastName": "Ho", "Company": "C"})
    create(
        pair.source,
        "Task",
        {"Subject": "1", "WhatId": account, "WhoId": person},
        {"Subject": "2", "WhatId": opportunity, "WhoId": person},
        {"Subject": "3", "WhoId": lead},
    )

    document = pair.run(
        plan(
            *(f"source: {name}, {KEYED}" for name in ("Account", "Opportunity", "Contact", "Lead")),
            f"source: Task, {KEYED}, lookups: {{WhatId: {{through: [account, opportunity]}},"
            " WhoId: {through: [lead, contact]}}",
        )
    )

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    keys = {
        row["Id"]: row["Legacy_Id__c"]
        for name in ("Account", "Opportunity", "Contact", "Lead")
        for row in live(pair.target, name)
    }
    named = {
        row["Subject"]: (keys.get(row["WhatId"]), keys.get(row["WhoId"]))
        for row in live(pair.target, "Task")
    }
    assert named == {"1": (account, person), "2": (opportunity, person), "3": (None, lead)}


def test_rule_1_4_one_object_in_two_mappings_is_one_parent_for_its_children(pair: Pair) -> None:
    large, small = create(pair.source, "Account", {"Name": "large"}, {"Name": "small"})
    create(
        pair.source,
        "Contact",
        {"LastName": "of large", "AccountId": large},
        {"LastName": "of small", "AccountId": small},
    )

    document = pair.run(
        plan(
            f"as: big, source: Account, {KEYED}, where: \"Name = 'large'\"",
            f"as: little, source: Account, {KEYED}, where: \"Name = 'small'\","
            " fields: {Phone: {constant: '1'}}",
            f"source: Contact, {KEYED}",
        )
    )

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    accounts = {row["Id"]: (row["Name"], row["Phone"]) for row in live(pair.target, "Account")}
    named = {row["LastName"]: accounts[row["AccountId"]] for row in live(pair.target, "Contact")}
    assert named == {"of large": ("large", None), "of small": ("small", "1")}


def test_record_types_are_found_by_name_and_by_map(pair: Pair) -> None:
    def types(org: PracticeOrg) -> dict[str, str]:
        return {row["DeveloperName"]: row["Id"] for row in org.rows("RecordType")}

    here, there = types(pair.source), types(pair.target)
    create(
        pair.source,
        "Account",
        {"Name": "b", "RecordTypeId": here["Business"]},
        {"Name": "p", "RecordTypeId": here["Partner"]},
    )

    document = pair.run(plan(f"source: Account, {KEYED}"))
    kinds = {row["Name"]: row["RecordTypeId"] for row in live(pair.target, "Account")}
    mapped = pair.run(
        plan(f"source: Account, {KEYED}, lookups: {{RecordTypeId: {{map: {{Business: Partner}}}}}}")
    )

    assert document["status"] == mapped["status"] == "Succeeded"
    assert kinds == {"b": there["Business"], "p": there["Partner"]}
    assert {row["RecordTypeId"] for row in live(pair.target, "Account")} == {there["Partner"]}


def test_ids_of_15_characters_lead_to_the_same_record(pair: Pair) -> None:
    (parent,) = create(pair.source, "Account", {"Name": "parent"})
    (child,) = create(pair.source, "Account", {"Name": "child", "Old_Id__c": parent[:15]})

    document = pair.run(
        plan(
            f"source: Account, {KEYED}, auto_map: false,"
            " fields: {Name: Name, ParentId: Old_Id__c}"
        )
    )

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    there = by_key(pair.target, "Account")
    assert there[child]["ParentId"] == there[parent]["Id"]


@pytest.mark.parametrize("required", [False, True])
def test_rule_4_1_a_cycle_of_two_objects_is_closed(pair: Pair, required: bool) -> None:
    (project,) = create(pair.source, "Project__c", {"Name": "P"})
    (account,) = create(pair.source, "Account", {"Name": "A", "Old_Id__c": project})
    change(pair.source, "Project__c", project, Account__c=account)
    (line_id,) = create(pair.source, "Line__c", {"Name": "L", "Project__c": project})
    assert line_id

    document = pair.run(
        plan(
            f"source: Line__c, {KEYED}",
            f"source: Project__c, {KEYED}" + (", defer: [Account__c]" if required else ""),
            f"source: Account, {KEYED}",
        )
    )

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    there = by_key(pair.target, "Project__c")[project]
    assert there["Account__c"] == by_key(pair.target, "Account")[account]["Id"]
    assert live(pair.target, "Line__c")[0]["Project__c"] == there["Id"]
    assert line(document, "project__c")["second_pass"] == int(required)


def test_rule_6_3_twins_are_counted_as_often_as_they_are(pair: Pair) -> None:
    create(pair.source, "Lead", *({"LastName": "Twin", "Company": f"C{n % 2}"} for n in range(6)))

    document = pair.run(plan("source: Lead"))

    assert line(document, "lead")["twins"] == 4
    companies = sorted(row["Company"] for row in live(pair.target, "Lead"))
    assert companies == ["C0"] * 3 + ["C1"] * 3
    assert pair.summary(document)["proof"]["lead"]["differences"]["lost"] == 0


def test_rule_3_3_a_refused_row_whose_lookup_waits_is_sent_again(pair: Pair) -> None:
    """Its lookup alone is not filled in: the ledger would take the whole row for sent. All of it
    within one second of the target, as if somebody had touched the rows."""
    first, second = create(pair.source, "Contact", {"LastName": "A"}, {"LastName": "B"})
    change(pair.source, "Contact", first, ReportsToId=second)
    change(pair.source, "Contact", second, ReportsToId=first)
    pair.target.json("POST", "/_sim/clock", {"freeze": "2026-11-21T08:00:00+00:00"})
    old = [{"LastName": "old", "Legacy_Id__c": one} for one in (first, second)]
    create(pair.target, "Contact", *old)
    circle = plan(f"source: Contact, {KEYED}, operation: update")
    refusal = {"kind": "row", "object": "Contact", "code": "SOME_RULE", "message": "no", "times": 0}
    pair.target.plant(refusal)

    refused = pair.run(circle)
    between = [(row["LastName"], row["ReportsToId"]) for row in live(pair.target, "Contact")]
    pair.target.clear_faults()
    again = pair.run(circle)
    pair.target.json("POST", "/_sim/clock", {"freeze": None})

    assert line(refused, "contact")["failed"] == 2
    assert line(refused, "contact")["lookups_left_blank"] == 0
    assert between == [("old", None), ("old", None)]
    assert line(again, "contact")["updated"] == 2, pair.failures(again["run_id"])
    held = by_key(pair.target, "Contact")
    assert {row["LastName"] for row in held.values()} == {"A", "B"}
    assert held[first]["ReportsToId"] == held[second]["Id"]
    assert held[second]["ReportsToId"] == held[first]["Id"]
