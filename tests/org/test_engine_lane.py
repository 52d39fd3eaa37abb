"""How chunks travel when the org says no for a while, and when a person says stop (3.10, 3.11)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import psycopg.sql
import pytest
from sqlalchemy import make_url, text

from core.config import Settings
from core.db.run_state import TakenOverError
from core.domain.states import RunState
from core.errors import ConflictError, TransientError
from core.migration import run as engine
from core.salesforce import bulk
from core.services import steering
from tests.org.engine import SCHEMA, Pair, check_identity, line
from tests.org.pairs import change, create, live
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PracticeOrg, wait_for

PLAN = """
orgbridge: 1
name: lane
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
    load: {%s}
"""
DELETES = """
orgbridge: 1
name: clean
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    operation: %s
    load: {api: bulk, batch: 5}
"""
KEYLESS = """
orgbridge: 1
name: keyless
source: legacy
target: new
objects:
  - source: Account
    skip: [Legacy_Id__c]
"""


orgs = two_orgs(SCHEMA, "org: {features: [hard_delete]}" + SCHEMA)
pair = empty_pair("Contact", "Account")


def people(org: PracticeOrg, accounts: int, contacts: int) -> None:
    ids = create(org, "Account", *({"Name": f"A{n}"} for n in range(accounts)))
    rows = ({"LastName": f"C{n}", "AccountId": ids[n % accounts]} for n in range(contacts))
    create(org, "Contact", *rows)


def chunks(pair: Pair, name: str, mapping: str) -> list[dict[str, Any]]:
    """Chunks of one mapping's load, in order."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        found = session.execute(
            text(
                "SELECT c.api, c.rows, c.attempt, c.state, c.outcome, c.job_id FROM run_chunk c"
                " JOIN run_step s ON s.id = c.step_id WHERE c.run_id = :id"
                " AND s.mapping_name = :mapping AND s.phase = 'load' ORDER BY c.number"
            ),
            {"id": pair.row(name).id, "mapping": mapping},
        ).mappings()
        return [dict(row) for row in found]


def carried(pair: Pair, name: str, stop: Callable[[], str | None]) -> RunState:
    """Carries a run until it ends or `stop` says how it shall."""
    row = pair.row(name)
    return engine.carry(pair.bridge, row.workspace_id, row.id, stop=stop, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("wish", "state"), [("pause", RunState.PAUSED), ("cancel", RunState.CANCELLED)]
)
def test_rule_3_10_results_of_a_job_are_committed_while_stopping(
    pair: Pair, wish: str, state: RunState
) -> None:
    """Whatever the org took until then is in the ledger: nothing is sent again afterwards."""
    create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(30)))
    pair.target.options(bulk_queue_delay_s=0.3)
    name = pair.launch(
        PLAN.replace("  - source: Contact", "    load: {api: bulk, batch: 5}\n  - source: Contact")
        % ""
    )

    def once_a_job_is_closed() -> str | None:
        found = [c for c in chunks(pair, name, "account") if c["state"] in ("closed", "done")]
        return wish if found else None

    ended = carried(pair, name, once_a_job_is_closed)
    found = chunks(pair, name, "account")
    there = len(live(pair.target, "Account"))
    noted = line(pair.document(name), "account")["inserted"]
    again = pair.run(PLAN % "")

    assert ended is state
    assert {c["state"] for c in found} <= {"done", "planned"}
    assert noted == there
    assert len(live(pair.target, "Account")) == 30
    assert line(again, "account")["inserted"] == 30 - there


@pytest.mark.parametrize(
    ("act", "state"), [(steering.pause, RunState.PAUSED), (steering.cancel, RunState.CANCELLED)]
)
def test_rule_3_10_a_run_stopped_while_nobody_carries_it_sends_nothing_more(
    pair: Pair, act: Callable[..., object], state: RunState
) -> None:
    """Its worker is dead: whoever takes it over hears what was asked in between."""
    create(pair.source, "Account", {"Name": "A"})
    name = pair.launch(PLAN % "")
    with pair.bridge.owner_session() as session:
        session.execute(text("UPDATE data_migration SET status = 'Running'"))

    act(pair.bridge, pair.actor, name)
    ended = pair.carry(name)

    assert ended is state
    assert live(pair.target, "Account") == []


