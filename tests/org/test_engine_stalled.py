"""Bulk jobs that do not end as they should: they stand still, commit rows after they were aborted,
or their results are gone. The run says so, can be stopped, loses nothing and sends nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from core import bootstrap
from core.config import Settings
from core.db import runs
from core.db.run_lease import claim
from core.db.run_state import TakenOverError
from core.domain.states import RunState
from core.errors import UserError
from core.migration import run as engine
from core.salesforce.bulk import BATCH_MAX_S
from core.services import preflight
from core.services.launching import undo
from core.services.retrying import RetryChoice, retry
from core.services.steering import cancel
from tests.org.engine import SCHEMA, Pair, connect, line
from tests.org.pairs import change, create, emptied, live
from tests.org.two_orgs import two_orgs
from tests.orgs import PracticeOrg, wait_for

PLAN = """
orgbridge: 1
name: stalled
source: legacy
target: new
objects:
  - source: Account
    skip: [Legacy_Id__c]
"""
STALL = {"kind": "bulk", "stall": True}


orgs = two_orgs(SCHEMA)


@pytest.fixture
def pair(settings: Settings, orgs: tuple[PracticeOrg, PracticeOrg]) -> Iterator[Pair]:
    """Three accounts to load; nobody waits for real."""
    with bootstrap.build(settings, sleep=lambda _: None) as bridge:
        made = connect(bridge, *orgs)
        for org in orgs:
            emptied(org, "Account")
        create(made.source, "Account", *({"Name": f"A{n}"} for n in range(3)))
        yield made
        made.target.clear_faults()


def carried(pair: Pair, name: str, stop: Callable[[], str | None] = lambda: None) -> RunState:
    """Carries a run until it ends or `stop` says how it shall."""
    row = pair.row(name)
    return engine.carry(pair.bridge, row.workspace_id, row.id, stop=stop, sleep=lambda _: None)


def stands(pair: Pair) -> bool:
    """Whether the target works on a job just now."""
    found = pair.target.json("GET", "jobs/ingest")["records"]
    return any(job["state"] == "InProgress" for job in found)


def story(pair: Pair, name: str) -> list[str]:
    """The lines of a run's story."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        return [
            entry["message"]
            for entry in runs.events(session, pair.row(name).id, after=None, limit=200)
        ]


def test_a_job_that_never_ends_pauses_the_run_with_a_sentence(pair: Pair) -> None:
    """What was sent is not sent again: resumed, the run looks at the very same job."""
    pair.target.plant(STALL)
    name = pair.launch(PLAN)

    ended = carried(pair, name)
    reason = pair.row(name).wait_reason or ""
    told = story(pair, name)
    pair.target.clear_faults()
    after = carried(pair, name)

    assert ended is RunState.PAUSED
    assert "has not moved the bulk job" in reason
    assert "then resume" in reason
    assert any("it is waited for" in message for message in told)
    assert after is RunState.SUCCEEDED
    assert line(pair.document(name), "account")["inserted"] == 3
    assert len(live(pair.target, "Account")) == 3


@pytest.mark.parametrize(
    ("wish", "state"),
    [
        ("pause", RunState.PAUSED),
        ("yield", RunState.RUNNING),
        ("cancel", RunState.CANCELLED),
    ],
)
def test_a_job_that_stands_still_keeps_nobody_from_stopping(
    pair: Pair, wish: str, state: RunState
) -> None:
    """A cancelled run's job is aborted; a paused one's is looked at again by who resumes."""
    pair.target.plant(STALL)
    name = pair.launch(PLAN)
    stood: list[bool] = []

    def once_it_stands() -> str | None:
        if not stood and stands(pair):
            stood.append(True)
        return wish if stood else None

    ended = carried(pair, name, once_it_stands)
    reason = pair.row(name).wait_reason or ""
    pair.target.clear_faults()
    if state is not RunState.CANCELLED:
        carried(pair, name)

    assert ended is state
    assert "has not moved" not in reason
    there = len(live(pair.target, "Account"))
    assert there == (0 if wish == "cancel" else 3)
    assert line(pair.document(name), "account")["inserted"] == there


def test_a_worker_that_waits_for_a_job_sees_that_it_was_replaced(pair: Pair) -> None:
    """It ends at its next look; the job is the new worker's to settle."""
    pair.target.plant(STALL)
    name = pair.launch(PLAN)
    taken: list[int] = []

    def replaced() -> str | None:
        if stands(pair) and not taken:
            pair.expire_lease(name)
            lease = claim(pair.bridge.owner_engine, pair.row(name).id, lock_target=True)
            taken.append(lease.token)
            lease.close()
        return None

    with pytest.raises(TakenOverError):
        carried(pair, name, replaced)
    pair.expire_lease(name)
    pair.target.clear_faults()
    after = carried(pair, name)

    assert taken
    assert after is RunState.SUCCEEDED
    assert len(live(pair.target, "Account")) == 3


