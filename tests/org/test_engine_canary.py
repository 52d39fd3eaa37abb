"""Canaries and the failure rate at which a run stops and asks (rule 8.2)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from core.config import Settings, child_environ
from core.db import runs
from core.domain.states import RunState
from core.errors import ConflictError, UserError
from core.services import steering
from tests.org.engine import SCHEMA, Pair, check_identity, line
from tests.org.engine_worker import start_worker
from tests.org.oracle import judge_keyed
from tests.org.pairs import by_key, change, create, live
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PROJECT, PracticeOrg, wait_for

KEY = """
      Legacy_Id__c:
        {type: text, label: Legacy Id, length: 18, external_id: true, unique: true,
         case_sensitive: true}
"""
DETAILS = (
    SCHEMA
    + """
  Region__c:
    label: Region
    owner: [User]
    fields:"""
    + KEY
    + """
  Order__c:
    label: Order
    owner: [User]
    fields:
      Region__c: {type: lookup, label: Region, to: Region__c, children: Orders__r, required: true}
      Account__c: {type: lookup, label: Account, to: Account, children: Orders__r}"""
    + KEY
    + """
  Line__c:
    label: Line
    owner: []
    fields:
      Order__c: {type: master_detail, label: Order, to: Order__c, children: Lines__r}"""
    + KEY
)
OBJECTS = ("Line__c", "Order__c", "Region__c", "Contact", "Account")
PLAN = "orgbridge: 1\nname: canary\nsource: legacy\ntarget: new\nobjects:\n" + "".join(
    f"  - source: {name}\n    key: {{source: Id, target: Legacy_Id__c}}\n"
    for name in ("Account", "Contact")
)
ORDERS = "orgbridge: 1\nname: orders\nsource: legacy\ntarget: new\nobjects:\n" + "".join(
    f"  - source: {name}\n    as: {name[:-3].lower()}\n"
    "    key: {source: Id, target: Legacy_Id__c}\n"
    for name in ("Region__c", "Order__c", "Line__c")
)


orgs = two_orgs(DETAILS)
pair = empty_pair(*OBJECTS)


def people(org: PracticeOrg, *, accounts: int = 20, contacts: int = 60) -> list[str]:
    """Accounts in a chain, contacts on them; the accounts' ids."""
    ids = create(org, "Account", *({"Name": f"A{n}"} for n in range(accounts)))
    create(
        org,
        "Contact",
        *({"LastName": f"C{n}", "AccountId": ids[n % accounts]} for n in range(contacts)),
    )
    for n in range(1, accounts, 5):
        org.json("PATCH", f"sobjects/Account/{ids[n]}", {"ParentId": ids[n - 1]})
    return ids


def decide(pair: Pair, name: str, *, go_on: bool) -> None:
    steering.decide(pair.bridge, pair.actor, name, go_on=go_on, enqueue=False)


def test_rule_8_2_a_canary_loads_a_share_and_waits_then_the_rest_follows(pair: Pair) -> None:
    """Contacts whose accounts are not of the canary arrive without them, and get them later."""
    people(pair.source)
    name = pair.launch(PLAN, mode="canary", canary_percent=10)

    waiting = pair.carry(name)
    stood, first = pair.row(name), pair.document(name)
    there = {obj: len(live(pair.target, obj)) for obj in ("Account", "Contact")}
    blank = sum(row["AccountId"] is None for row in live(pair.target, "Contact"))
    untouched = pair.carry(name)
    decide(pair, name, go_on=True)
    ended, document = pair.carry(name), pair.document(name)
    again = pair.run(PLAN)

    assert (waiting, untouched, ended) == (
        RunState.WAITING_DECISION,
        RunState.WAITING_DECISION,
        RunState.SUCCEEDED,
    )
    figures = stood.summary["canary"]
    assert there == {"Account": 2, "Contact": 6}
    assert (figures["chosen"], figures["rows"], figures["percent"]) == (8, 80, 10.0)
    assert "10.0 %" in (stood.wait_reason or "")
    assert blank > 0
    check_identity(first)
    check_identity(document)
    assert line(document, "account")["inserted"] == 20
    assert line(document, "contact")["inserted"] == 60
    assert judge_keyed(pair.source, pair.target) == []
    assert again["status"] == "Succeeded"
    assert line(again, "contact")["unchanged"] == 60
    assert pair.summary(document)["proof"]["contact"]["differences"]["lost"] == 0


