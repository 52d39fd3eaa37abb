"""Rules of scope and reading (1.x), between two practice orgs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.db import runs
from tests.org.engine import SCHEMA, Pair, check_identity, line
from tests.org.pairs import by_key, change, create, live
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import wait_for

PLAN = """
orgbridge: 1
name: reading
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    where: "Name != 'outside'"
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
"""


orgs = two_orgs(SCHEMA)
pair = empty_pair("Contact", "Account")


def test_rule_1_1_a_parent_that_was_not_read_is_found_in_the_target_by_its_key(pair: Pair) -> None:
    known, unknown = create(pair.source, "Account", {"Name": "outside"}, {"Name": "outside"})
    (there,) = create(pair.target, "Account", {"Name": "long there", "Legacy_Id__c": known})
    create(
        pair.source,
        "Contact",
        {"LastName": "found", "AccountId": known},
        {"LastName": "lost", "AccountId": unknown},
    )

    document = pair.run(PLAN)

    check_identity(document)
    assert line(document, "account")["read"] == 0
    assert line(document, "contact")["inserted"] == 1
    assert [f["code"] for f in pair.failures(document["run_id"])] == ["LOOKUP_UNRESOLVED"]
    (person,) = live(pair.target, "Contact")
    assert (person["LastName"], person["AccountId"]) == ("found", there)
    assert [row["Name"] for row in live(pair.target, "Account")] == ["long there"]


def test_rule_1_1_a_self_lookup_to_a_row_outside_the_filter_is_filled_in_the_second_pass(
    pair: Pair,
) -> None:
    (parent,) = create(pair.source, "Account", {"Name": "outside"})
    (there,) = create(pair.target, "Account", {"Name": "there", "Legacy_Id__c": parent})
    (child,) = create(pair.source, "Account", {"Name": "in", "ParentId": parent})

    document = pair.run(PLAN)

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    assert by_key(pair.target, "Account")[child]["ParentId"] == there


def test_rule_1_1_rows_written_while_reading_are_drift_and_come_with_the_next_run(
    pair: Pair,
) -> None:
    """Every query of the source is held until the run has its watermark and somebody has gone on
    working: an account that the plan's filter leaves out so far, and a contact of it."""
    create(pair.source, "Account", {"Name": "A"})
    pair.source.json("POST", "/_sim/clock", {"move_s": 5})
    pair.source.plant({"kind": "http", "path": "/query", "hold": "before", "times": 0})
    name = pair.launch(PLAN)
    made: list[str] = []

    def people_go_on_working() -> bool:
        if not pair.source.json("GET", "/_sim/faults/held?wait_s=0.5")["held"]:
            return False
        if pair.row(name).watermark is None:
            pair.source.request("POST", "/_sim/faults/release")  # one of preflight's
            return False
        pair.source.json("POST", "/_sim/clock", {"move_s": 5})
        made.extend(create(pair.source, "Account", {"Name": "outside"}))
        create(pair.source, "Contact", {"LastName": "late too", "AccountId": made[0]})
        pair.source.clear_faults()
        return True

    with ThreadPoolExecutor(1) as people:
        working = people.submit(wait_for, people_go_on_working, 120)
        try:
            pair.carry(name)
        finally:
            pair.source.clear_faults()
        working.result()

    document = pair.document(name)
    assert line(document, "contact")["blocked"] == 1
    assert [f["code"] for f in pair.failures(name)] == ["PARENT_CHANGED_WHILE_READING"]
    assert pair.summary(document)["objects"]["contact"]["drift"] == 1
    change(pair.source, "Account", made[0], Name="inside")
    assert pair.run(PLAN)["status"] == "Succeeded"
    assert by_key(pair.target, "Contact", "LastName")["late too"]["AccountId"]


def later(pair: Pair) -> None:
    """An hour passes in the source."""
    pair.source.json("POST", "/_sim/clock", {"move_s": 3600})


def test_rule_1_5_a_delta_reads_rows_that_stayed_behind_whatever_their_age(pair: Pair) -> None:
    (lost,) = create(pair.source, "Account", {"Name": "outside"})
    create(pair.source, "Contact", {"LastName": "waits", "AccountId": lost}, {"LastName": "fine"})
    later(pair)
    first = pair.run(PLAN)
    later(pair)
    create(pair.target, "Account", {"Name": "there now", "Legacy_Id__c": lost})

    document = pair.run(PLAN, mode="delta")

    assert line(first, "contact")["blocked"] == 1
    assert line(document, "contact")["read"] == line(document, "contact")["inserted"] == 1
    assert by_key(pair.target, "Contact", "LastName")["waits"]["AccountId"]


def test_rule_1_5_a_delta_reads_old_children_of_rows_that_are_new_to_the_plan(pair: Pair) -> None:
    inside, outside = create(pair.source, "Account", {"Name": "in"}, {"Name": "outside"})
    create(
        pair.source,
        "Contact",
        {"LastName": "of in", "AccountId": inside},
        {"LastName": "of outside", "AccountId": outside},
    )
    scoped = PLAN + "    scope: {within: [AccountId]}\n"
    later(pair)
    first = pair.run(scoped)
    later(pair)
    change(pair.source, "Account", outside, Name="comes in")

    document = pair.run(scoped, mode="delta")

    assert line(first, "contact")["read"] == 1
    assert line(document, "account")["inserted"] == 1
    assert line(document, "contact")["inserted"] == line(document, "contact")["read"] == 1
    keys = {row["Id"]: row["Legacy_Id__c"] for row in live(pair.target, "Account")}
    assert keys[by_key(pair.target, "Contact", "LastName")["of outside"]["AccountId"]] == outside


def test_rule_1_5_a_delta_keeps_new_children_of_rows_that_earlier_runs_moved(pair: Pair) -> None:
    (inside,) = create(pair.source, "Account", {"Name": "in"})
    scoped = PLAN + "    scope: {within: [AccountId]}\n"
    later(pair)
    pair.run(scoped)
    later(pair)
    create(pair.source, "Contact", {"LastName": "new", "AccountId": inside})

    document = pair.run(scoped, mode="delta")

    assert line(document, "account")["read"] == 0
    assert line(document, "contact")["inserted"] == 1


def test_rule_1_5_a_delta_names_rows_that_were_deleted_and_deletes_nothing(pair: Pair) -> None:
    one, _ = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    later(pair)
    pair.run(PLAN)
    later(pair)
    pair.source.json("DELETE", f"sobjects/Account/{one}")

    document = pair.run(PLAN, mode="delta")

    assert pair.summary(document)["objects"]["account"]["deleted_in_source"] == 1
    with pair.bridge.session(pair.actor.workspace_id) as session:
        row = runs.run_named(session, document["run_id"])
        told = [e["message"] for e in runs.events(session, row.id, after=None, limit=100)]
    assert any(one in message for message in told), told
    assert len(live(pair.target, "Account")) == 2


@pytest.mark.parametrize("changed", ["the plan", "nothing"])
def test_rule_1_5_a_delta_compares_everything_when_the_plan_changed(
    pair: Pair, changed: str
) -> None:
    create(pair.source, "Account", {"Name": "A", "Industry": "Tech"}, {"Name": "B"})
    later(pair)
    pair.run(PLAN)
    later(pair)
    mapped = PLAN.replace(
        "    where", "    fields: {Phone: {from: Name, values: {A: '1'}}}\n    where"
    )

    document = pair.run(mapped if changed == "the plan" else PLAN, mode="delta")

    assert line(document, "account")["read"] == (2 if changed == "the plan" else 0)
    assert line(document, "account")["updated"] == (2 if changed == "the plan" else 0)