ON_ITS_WAY = {**STALL, "on_its_way": True}


def arrived(pair: Pair, number: int) -> None:
    """Lets the batch be committed that was on its way."""
    pair.target.clear_faults()
    wait_for(lambda: len(live(pair.target, "Account")) == number, 120)


@pytest.mark.parametrize("again", ["run", "undo"])
def test_rule_3_10_rows_committed_long_after_a_cancel_are_noted_by_the_next_run(
    pair: Pair, again: str
) -> None:
    """Whatever that run is: a run finds them there and sends none again, an undo deletes them."""
    pair.target.plant(ON_ITS_WAY)
    cancelled = pair.launch(PLAN)
    stood: list[bool] = []

    def once_it_stands() -> str | None:
        if not stood and stands(pair):
            stood.append(True)
        return "cancel" if stood else None

    ended = carried(pair, cancelled, once_it_stands)
    before = line(pair.document(cancelled), "account")["inserted"]
    arrived(pair, 3)
    if again == "run":
        name = pair.launch(PLAN)
    else:
        name = undo(pair.bridge, pair.actor, cancelled, enqueue=False)
    after = carried(pair, name)

    assert ended is RunState.CANCELLED
    assert before == 0
    assert after is RunState.SUCCEEDED
    assert line(pair.document(cancelled), "account")["inserted"] == 3
    assert any(f"committed after {cancelled}" in message for message in story(pair, name))
    assert len(live(pair.target, "Account")) == (3 if again == "run" else 0)
    if again == "run":
        assert line(pair.document(name), "account")["inserted"] == 0


def test_rule_3_10_keyless_rows_of_an_aborted_job_wait_until_no_batch_can_follow(
    pair: Pair,
) -> None:
    """A person aborts the job in Setup; its batch is committed minutes later, before the rows are
    sent again."""
    pair.target.plant(ON_ITS_WAY)
    name = pair.launch(PLAN)
    looks: list[int] = []

    def aborted() -> str | None:
        found = pair.target.json("GET", "jobs/ingest")["records"]
        for job in found:
            if job["state"] == "InProgress":
                pair.target.json("PATCH", f"jobs/ingest/{job['id']}", {"state": "Aborted"})
                looks.append(0)
        if looks:
            looks.append(len(looks))
        if len(looks) == 20:  # of the 120 that ten minutes are
            arrived(pair, 3)
        return None

    ended = carried(pair, name, aborted)

    assert len(looks) > 20
    assert BATCH_MAX_S >= 600
    assert ended is RunState.SUCCEEDED
    assert line(pair.document(name), "account")["inserted"] == 3
    assert len(live(pair.target, "Account")) == 3


KEYED_PLAN = """
orgbridge: 1
name: stalled
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    load: {api: bulk}
    fields: {Name: Name, Phone: {from: Phone%s}}
"""
GONE = {
    "kind": "http", "method": "GET", "path": "successfulResults$", "status": 404,
    "body": [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}],
}  # fmt: skip


@pytest.mark.parametrize("operation", ["upsert", "insert", "update"])
def test_results_that_are_gone_are_settled_by_the_rows_themselves(
    pair: Pair, operation: str
) -> None:
    """An insert is looked for by its key; what names its record may go twice."""
    written = KEYED_PLAN % ("" if operation == "upsert" else ", write: insert_only")
    if operation == "update":
        pair.run(written)
        for row in live(pair.source, "Account"):
            change(pair.source, "Account", row["Id"], Name=f"{row['Name']} new")
    pair.target.plant(GONE)

    name = pair.launch(written)
    ended = carried(pair, name)

    assert ended is RunState.SUCCEEDED, pair.failures(name)
    figures = line(pair.document(name), "account")
    assert figures["updated" if operation == "update" else "inserted"] == 3
    names = {row["Name"] for row in live(pair.source, "Account")}
    held = live(pair.target, "Account")
    assert len(held) == 3
    assert {row["Name"] for row in held} == names
    assert operations(pair, name) == {operation}


def test_rule_2_5_keyless_rows_whose_results_are_gone_are_reported_and_not_sent_again(
    pair: Pair,
) -> None:
    pair.target.plant(GONE)

    document = pair.run(PLAN)

    figures = line(document, "account")
    assert (figures["inserted"], figures["failed"]) == (0, 3)
    assert {row["code"] for row in pair.failures(document["run_id"])} == {"ANSWER_LOST"}
    assert len(live(pair.target, "Account")) == 3