def test_rule_8_2_a_waiting_canary_lets_others_write_to_the_target(pair: Pair) -> None:
    people(pair.source)
    name = pair.launch(PLAN, mode="canary", canary_percent=10)
    pair.carry(name)

    between = pair.run(PLAN)
    decide(pair, name, go_on=True)
    ended = pair.carry(name)

    assert between["status"] == "Succeeded"
    assert ended is RunState.SUCCEEDED
    assert judge_keyed(pair.source, pair.target) == []


def test_rule_8_2_details_follow_their_masters_and_needed_parents_come_along(pair: Pair) -> None:
    """Every canary order has its region (required) and all of its lines (master-detail)."""
    regions = create(pair.source, "Region__c", *({"Name": f"R{n}"} for n in range(30)))
    orders = create(
        pair.source,
        "Order__c",
        *({"Name": f"O{n}", "Region__c": regions[n % 30]} for n in range(60)),
    )
    create(
        pair.source, "Line__c", *({"Name": f"L{n}", "Order__c": orders[n % 60]} for n in range(180))
    )
    name = pair.launch(ORDERS, mode="canary", canary_percent=5, canary_roots=("order",))

    pair.carry(name)
    figures = pair.row(name).summary["canary"]["objects"]
    loaded = {obj: live(pair.target, obj) for obj in ("Region__c", "Order__c", "Line__c")}
    decide(pair, name, go_on=False)
    ended = pair.carry(name)

    assert figures["order"] == {"rows": 60, "chosen": 3, "percent": 5.0, "roots": 3}
    assert figures["line"] == {"rows": 180, "chosen": 9, "percent": 5.0, "roots": 0}
    assert len(loaded["Order__c"]) == 3
    assert len(loaded["Line__c"]) == 9
    assert {row["Region__c"] for row in loaded["Order__c"]} == {
        row["Id"] for row in loaded["Region__c"]
    }
    assert ended is pair.row(name).status is RunState.PARTIAL
    assert len(live(pair.target, "Order__c")) == 3


def test_rule_8_2_a_lookup_to_nowhere_follows_its_policy_in_the_canary(pair: Pair) -> None:
    """Only what names a row of this run waits: the rest is blocked as in any other run."""
    lost, *_ = create(pair.source, "Account", {"Name": "lost"}, *({"Name": "x"} for _ in range(9)))
    create(pair.source, "Contact", *({"LastName": f"C{n}", "AccountId": lost} for n in range(10)))
    plan = PLAN.replace("  - source: Contact", "    where: \"Name != 'lost'\"\n  - source: Contact")
    name = pair.launch(plan, mode="canary", canary_percent=20)

    pair.carry(name)

    assert line(pair.document(name), "contact")["blocked"] == 2


def test_rule_8_2_a_canary_killed_at_any_moment_ends_like_any_other(
    pair: Pair, settings: Settings
) -> None:
    people(pair.source, accounts=30, contacts=90)
    plan = PLAN.replace("target: Legacy_Id__c}\n", "target: Legacy_Id__c}\n    load: {batch: 3}\n")
    name = pair.launch(plan, mode="canary", canary_percent=30)
    row = pair.row(name)

    killed(pair, settings, name, chunks=2)
    waiting = carried_after_death(pair, name)
    decide(pair, name, go_on=True)
    killed(pair, settings, name, chunks=25)
    ended = carried_after_death(pair, name)

    assert (waiting, ended) == (RunState.WAITING_DECISION, RunState.SUCCEEDED)
    assert row.id == pair.row(name).id
    check_identity(pair.document(name))
    assert judge_keyed(pair.source, pair.target) == []


def killed(pair: Pair, settings: Settings, name: str, *, chunks: int) -> None:
    """A worker that is killed when so many chunks were settled."""
    worker = start_worker(settings, pair.actor.workspace_id, pair.row(name).id)
    wait_for(lambda: settled(pair, name) >= chunks or not worker.is_alive(), 120)
    assert worker.pid is not None
    assert worker.is_alive()
    worker.kill()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL


def settled(pair: Pair, name: str) -> int:
    with pair.bridge.session(pair.actor.workspace_id) as session:
        return runs.chunks_done(session, runs.run_named(session, name).id)


