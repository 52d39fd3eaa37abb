"""Undo in full: passes after the load, deletes, kills, and the order of runs (rules 7.1 to 7.3)."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import runs
from core.domain.states import RunState
from core.errors import ConflictError
from core.services import launching, undoing
from tests.org.engine import SCHEMA, Pair, check_identity, connect, line
from tests.org.engine_worker import start_worker
from tests.org.pairs import create, live
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PracticeOrg, PracticeOrgs, wait_for

KEYED = """
orgbridge: 1
name: undone
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
"""
CONTACTS = KEYED.replace("Account", "Contact")
#: a target that may delete for good, and whose trigger rewrites what arrives
TARGET = "org: {features: [hard_delete]}" + SCHEMA.replace(
    "    fields:\n", '    hooks:\n      - {set: {Website: "LOWER(Website)"}}\n    fields:\n', 1
)
BOTH = KEYED + "  - source: Contact\n    key: {source: Id, target: Legacy_Id__c}\n"


orgs = two_orgs(SCHEMA, TARGET)
pair = empty_pair("Contact", "Account")


def undone(pair: Pair, name: str, *, preview: bool = False) -> dict[str, Any]:
    """Undoes a run; the figures of the undo."""
    given = {"confirm": "new", "reason": "rehearsal"}
    made = launching.undo(pair.bridge, pair.actor, name, preview=preview, enqueue=False, **given)
    pair.carry(made)
    return pair.document(made)


def values(org: PracticeOrg, sobject: str, *fields: str) -> set[tuple[Any, ...]]:
    """Fields of the living rows."""
    return {tuple(row[name] for name in ("Id", *fields)) for row in live(org, sobject)}


def test_rule_7_1_lookups_that_waited_are_restored_on_rows_that_were_there(pair: Pair) -> None:
    """A circle is closed in the second pass, on records that existed before the run."""
    one, two = create(pair.source, "Contact", {"LastName": "X"}, {"LastName": "Y"})
    pair.source.json("PATCH", f"sobjects/Contact/{one}", {"ReportsToId": two})
    pair.source.json("PATCH", f"sobjects/Contact/{two}", {"ReportsToId": one})
    boss, *_ = create(pair.target, "Contact", {"LastName": "Boss"})
    known = [
        {"LastName": n, "Legacy_Id__c": i, "ReportsToId": boss}
        for n, i in (("X", one), ("old", two))
    ]
    create(pair.target, "Contact", *known)
    before = values(pair.target, "Contact", "LastName", "ReportsToId")
    document = pair.run(CONTACTS + "    defer: [ReportsToId]\n")
    between = values(pair.target, "Contact", "LastName", "ReportsToId")

    figures = undone(pair, document["run_id"])

    assert line(document, "contact")["second_pass"] == 2
    assert between != before
    assert figures["status"] == "Succeeded"
    check_identity(figures)
    assert values(pair.target, "Contact", "LastName", "ReportsToId") == before


def test_rule_7_1_a_row_comes_back_without_a_parent_that_was_deleted_since(pair: Pair) -> None:
    """Somebody deletes the former parent before the undo: the rest of the row is restored."""
    one, two = create(pair.source, "Contact", {"LastName": "new"}, {"LastName": "Chief"})
    pair.source.json("PATCH", f"sobjects/Contact/{one}", {"ReportsToId": two})
    former, *_ = create(pair.target, "Contact", {"LastName": "Former"})
    known = {"LastName": "old", "Legacy_Id__c": one, "ReportsToId": former}
    mine, *_ = create(pair.target, "Contact", known)
    document = pair.run(CONTACTS)
    pair.target.json("DELETE", f"sobjects/Contact/{former}")
    taken_back = undone(pair, document["run_id"])
    assert values(pair.target, "Contact", "LastName", "ReportsToId") == {(mine, "old", None)}
    figures = line(taken_back, "contact")
    assert (figures["failed"], figures["lookups_left_blank"]) == (0, 1)


def test_rule_7_1_what_was_set_finally_is_restored_on_rows_that_were_there(pair: Pair) -> None:
    known, _ = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    create(pair.target, "Account", {"Name": "A0", "Legacy_Id__c": known, "Industry": "Energy"})
    before = values(pair.target, "Account", "Name", "Industry")
    plan = KEYED + "    skip: [Industry]\n    finally: {Industry: {constant: Banking}}\n"
    document = pair.run(plan)
    pair.source.json("PATCH", f"sobjects/Account/{known}", {"Phone": "1"})
    later = pair.run(plan)

    with pytest.raises(ConflictError, match="wrote the same"):
        launching.undo(pair.bridge, pair.actor, document["run_id"], enqueue=False)
    undone(pair, later["run_id"])
    figures = undone(pair, document["run_id"])

    assert figures["status"] == "Succeeded"
    assert values(pair.target, "Account", "Name", "Industry") == before


def test_rule_7_1_runs_that_wrote_other_rows_need_not_go_first(pair: Pair) -> None:
    """Newest first holds among runs that wrote the same rows, not the same objects."""
    create(pair.source, "Account", {"Name": "A"})
    first = pair.run(KEYED)
    create(pair.source, "Account", {"Name": "B"})
    pair.run(KEYED)

    outlook = undoing.outlook(pair.bridge, pair.actor, first["run_id"])
    figures = undone(pair, first["run_id"])

    assert outlook.first == ()
    assert [(each.mapping, each.delete, each.restore) for each in outlook.lines] == [
        ("account", 1, 0)
    ]
    assert line(figures, "account")["updated"] == 1
    assert [row["Name"] for row in live(pair.target, "Account")] == ["B"]


def test_rule_7_1_a_lookup_emptied_by_the_undo_itself_is_no_conflict(pair: Pair) -> None:
    """The account was there before; the one above it was made by the run and leaves first."""
    above, known = create(pair.source, "Account", {"Name": "above"}, {"Name": "A"})
    pair.source.json("PATCH", f"sobjects/Account/{known}", {"ParentId": above})
    create(pair.target, "Account", {"Name": "A0", "Legacy_Id__c": known})
    before = values(pair.target, "Account", "Name", "ParentId")
    plan = KEYED + "    where: \"Name = '%s'\"\n"
    split = (plan % "above") + (
        "  - source: Account\n    as: below\n    key: {source: Id, target: Legacy_Id__c}\n"
        "    where: \"Name = 'A'\"\n    lookups: {ParentId: {through: [account]}}\n"
        "    defer: [ParentId]\n"
    )
    document = pair.run(split)

    figures = undone(pair, document["run_id"])

    assert figures["status"] == "Succeeded", pair.failures(figures["run_id"])
    assert values(pair.target, "Account", "Name", "ParentId") == before


def test_rule_7_1_automation_of_the_target_is_no_conflict(pair: Pair) -> None:
    """What the run last read back counts as what it left."""
    create(pair.source, "Account", {"Name": "A", "Website": "HTTPS://A.EXAMPLE"})
    document = pair.run(KEYED)
    (arrived,) = live(pair.target, "Account")

    figures = undone(pair, document["run_id"])

    assert arrived["Website"] == "https://a.example"
    assert line(figures, "account")["updated"] == 1
    assert live(pair.target, "Account") == []


@pytest.mark.parametrize("verify", [True, False])
def test_rule_7_1_what_a_person_wrote_where_we_left_blank_keeps_the_record(
    pair: Pair, verify: bool
) -> None:
    """The run sent no phone; the record with a person's phone is listed, the others leave."""
    create(pair.source, "Account", {"Name": "A"}, {"Name": "B"}, {"Name": "C", "Phone": "3"})
    document = pair.run(KEYED + "    blanks: keep\n", verify=verify)
    edited = next(row for row in live(pair.target, "Account") if row["Name"] == "A")
    pair.target.json("PATCH", f"sobjects/Account/{edited['Id']}", {"Phone": "by hand"})

    figures = undone(pair, document["run_id"])

    assert values(pair.target, "Account", "Phone") == {(edited["Id"], "by hand")}
    assert (line(figures, "account")["updated"], line(figures, "account")["blocked"]) == (2, 1)
    (listed,) = pair.failures(figures["run_id"])
    assert (listed["code"], listed["target_id"]) == ("UNDO_CHANGED", edited["Id"])


