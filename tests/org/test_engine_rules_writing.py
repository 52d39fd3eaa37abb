"""Rules of recognising and writing records (2.x, 3.x), between two practice orgs."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from tests.org.engine import Pair, check_identity, line
from tests.org.pairs import by_key, change, create, live
from tests.org.rule_orgs import KEYED, OBJECTS, plan, schema
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PracticeOrg

orgs = two_orgs(schema(domain="old.example"), schema(domain="new.example"))
pair = empty_pair(*OBJECTS)


def chunk_operations(pair: Pair, run: dict[str, Any]) -> dict[str, set[str]]:
    """By which APIs the operations of a run travelled."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        rows = session.execute(
            text(
                "SELECT c.operation, c.api FROM run_chunk c JOIN data_migration m"
                " ON m.id = c.run_id WHERE m.data_schedule_id = :name"
            ),
            {"name": run["run_id"]},
        )
        found: dict[str, set[str]] = {}
        for operation, api in rows:
            found.setdefault(str(operation), set()).add(str(api))
        return found


def test_rule_2_1_an_expression_is_stamped_and_finds_its_record_again(pair: Pair) -> None:
    ids = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    stamped = "source: Account, key: {source: [Id], target: [Legacy_Id__c], value: \"'E-' || Id\"}"

    first = pair.run(plan(stamped))
    # another name of the mapping: no link of the ledger helps
    again = pair.run(plan(f"as: other, {stamped}"))

    assert line(first, "account")["inserted"] == 2
    assert set(by_key(pair.target, "Account")) == {f"E-{one}" for one in ids}
    assert line(again, "other")["unchanged"] == 2


def test_rule_2_2_a_key_with_a_part_through_a_parent_finds_the_record(pair: Pair) -> None:
    (here,) = create(pair.source, "Account", {"Name": "A", "Legacy_Id__c": "a-1"})
    (there,) = create(pair.target, "Account", {"Name": "A there", "Legacy_Id__c": "a-1"})
    create(pair.source, "Contact", {"LastName": "Ng", "Title": "new", "AccountId": here})
    create(pair.target, "Contact", {"LastName": "ng ", "AccountId": there}, {"LastName": "Ng"})

    document = pair.run(
        plan(
            "source: Account, key: Legacy_Id__c, auto_map: false, operation: update",
            "source: Contact, key: [LastName, Account.Legacy_Id__c], auto_map: false,"
            " operation: update,"
            " fields: {Title: Title, AccountId: AccountId}",
        )
    )

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    titles = {row["AccountId"]: row["Title"] for row in live(pair.target, "Contact")}
    assert titles == {there: "new", None: None}


def test_rule_2_3_a_chosen_survivor_goes_and_the_others_of_its_group_are_skipped(
    pair: Pair,
) -> None:
    first, second, _ = create(
        pair.source, "Account", {"Name": "same"}, {"Name": "Same"}, {"Name": "other"}
    )

    document = pair.run(plan(f"source: Account, key: Name, duplicates: {{survivors: [{second}]}}"))

    check_identity(document)
    assert line(document, "account")["inserted"] == 2
    assert line(document, "account")["skipped"] == 1
    assert {row["Name"] for row in live(pair.target, "Account")} == {"Same", "other"}
    assert first


def test_rule_2_4_a_target_that_was_merged_away_is_followed_to_the_winner(pair: Pair) -> None:
    here = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    ledger = plan("source: Account, on_target_change: overwrite")
    pair.run(ledger)
    there = {row["Name"]: row["Id"] for row in live(pair.target, "Account")}
    merged = {"winner": there["A"], "losers": [there["B"]]}
    pair.target.json("POST", "/_sim/edit", {"merge": merged})
    (person,) = create(pair.source, "Contact", {"LastName": "of B", "AccountId": here[1]})

    document = pair.run(
        plan("source: Account, on_target_change: keep", f"source: Contact, {KEYED}")
    )

    assert line(document, "account")["blocked"] == line(document, "account")["inserted"] == 0
    assert [row["Id"] for row in live(pair.target, "Account")] == [there["A"]]
    assert by_key(pair.target, "Contact")[person]["AccountId"] == there["A"]


@pytest.mark.parametrize(
    ("rows", "subjects"),
    [("live", ["now"]), ("archived", ["then"]), ("all", ["now", "then"])],
)
def test_rule_1_2_archived_activities_come_where_the_plan_says_so(
    pair: Pair, rows: str, subjects: list[str]
) -> None:
    _, then = create(pair.source, "Task", {"Subject": "now"}, {"Subject": "then"})
    pair.source.json("POST", "/_sim/edit", {"archive": {"Task": [then]}})

    document = pair.run(plan(f"source: Task, {KEYED}, rows: {rows}, skip: [IsArchived]"))

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    assert sorted(row["Subject"] for row in live(pair.target, "Task")) == subjects
    found = pair.summary(document)["preflight"]["findings"]
    assert "no_rows" not in {finding["code"] for finding in found}