def carried_after_death(pair: Pair, name: str) -> RunState:
    """The run carried on as soon as the dead worker's hold has run out."""
    found: list[RunState] = []

    def carried() -> bool:
        try:
            found.append(pair.carry(name))
        except ConflictError:
            return False
        return True

    wait_for(carried, 120)
    return found[0]


def test_rule_8_2_a_run_stops_at_its_failure_rate_and_asks(pair: Pair) -> None:
    """In full mode too; who has seen the rate and goes on is not asked again."""
    texts = ["x" * 300] * 60 + ["short"] * 40
    create(pair.source, "Account", *({"Name": "A", "Description": text} for text in texts))
    plan = PLAN[: PLAN.index("  - source: Contact")] + (
        "    load: {batch: 10, serial: true}\n    fields: {Phone: Description}\n"
        "    skip: [Description]\n"
    )
    name = pair.launch(plan, stop_at_failed_percent=20)

    waiting = pair.carry(name)
    stood = pair.row(name)
    sent = line(pair.document(name), "account")
    decide(pair, name, go_on=True)
    ended = pair.carry(name)
    document = pair.document(name)

    assert waiting is RunState.WAITING_DECISION
    assert "20 %" in (stood.wait_reason or "")
    assert sent["failed"] == 20
    assert sent["inserted"] == 0
    assert ended is RunState.PARTIAL
    check_identity(document)
    assert line(document, "account")["failed"] == 60
    assert line(document, "account")["inserted"] == 40


def test_rule_8_2_a_terminal_ends_with_3_and_decides(pair: Pair, settings: Settings) -> None:
    people(pair.source)
    pair.import_plan(PLAN)

    waiting = said(settings, "run", "canary", "--canary", "10", "--json")
    document = json.loads(waiting.stdout)
    decided = said(settings, "runs", "decide", document["run_id"], "continue", "--json")

    assert (waiting.returncode, document["status"]) == (3, "Waiting for decision")
    assert (decided.returncode, json.loads(decided.stdout)["status"]) == (0, "Succeeded")
    assert judge_keyed(pair.source, pair.target) == []


def said(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """What a terminal command answers."""
    return subprocess.run(
        [sys.executable, "cli.py", *words],
        cwd=PROJECT,
        env=child_environ(settings),
        text=True,
        check=False,
        capture_output=True,
        timeout=240,
    )


def test_a_decision_is_asked_of_waiting_runs_only(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "A"})
    document = pair.run(PLAN)

    with pytest.raises(ConflictError, match="does not wait for a decision"):
        decide(pair, document["run_id"], go_on=True)
    with pytest.raises(UserError, match="canary of 0 %"):
        pair.launch(PLAN, mode="canary", canary_percent=0)


def test_rule_8_2_told_to_stop_a_canary_fills_in_what_waited_and_counts_what_cannot(
    pair: Pair,
) -> None:
    """A ring of contacts waits for the second pass: it is filled in as far as it is there; what
    names a record that was left behind stays blank, counted and named."""
    people(pair.source)
    ring = [row["Id"] for row in live(pair.source, "Contact")]
    above = dict(zip(ring, [*ring[1:], ring[0]], strict=True))
    for one, other in above.items():
        change(pair.source, "Contact", one, ReportsToId=other)
    name = pair.launch(PLAN, mode="canary", canary_percent=60)
    pair.carry(name)
    before = [row["ReportsToId"] for row in live(pair.target, "Contact")]

    decide(pair, name, go_on=False)
    ended, document = pair.carry(name), pair.document(name)

    held = by_key(pair.target, "Contact")
    filled = {key: row["ReportsToId"] for key, row in held.items() if row["ReportsToId"]}
    blank = sum(row[lookup] is None for row in held.values() for lookup in LOOKUPS)
    assert ended is RunState.PARTIAL
    assert set(before) == {None}
    assert filled == {one: held[above[one]]["Id"] for one in held if above[one] in held}
    assert 0 < len(filled) < len(held) < len(ring)
    assert line(document, "contact")["lookups_left_blank"] == blank
    assert len([one for one in pair.failures(name) if one["mapping_name"] == "contact"]) == blank
    assert pair.summary(document)["proof"]["contact"]["differences"]["lost"] == 0


LOOKUPS = ("AccountId", "ReportsToId")
