"""How fast the next run of a plan is expected to be."""

from __future__ import annotations

import datetime as dt
from typing import Any

from core.db.run_reads import RunLine, RunTotals
from core.domain.states import RunState
from core.services.launch_outlook import _pace

START = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def run(name: str, *, done: int = 1_200, seconds: float | None = 60.0, **more: Any) -> RunLine:
    finished = None if seconds is None else START + dt.timedelta(seconds=seconds)
    line = {
        "name": name,
        "status": RunState.SUCCEEDED,
        "mode": "full",
        "plan_id": None,
        "plan_name": "Move",
        "target_name": "New",
        "requested_by": "ada",
        "created_at": START,
        "started_at": START,
        "finished_at": finished,
        "wait_reason": None,
        "pinned": False,
        "totals": RunTotals(planned=done, written=done, done=done, failed=0),
    }
    return RunLine(**{**line, **more})


def test_the_newest_whole_run_says_how_fast_rows_go() -> None:
    dry, full, older = run("run-3", mode="dry-run"), run("run-2"), run("run-1", seconds=600.0)

    assert _pace([dry, full, older]) == (20.0, "run-2")


def test_waiting_for_a_person_and_failing_are_no_pace() -> None:
    """A canary waits for its decision; a failed run did not do its rows."""
    canary = run("run-3", mode="canary")
    failed = run("run-2", status=RunState.FAILED)
    nothing = run("run-1", done=0)

    assert _pace([canary, failed, nothing]) == (None, "")


def test_a_run_of_no_time_counts_as_a_second() -> None:
    assert _pace([run("run-1", seconds=0.0, done=7)]) == (7.0, "run-1")