@pytest.mark.parametrize(
    ("fields", "operation"),
    [("Name: Name", "upsert"), ("Name: Name, Once__c: Name", "insert")],
)
def test_rule_2_6_upsert_is_used_where_insert_and_update_send_the_same_fields(
    pair: Pair, fields: str, operation: str
) -> None:
    create(pair.source, "Account", {"Name": "A"})

    document = pair.run(plan(f"source: Account, {KEYED}, auto_map: false, fields: {{{fields}}}"))

    assert set(chunk_operations(pair, document)) == {operation}
    assert line(document, "account")["inserted"] == 1


@pytest.mark.parametrize(("rule", "owner"), [("off", "User"), ("default", "Group")])
def test_rule_3_4_assignment_rules_run_only_where_the_plan_says_so(
    pair: Pair, rule: str, owner: str
) -> None:
    create(
        pair.source,
        "Case",
        *({"Subject": f"c{n}", "Origin": "Web", "OwnerId": _user(pair.source)} for n in range(3)),
    )
    # the session ends before the write: the repeated request says the same
    pair.target.plant({"kind": "http", "preset": "session", "path": "/composite/sobjects"})

    document = pair.run(
        plan(
            f"source: Case, {KEYED}, auto_map: false, fields: {{Subject: Subject, Origin: Origin}},"
            f" load: {{api: collections, assignment_rules: {rule}}}"
        )
    )

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    renew(pair.target)
    prefix = {"User": "005", "Group": "00G"}[owner]
    assert {row["OwnerId"][:3] for row in live(pair.target, "Case")} == {prefix}