def test_rule_7_3_deleted_rows_come_back_from_the_recycle_bin(pair: Pair) -> None:
    one, two = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    person, *_ = create(pair.source, "Contact", {"LastName": "X", "AccountId": one})
    there = create(
        pair.target,
        "Account",
        *({"Name": "there", "Legacy_Id__c": each} for each in (one, two)),
    )
    create(pair.target, "Contact", {"LastName": "X", "Legacy_Id__c": person, "AccountId": there[0]})
    before = values(pair.target, "Account", "Legacy_Id__c"), values(pair.target, "Contact")
    document = pair.run(
        BOTH.replace("target: Legacy_Id__c}\n", "target: Legacy_Id__c}\n    operation: delete\n"),
        confirm="new",
        reason="clean the rehearsal",
    )
    left = live(pair.target, "Account"), live(pair.target, "Contact")

    previewed = undone(pair, document["run_id"], preview=True)
    still = live(pair.target, "Account")
    figures = undone(pair, document["run_id"])

    assert left == ([], [])
    assert still == []
    assert line(previewed, "account")["updated"] == 2
    assert pair.row(previewed["run_id"]).buckets["account"]["undelete"] == 2
    assert figures["status"] == "Succeeded"
    check_identity(figures)
    assert (
        values(pair.target, "Account", "Legacy_Id__c"),
        values(pair.target, "Contact"),
    ) == before
    assert pair.document(document["run_id"])["status"] == "Undone"