def test_rule_3_10_a_batch_that_is_committed_after_the_abort_is_in_the_ledger(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An abort does not stop the batch on its way: its rows come after the job says Aborted."""
    create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(4)))
    pair.target.options(bulk_queue_delay_s=0.5)
    told = bulk._status
    aborted: set[str] = set()

    def said(self: bulk.Bulk, job_id: str) -> bulk.JobStatus:
        aborted.add(job_id)
        return self.job(job_id)

    def status(item: dict[str, Any]) -> bulk.JobStatus:
        found = told(item)
        state = bulk.JobState.ABORTED if found.job_id in aborted else found.state
        return replace(found, state=state)

    monkeypatch.setattr(bulk.Bulk, "abort", said)
    monkeypatch.setattr(bulk, "_status", status)
    name = pair.launch(KEYLESS)

    ended = carried(pair, name, lambda: "cancel" if is_closed(pair, name) else None)

    assert ended is RunState.CANCELLED
    assert aborted
    assert len(live(pair.target, "Account")) == 4
    assert line(pair.document(name), "account")["inserted"] == 4


def is_closed(pair: Pair, name: str) -> bool:
    """Whether the org has a job of the run, now or before."""
    return any(one["state"] in ("closed", "done") for one in chunks(pair, name, "account"))


def test_rule_3_11_rows_that_met_a_lock_come_again_and_arrive(pair: Pair) -> None:
    """Rows that met a lock come again alone, sorted by the parent that they lock."""
    people(pair.source, 4, 60)
    name = pair.launch(PLAN % "api: collections, batch: 10")
    pair.target.plant({"kind": "row", "object": "Contact", "preset": "lock", "times": 3})

    ended = carried(pair, name, lambda: None)

    found = chunks(pair, name, "contact")
    locked = [c for c in found if c["outcome"].get("advice") == "locked"]
    assert ended is RunState.SUCCEEDED
    assert locked
    assert len(live(pair.target, "Contact")) == 60
    assert all(c["attempt"] > 0 for c in locked)
    check_identity(pair.document(name))


def test_rule_3_11_cpu_refusals_shrink_jobs_of_rows_without_a_key(pair: Pair) -> None:
    """They may not go by collections (rule 2.5): jobs of 50, then 10, then 1 row."""
    create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(120)))
    pair.target.plant({"kind": "row", "preset": "cpu", "times": 2})

    document = pair.run(KEYLESS)

    found = chunks(pair, document["run_id"], "account")
    assert document["status"] == "Succeeded"
    assert {c["api"] for c in found} == {"bulk"}
    assert max(c["rows"] for c in found if c["attempt"] == 1) <= 50
    assert len(live(pair.target, "Account")) == 120


@pytest.mark.parametrize("operation", ["delete", "hard_delete"])
def test_deletes_whose_results_are_gone_count_as_what_they_did(pair: Pair, operation: str) -> None:
    """Sent again they would all be refused, though every row is as it was asked for."""
    sources = create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(8)))
    there = ({"Name": "x", "Legacy_Id__c": one} for one in sources)
    create(pair.target, "Account", *there, {"Name": "stays"})
    pair.target.plant({
        "kind": "http", "path": "/jobs/ingest/.+/successfulResults", "status": 404,
        "body": [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}],
    })  # fmt: skip

    document = pair.run(DELETES % operation, confirm="new", reason="clean the rehearsal")

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    assert line(document, "account")["updated"] == 8
    assert [row["Name"] for row in live(pair.target, "Account")] == ["stays"]
    check_identity(document)


def test_a_database_that_goes_away_is_told_and_the_run_goes_on(
    pair: Pair, settings: Settings
) -> None:
    """What comes out is one of our errors with what happened, what stands and what comes next."""
    create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(5)))
    name = pair.launch(KEYLESS)
    cut: list[str] = []

    def once_a_job_is_closed() -> str | None:
        if not cut and is_closed(pair, name):
            cut.append(shut(settings, "false"))
        return None

    with pytest.raises(TransientError, match="database did not answer") as said:
        carried(pair, name, once_a_job_is_closed)
    shut(settings, "true")
    pair.expire_lease(name)
    ended = carried(pair, name, lambda: None)

    assert "runs resume" in said.value.next_step
    assert said.value.state
    assert ended is RunState.SUCCEEDED
    assert len(live(pair.target, "Account")) == 5


def shut(settings: Settings, allow: str) -> str:
    """Ends every connection to the test's database and lets nobody in, or lets people in again."""
    url = make_url(settings.database_url or "")
    plain = url.set(drivername="postgresql", database="postgres")
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as beside:
        name = psycopg.sql.Identifier(url.database or "")
        given = psycopg.sql.SQL(allow)
        beside.execute(
            psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(name, given)
        )
        if allow == "false":
            beside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [url.database],
            )
    return allow


#: in which the probe of links is the first of these calls, and the look before an update the second
LOOK_BEFORE = {
    "kind": "http", "method": "POST", "path": "/composite/sobjects/Account$", "after": 1,
    "hold": "after",
}  # fmt: skip


def test_a_worker_that_wakes_up_writes_no_page_of_the_run_it_lost(pair: Pair) -> None:
    """It stood still between two looks at the org, another one carried the run to its end; what it
    would have planned, kept for undo and let wait lies there from that one."""
    (known,) = create(pair.source, "Account", {"Name": "A"})
    pair.run(SELF)
    change(pair.source, "Account", known, Description="changed")
    (parent,) = create(pair.source, "Account", {"Name": "C"})
    create(pair.source, "Account", {"Name": "D", "ParentId": parent})
    name = pair.launch(SELF)
    pair.target.plant(LOOK_BEFORE)

    with ThreadPoolExecutor(1) as sleeper:
        asleep = sleeper.submit(pair.carry, name)
        try:
            held = "/_sim/faults/held?wait_s=0.5"
            wait_for(lambda: bool(pair.target.json("GET", held)["held"]), 120)
            wait_for(partial(carried_by_another, pair, name), 120)
            left = pages(pair, name)
        finally:
            pair.target.clear_faults()
        with pytest.raises(TakenOverError):
            asleep.result(timeout=120)

    assert pages(pair, name) == left
    folders = {path.split("/")[0] for path in left}
    assert {"src", "load", "before", "wait", "done"} <= folders
    figures = line(pair.document(name), "account")
    assert (figures["inserted"], figures["second_pass"]) == (2, 1)


SELF = """
orgbridge: 1
name: lane
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    defer: [ParentId]
"""


def carried_by_another(pair: Pair, name: str) -> bool:
    """Whether another worker could take the run up, and brought it to its end."""
    pair.expire_lease(name)
    try:
        return pair.carry(name) is RunState.SUCCEEDED
    except ConflictError:  # the one that stands still has just given a sign of life
        return False


def pages(pair: Pair, name: str) -> dict[str, bytes]:
    """Every page of a run as it lies on the spool; sealed anew, a page has other bytes."""
    root = Path(pair.bridge.spool.url) / str(pair.row(name).id)
    return {str(one.relative_to(root)): one.read_bytes() for one in root.rglob("*.page")}