def renew(org: PracticeOrg) -> None:
    """A new token for the test itself, after all sessions ended."""
    ready = json.loads((org.home / "ready.json").read_text())
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": ready["client_id"],
            "client_secret": ready["client_secret"],
        }
    )
    answer = org.http.request(
        "POST",
        f"{org.url}/services/oauth2/token",
        body=form.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    org.access_token = json.loads(answer.data)["access_token"]


def _user(org: PracticeOrg) -> str:
    return next(row["Id"] for row in org.rows("User") if row["LastName"] == "Lee")


@pytest.mark.parametrize(("policy", "arrived"), [("block", 0), ("allow", 1)])
def test_rule_3_4_duplicate_rules_are_passed_only_where_the_plan_allows(
    pair: Pair, policy: str, arrived: int
) -> None:
    create(pair.source, "Account", {"Name": "A", "Fax": "1"})
    create(pair.target, "Account", {"Name": "there", "Fax": "1"})

    document = pair.run(
        plan(f"source: Account, {KEYED}, load: {{duplicate_rules: {policy}, api: collections}}")
    )

    assert line(document, "account")["inserted"] == arrived
    assert line(document, "account")["failed"] == 1 - arrived
    assert all("collections" in apis for apis in chunk_operations(pair, document).values())


def test_rule_3_5_a_field_that_is_written_on_insert_only_is_not_sent_again(pair: Pair) -> None:
    (one,) = create(pair.source, "Account", {"Name": "A", "Once__c": "first"})
    keyed = plan(f"source: Account, {KEYED}")
    pair.run(keyed)
    change(pair.source, "Account", one, Name="A2")

    document = pair.run(keyed)

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    row = by_key(pair.target, "Account")[one]
    assert (row["Name"], row["Once__c"]) == ("A2", "first")


def test_rule_3_7_finally_closes_a_record_after_its_children_arrived(pair: Pair) -> None:
    (project,) = create(pair.source, "Project__c", {"Name": "P", "Status__c": "Open"})
    create(pair.source, "Line__c", *({"Name": f"L{n}", "Project__c": project} for n in range(3)))
    change(pair.source, "Project__c", project, Status__c="Closed")
    text_of_plan = plan(
        f"source: Project__c, {KEYED}, finally: {{Status__c: {{from: Status__c}}}},"
        " fields: {Status__c: {constant: Open, write: insert_only}}",
        f"source: Line__c, {KEYED}",
    )

    document = pair.run(text_of_plan)
    again = pair.run(text_of_plan)

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    assert len(live(pair.target, "Line__c")) == 3
    assert by_key(pair.target, "Project__c")[project]["Status__c"] == "Closed"
    assert line(again, "project__c")["unchanged"] == 1
    assert line(again, "line__c")["unchanged"] == 3


def test_rule_3_9_audit_fields_are_written_once_through_the_user_map(pair: Pair) -> None:
    users = {row["LastName"]: row["Id"] for row in pair.source.rows("User")}
    there = {row["LastName"]: row["Id"] for row in pair.target.rows("User")}
    made = {"CreatedDate": "2019-05-05T10:00:00.000+0000", "CreatedById": users["Idle"]}
    (one,) = create(pair.source, "Account", {"Name": "A", **made})
    text_of_plan = plan(
        f"source: Account, {KEYED}, fields: {{CreatedDate: CreatedDate, CreatedById: CreatedById}},"
        " lookups: {CreatedById: {match: Username, map: {idle@old.example: idle@new.example}}}"
    )

    document = pair.run(text_of_plan)
    change(pair.source, "Account", one, Name="A2")
    again = pair.run(text_of_plan)

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    row = by_key(pair.target, "Account")[one]
    assert row["CreatedDate"].startswith("2019-05-05T10:00:00")
    assert row["CreatedById"] == there["Idle"]
    assert line(again, "account")["updated"] == 1
    assert again["status"] == "Succeeded", pair.failures(again["run_id"])


def test_hard_deletes_leave_nothing_in_the_recycle_bin(pair: Pair) -> None:
    one, two = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    gone, stays = create(
        pair.target, "Account", {"Name": "x", "Legacy_Id__c": one}, {"Name": "stays"}
    )

    document = pair.run(
        plan(f"source: Account, {KEYED}, operation: hard_delete"),
        confirm="new",
        reason="clean the rehearsal",
    )

    assert line(document, "account")["updated"] == 1
    assert line(document, "account")["skipped"] == 1
    left = {row["Id"] for row in pair.target.rows("Account")}  # the recycle bin's too
    assert gone not in left
    assert stays in left
    assert two


AWKWARD = [
    {"Name": 'quotes " and , commas; and tabs\t', "Long__c": 'line\nline\n\n"quoted"\nend'},
    {"Name": "emoji 👩‍👩‍👧 שלום عالم", "Long__c": "x" * 4_500},
    {"Name": "00123", "Phone": "0049", "Site": "=1+1"},
    {"Name": "#N/A", "Phone": "#N/A", "Site": "N/A"},
    {"Name": "null", "Site": "NULL", "Long__c": "<b>bold</b> &amp; <br/>"},
    {"Name": "exact", "Amount__c": 1234567890123456.78, "Exact__c": 123456789012.345678},
    {"Name": "small", "Amount__c": 0, "Exact__c": -0.000001},
    {"Name": "spring forward", "When__c": "2024-03-31T01:30:00.000+0000", "Day__c": "2024-03-31"},
    {"Name": "fall back", "When__c": "2024-10-27T00:30:00.000+0000", "Day__c": "2024-10-27"},
    {"Name": "fall back twice", "When__c": "2024-10-27T01:30:00.000+0000", "Day__c": "1900-01-01"},
]


@pytest.mark.parametrize("api", ["bulk", "collections"])
def test_awkward_values_arrive_as_they_are(pair: Pair, api: str) -> None:
    create(pair.source, "Account", *AWKWARD)

    document = pair.run(plan(f"source: Account, {KEYED}, load: {{api: {api}}}"))

    check_identity(document)
    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    names = ("Name", "Long__c", "Phone", "Site", "Amount__c", "Exact__c", "When__c", "Day__c")
    there = by_key(pair.target, "Account")
    for row in live(pair.source, "Account"):
        copy = there[row["Id"]]
        assert {n: copy[n] for n in names} == {n: row[n] for n in names}
    proof = pair.summary(document)["proof"]["account"]
    assert proof["differences"]["lost"] == 0
    assert line(pair.run(plan(f"source: Account, {KEYED}")), "account")["unchanged"] == 10


def test_addresses_move_by_their_parts_and_amounts_with_their_currency(pair: Pair) -> None:
    address = {"BillingStreet": "1 Main St\nFloor 2", "BillingCity": "Köln", "BillingCountry": "DE"}
    (one,) = create(
        pair.source,
        "Account",
        {"Name": "A", **address, "CurrencyIsoCode": "EUR", "Amount__c": 12.34},
    )

    document = pair.run(plan(f"source: Account, {KEYED}"))

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    row = by_key(pair.target, "Account")[one]
    assert {name: row[name] for name in address} == address
    assert (row["CurrencyIsoCode"], row["Amount__c"]) == ("EUR", 12.34)


def test_rule_3_2_what_finally_set_is_no_change_by_a_person(pair: Pair) -> None:
    """Without a proof, too: the last word of our own run stands in the second in which it ended,
    and what was sent first is not what stands there."""
    (account,) = create(pair.source, "Account", {"Name": "A", "Description": "at last"})
    text_of_plan = plan(
        f"source: Account, {KEYED}, finally: {{Description: {{from: Description}}}},"
        " fields: {Description: {constant: at first}}"
    )
    pair.target.json("POST", "/_sim/clock", {"freeze": "2026-11-21T08:00:00+00:00"})

    first = pair.run(text_of_plan, verify=False)
    stood = by_key(pair.target, "Account")[account]["Description"]
    change(pair.source, "Account", account, Name="B")
    again = pair.run(text_of_plan, verify=False)
    pair.target.json("POST", "/_sim/clock", {"freeze": None})

    assert first["status"] == again["status"] == "Succeeded"
    assert stood == "at last"
    assert line(again, "account")["updated"] == 1
    row = by_key(pair.target, "Account")[account]
    assert (row["Name"], row["Description"]) == ("B", "at last")