def test_rule_7_3_an_undelete_whose_answer_is_lost_is_settled_by_asking(pair: Pair) -> None:
    one, *_ = create(pair.source, "Account", {"Name": "A"})
    create(pair.target, "Account", {"Name": "there", "Legacy_Id__c": one})
    document = pair.run(KEYED + "    operation: delete\n", confirm="new", reason="clean it")
    pair.target.plant({"kind": "http", "path": "/services/Soap/u/", "drop": "after"})

    figures = undone(pair, document["run_id"])

    assert figures["status"] == "Succeeded"
    assert len(live(pair.target, "Account")) == 1


def test_rule_7_3_a_hard_delete_is_named_and_stays(pair: Pair) -> None:
    one, *_ = create(pair.source, "Account", {"Name": "A"})
    create(pair.target, "Account", {"Name": "there", "Legacy_Id__c": one})
    plan = KEYED + "    operation: hard_delete\n"
    document = pair.run(plan, confirm="new", reason="clean it")

    outlook = undoing.outlook(pair.bridge, pair.actor, document["run_id"])
    figures = undone(pair, document["run_id"])

    named = pair.row(document["run_id"]).options["irreversible"]
    assert any("for good" in sentence for sentence in named)
    assert any("for good" in sentence for sentence in outlook.cannot)
    assert line(figures, "account")["blocked"] == 1
    assert pair.row(figures["run_id"]).buckets["account"]["cannot"] == 1
    assert pair.failures(figures["run_id"])[0]["code"] == "UNDO_HARD_DELETE"


def test_rule_7_2_a_child_that_stays_keeps_its_parent(pair: Pair) -> None:
    """The contact was changed since: it stays, and so does the account it would go with."""
    one, *_ = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    create(pair.source, "Contact", {"LastName": "X", "AccountId": one})
    document = pair.run(BOTH)
    (person,) = live(pair.target, "Contact")
    pair.target.json("PATCH", f"sobjects/Contact/{person['Id']}", {"Title": "by hand"})

    figures = undone(pair, document["run_id"])

    assert line(figures, "contact")["blocked"] == 1
    assert line(figures, "account")["blocked"] == 1
    assert [row["Id"] for row in live(pair.target, "Account")] == [person["AccountId"]]
    codes = {entry["code"] for entry in pair.failures(figures["run_id"])}
    assert codes == {"UNDO_CHANGED", "UNDO_CHILDREN"}


def test_an_undo_that_is_killed_goes_on_where_it_stood(pair: Pair, settings: Settings) -> None:
    ids = create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(40)))
    create(pair.source, "Contact", *({"LastName": f"C{n}", "AccountId": ids[n]} for n in range(40)))
    plan = BOTH.replace("target: Legacy_Id__c}\n", "target: Legacy_Id__c}\n    load: {batch: 4}\n")
    document = pair.run(plan)
    name = launching.undo(pair.bridge, pair.actor, document["run_id"], enqueue=False)
    worker = start_worker(settings, pair.actor.workspace_id, pair.row(name).id)
    wait_for(lambda: settled(pair, name) >= 4 or not worker.is_alive(), 120)
    worker.kill()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    ended: list[RunState] = []

    def carried() -> bool:
        try:
            ended.append(pair.carry(name))
        except ConflictError:
            return False
        return True

    wait_for(carried, 120)

    assert ended == [RunState.SUCCEEDED]
    check_identity(pair.document(name))
    assert line(pair.document(name), "account")["updated"] == 40
    assert (live(pair.target, "Account"), live(pair.target, "Contact")) == ([], [])


def settled(pair: Pair, name: str) -> int:
    with pair.bridge.session(pair.actor.workspace_id) as session:
        return runs.chunks_done(session, runs.run_named(session, name).id)


FOR_EVER = """
standard: [Account]
objects:
  Mark__c:
    label: Mark
    flags: {deletable: false}
    fields: {Code__c: {type: text, length: 20, external_id: true, unique: true}}
"""


def test_rule_7_3_records_that_nobody_deletes_are_named_before_an_undo(
    bridge: Orgbridge, practice_org: PracticeOrgs
) -> None:
    """By the describe of the target: at the launch, and in what an undo is about."""
    two = connect(
        bridge,
        practice_org(name="Legacy", schema=FOR_EVER),
        practice_org(name="New", schema=FOR_EVER),
    )
    create(two.source, "Mark__c", {"Name": "M", "Code__c": "1"})
    document = two.run(KEYED.replace("Account", "Mark__c").replace("Legacy_Id__c", "Code__c")
                       .replace("source: Id,", "source: Code__c,"))  # fmt: skip

    outlook = undoing.outlook(two.bridge, two.actor, document["run_id"])
    figures = undone(two, document["run_id"])

    sentence = "Mark__c: the platform lets nobody delete its rows; new ones stay."
    assert document["status"] == "Succeeded", two.failures(document["run_id"])
    assert sentence in two.row(document["run_id"]).options["irreversible"]
    assert sentence in outlook.cannot
    assert figures["status"] == "Partial"
    assert len(live(two.target, "Mark__c")) == 1
