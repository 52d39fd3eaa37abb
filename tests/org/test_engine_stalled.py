"""A bulk job that the org does not end: the run says so, can be stopped, and loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from core import bootstrap
from core.config import Settings
from core.db import runs
from core.db.run_state import TakenOverError, claim
from core.domain.states import RunState
from core.migration import run as engine
from tests.org.engine import SCHEMA, Pair, connect, line
from tests.org.pairs import create, emptied, live
from tests.orgs import PracticeOrg, PracticeOrgs

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


@pytest.fixture(scope="module")
def orgs(module_practice_org: PracticeOrgs) -> tuple[PracticeOrg, PracticeOrg]:
    """Two orgs of one schema, emptied for every test."""
    return (
        module_practice_org(name="Legacy", schema=SCHEMA),
        module_practice_org(name="New", schema=SCHEMA),
    )


@pytest.fixture
def pair(settings: Settings, orgs: tuple[PracticeOrg, PracticeOrg]) -> Iterator[Pair]:
    """Three accounts to load, in a target whose first job stands still; nobody waits for real."""
    with bootstrap.build(settings, sleep=lambda _: None) as bridge:
        made = connect(bridge, *orgs)
        for org in orgs:
            emptied(org, "Account")
        create(made.source, "Account", *({"Name": f"A{n}"} for n in range(3)))
        made.target.plant(STALL)
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
