"""Two objects on their way at once: every row arrives once, also when the worker is killed there
and then (rule 3.11)."""

from __future__ import annotations

from threading import Barrier

import pytest
from sqlalchemy import text

from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import runs
from core.db.run_state import StepRow
from core.domain.states import RunState
from core.migration import proving
from core.migration import run as engine
from core.migration.context import RunContext
from core.migration.finally_ import set_finally
from core.migration.spec import Step
from core.migration.verify import Standing
from tests.org.engine import SCHEMA, Pair, check_identity, connect, line
from tests.org.engine_worker import start_worker
from tests.org.oracle import judge_keyed, live
from tests.org.pairs import create
from tests.orgs import PracticeOrg, PracticeOrgs, wait_for

WIDGET = """
  Widget__c:
    label: Widget
    fields:
      Legacy_Id__c:
        {type: text, label: Legacy Id, length: 18, external_id: true, unique: true,
         case_sensitive: true}
      Note__c: {type: text, label: Note, length: %d}
"""
PLAN = """
orgbridge: 1
name: abreast
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    load: {api: bulk, batch: 6}
  - source: Widget__c
    key: {source: Id, target: Legacy_Id__c}
    load: {api: bulk, batch: 6}
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
    load: {api: bulk, batch: 6}
"""
#: the same, each with something that is set last
LAST = """
orgbridge: 1
name: last
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    finally: {Website: {constant: "https://x.example"}}
  - source: Widget__c
    key: {source: Id, target: Legacy_Id__c}
    finally: {Note__c: {constant: closed}}
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
    finally: {Title: {constant: Owner}}
"""
#: seconds within which threads meet, on a machine however busy
DEADLINE_S = 120
#: a widget's note that the target takes, and one that is too long for it
SHORT, LONG = "fits", "x" * 30
#: mappings that have nothing to do with each other
BOTH = {"account", "widget__c"}


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    """Accounts with parents and contacts, and widgets that have nothing to do with them."""
    source = practice_org(name="Legacy", schema=SCHEMA + WIDGET % 40)
    target = practice_org(name="New", schema=SCHEMA + WIDGET % 20)
    roots = create(source, "Account", *({"Name": f"R{n}"} for n in range(8)))
    below = [{"Name": f"A{n}", "ParentId": roots[n % 8]} for n in range(16)]
    accounts = [*roots, *create(source, "Account", *below)]
    people = [{"LastName": f"C{n}", "AccountId": accounts[n % 24]} for n in range(30)]
    create(source, "Contact", *people)
    notes = [{"Name": f"W{n}", "Note__c": LONG if n % 10 == 7 else SHORT} for n in range(30)]
    create(source, "Widget__c", *notes)
    return connect(bridge, source, target)