def test_rule_2_5_rows_of_unknown_fate_are_held_back_until_somebody_names_them(
    pair: Pair,
) -> None:
    """A later run, a delta, a key that is stamped from now on: none of them knows more."""
    pair.target.plant(GONE)
    first = pair.run(PLAN)
    pair.target.clear_faults()
    emptied(pair.target, "Account")  # somebody looked, and cleared away what was there

    again = pair.run(PLAN)
    delta = pair.run(PLAN, mode="delta")
    keyed = pair.run(KEYED_PLAN % "")
    refused = {row["code"] for row in pair.failures(again["run_id"])}
    lost = [row["source_id"] for row in pair.failures(first["run_id"])]
    name = retry(
        pair.bridge, pair.actor, first["run_id"], RetryChoice(source_ids=(*lost,)), enqueue=False
    )
    carried(pair, name)

    assert [line(one, "account")["blocked"] for one in (again, delta, keyed)] == [3, 3, 3]
    assert refused == {"ANSWER_LOST"}
    assert line(pair.document(name), "account")["inserted"] == 3
    assert len(live(pair.target, "Account")) == 3
    assert line(pair.run(PLAN), "account")["unchanged"] == 3


def test_rule_2_5_a_job_that_outlives_its_cancelled_run_is_aborted_and_read_by_the_next(
    pair: Pair,
) -> None:
    """Cancelled while nobody carried the run: its job was never told."""
    pair.target.plant(STALL)
    stopped = pair.launch(PLAN)
    carried(pair, stopped)
    cancel(pair.bridge, pair.actor, stopped)

    again = pair.run(PLAN)

    assert pair.row(stopped).status is RunState.CANCELLED
    assert line(again, "account")["read"] == 3
    assert len(live(pair.target, "Account")) == 3


def at_work(org: PracticeOrg) -> bool:
    """A job's week begins when it is over, which is after its last row was written."""
    jobs = org.json("GET", "jobs/ingest")["records"]
    return any(job["state"] in ("UploadComplete", "InProgress") for job in jobs)


def test_rule_2_5_rows_of_a_cancelled_runs_job_that_the_org_forgot_are_held_back(
    pair: Pair,
) -> None:
    pair.target.plant(STALL)
    stopped = pair.launch(PLAN)
    carried(pair, stopped)
    cancel(pair.bridge, pair.actor, stopped)
    pair.target.clear_faults()
    wait_for(lambda: len(live(pair.target, "Account")) == 3 and not at_work(pair.target), 120)
    pair.target.json("POST", "/_sim/clock", {"move_s": 8 * 24 * 3600})

    told = [line(pair.run(PLAN), "account")["blocked"] for _ in range(2)]

    assert told == [3, 3]
    assert len(live(pair.target, "Account")) == 3


def test_pages_of_a_cancelled_run_that_are_gone_keep_no_other_run_from_its_work(
    pair: Pair,
) -> None:
    """Its key may be there when its pages are not: retention takes one after the other."""
    pair.target.plant(STALL)
    stopped = pair.launch(PLAN)
    carried(pair, stopped)
    cancel(pair.bridge, pair.actor, stopped)
    pair.bridge.spool.delete_run(pair.row(stopped).id)

    again = pair.run(PLAN)

    assert again["status"] == "Succeeded"
    assert len(live(pair.target, "Account")) == 3


def test_a_run_that_stopped_with_inserts_is_resumed_or_cancelled_before_another_one(
    pair: Pair,
) -> None:
    pair.target.plant(STALL)
    stopped = pair.launch(PLAN)
    carried(pair, stopped)
    pair.target.clear_faults()
    other = pair.launch(PLAN)

    with pytest.raises(UserError, match=f"{stopped} stopped with rows on their way") as refused:
        carried(pair, other)
    plan_id = pair.row(stopped).plan_id
    assert plan_id is not None
    report = preflight.check(pair.bridge, pair.actor, plan_id)
    carried(pair, stopped)
    after = carried(pair, other)

    assert refused.value.fact("code") == "stopped_run"
    assert not report.ready
    assert after is RunState.SUCCEEDED
    assert line(pair.document(other), "account")["unchanged"] == 3
    assert len(live(pair.target, "Account")) == 3


def operations(pair: Pair, name: str) -> set[str]:
    """What the chunks of a run were to do."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        found = session.execute(
            text("SELECT DISTINCT operation FROM run_chunk WHERE run_id = :id"),
            {"id": pair.row(name).id},
        )
        return {str(operation) for (operation,) in found}