def on_their_way(pair: Pair, name: str) -> set[str]:
    """Mappings with a job that the org has and whose results are not read."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        row = runs.run_named(session, name)
        found = session.execute(
            text(
                "SELECT DISTINCT s.mapping_name FROM run_chunk c JOIN run_step s"
                " ON s.id = c.step_id WHERE c.run_id = :id AND c.state = 'closed'"
            ),
            {"id": row.id},
        )
        return set(found.scalars())


def test_a_worker_killed_with_two_objects_on_their_way_loses_and_doubles_nothing(
    pair: Pair, settings: Settings
) -> None:
    """Killed with every job standing still, and again with some of them done."""
    name = pair.launch(PLAN)
    run_id = pair.row(name).id
    for jobs_done in (0, 3):
        pair.target.plant({"kind": "bulk", "stall": True, "times": 0, "after": jobs_done})
        worker = start_worker(settings, pair.actor.workspace_id, run_id)
        wait_for(lambda w=worker: on_their_way(pair, name) == BOTH or not w.is_alive(), 120)
        assert on_their_way(pair, name) == BOTH
        worker.kill()
        worker.join()
        pair.target.clear_faults()

    ended = pair.carry(name)

    document = pair.document(name)
    check_identity(document)
    assert ended is RunState.PARTIAL
    assert judge_keyed(pair.source, pair.target) == []
    assert notes(pair.target) == {row["Id"] for row in fitting(pair.source)}
    assert len(live(pair.target, "Widget__c")) == 27
    widgets = line(document, "widget__c")
    assert (widgets["inserted"], widgets["failed"]) == (27, 3)
    assert len(pair.failures(name)) == 3
    assert line(document, "account")["inserted"] == 24
    assert line(document, "contact")["inserted"] == 30


def test_a_pause_ends_both_objects_and_the_rest_follows(pair: Pair) -> None:
    """What the org had taken is noted; the run goes on where each of the two stood."""
    pair.target.options(bulk_queue_delay_s=0.5)
    name = pair.launch(PLAN)
    seen: list[str] = []

    def once_both_are_on_their_way() -> str | None:
        if not seen and on_their_way(pair, name) == BOTH:
            seen.append("pause")
        return seen[0] if seen else None

    workspace, run_id = pair.actor.workspace_id, pair.row(name).id
    state = engine.carry(
        pair.bridge, workspace, run_id, stop=once_both_are_on_their_way, sleep=lambda _: None
    )
    noted = {one: line(pair.document(name), one)["inserted"] for one in ("account", "contact")}

    assert state is RunState.PAUSED
    assert noted == {"account": len(live(pair.target, "Account")), "contact": 0}
    assert pair.carry(name) is RunState.PARTIAL
    assert judge_keyed(pair.source, pair.target) == []
    assert len(live(pair.target, "Widget__c")) == 27


def test_an_object_that_cannot_go_on_stops_the_one_beside_it(pair: Pair) -> None:
    """The daily limit ends both; nothing is sent twice afterwards."""
    pair.target.plant(
        {"kind": "http", "path": "/jobs/ingest/.+/successfulResults", "preset": "daily_limit"}
    )
    name = pair.launch(PLAN)
    state = pair.carry(name)
    pair.target.clear_faults()

    assert state is RunState.PAUSED
    assert pair.row(name).wait_reason is not None
    assert pair.carry(name) is RunState.PARTIAL
    assert judge_keyed(pair.source, pair.target) == []
    assert len(live(pair.target, "Widget__c")) == 27


def test_rule_3_7_what_is_set_last_and_the_proof_go_side_by_side(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for an object that it has nothing to do with; children are set first."""
    two, three, begun = Barrier(2), Barrier(3), []

    def last(run: RunContext, step: Step, row: StepRow, *, reads_back: bool) -> None:
        begun.append(step.name)
        if step.name in BOTH:  # each goes on when the other one has begun
            two.wait(DEADLINE_S)
        set_finally(run, step, row, reads_back=reads_back)

    class Met(Standing):
        def __init__(self, run: RunContext, step: Step, phases: list[StepRow]) -> None:
            three.wait(DEADLINE_S)
            super().__init__(run, step, phases)

    monkeypatch.setattr(engine, "set_finally", last)
    monkeypatch.setattr(proving, "Standing", Met)
    document = pair.run(LAST)

    assert begun.index("contact") < begun.index("account")
    check_identity(document)
    proof = pair.summary(document)["proof"]
    rows = {name: (found["rows"], found["differences"]["lost"]) for name, found in proof.items()}
    assert rows == {"account": (24, 0), "widget__c": (27, 0), "contact": (30, 0)}
    assert {row["Website"] for row in live(pair.target, "Account")} == {"https://x.example"}
    assert {row["Title"] for row in live(pair.target, "Contact")} == {"Owner"}
    assert {row["Note__c"] for row in live(pair.target, "Widget__c")} == {"closed"}


def fitting(org: PracticeOrg) -> list[dict[str, str]]:
    """Widgets of the source that the target takes."""
    return [row for row in live(org, "Widget__c") if row["Note__c"] == SHORT]


def notes(org: PracticeOrg) -> set[str]:
    """Keys of the widgets in the target, each with its note."""
    rows = live(org, "Widget__c")
    assert all(row["Note__c"] == SHORT for row in rows)
    return {row["Legacy_Id__c"] for row in rows}
