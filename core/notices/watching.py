"""Turns what happened lately into notices: runs that ended or wait, schedules that were late.

Whoever delivers looks first, so that a run is told of whichever way it ended: by its worker, by a
person, or by a start that found it dead. Looking twice tells once: a message has a dedupe key.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from core.db import happenings
from core.db.happenings import LateHappening, RunHappening
from core.domain.states import RunState
from core.notices.events import Notice, NoticeEvent
from core.notices.rules import tell

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

#: how far back one look goes: longer than the product is ever away for a restart
LOOK_BACK = dt.timedelta(minutes=30)

_EVENTS = {
    RunState.SUCCEEDED: NoticeEvent.RUN_FINISHED,
    RunState.PARTIAL: NoticeEvent.RUN_PARTIAL,
    RunState.FAILED: NoticeEvent.RUN_FAILED,
    RunState.CANCELLED: NoticeEvent.RUN_FINISHED,
    RunState.UNDONE: NoticeEvent.RUN_FINISHED,
    RunState.WAITING_DECISION: NoticeEvent.DECISION_WAITING,
}


def look(bridge: Orgbridge) -> int:
    """Put messages for what happened lately into the outbox; how many are new."""
    since = bridge.clock() - LOOK_BACK
    with bridge.owner_session() as session:
        runs = happenings.runs_since(session, since)
        late = happenings.late_since(session, since)
    new = 0
    for workspace_id, notice in _notices(runs, late):
        with bridge.session(workspace_id) as session:
            new += tell(session, notice)
    return new


def _notices(runs: list[RunHappening], late: list[LateHappening]) -> Iterator[tuple[UUID, Notice]]:
    for run in runs:
        yield run.workspace_id, run_notice(run)
    for missed in late:
        yield missed.workspace_id, late_notice(missed)


def run_notice(run: RunHappening) -> Notice:
    """What is told of a run: its state, its rows, where it wrote.

    Worker and janitor say the same of a run, whoever comes first, so that it is told once.
    """
    share = 100 * run.left / run.rows if run.rows else 0.0
    what = f"{run.plan or 'A removed plan'} into {run.target or 'a removed org'}"
    rows = f"{run.rows:,} rows read, {run.left:,} did not arrive ({share:.1f} %)."
    return Notice(
        event=_EVENTS[run.status],
        # the time tells a second end (after an undo) from the first
        subject=f"{run.name}:{run.status.value}:{_utc(run.finished_at)}",
        at=run.finished_at,
        title=f"{run.status.value}: {run.name}",
        body=" ".join(part for part in (f"{what}.", rows, run.wait_reason) if part),
        run_id=run.run_id,
        plan_id=run.plan_id,
        org_ids=tuple(each for each in (run.source_org_id, run.target_org_id) if each),
        figures={"failed_percent": share, "failed_rows": float(run.left)},
    )


def late_notice(missed: LateHappening) -> Notice:
    """What is told of a due time that was missed, or at which nothing could be launched."""
    refused = missed.outcome == "refused"
    came = "It was launched late." if missed.outcome == "late" else "It was skipped."
    if refused:
        came = f"Nothing was launched. {missed.reason or ''}".rstrip()
    return Notice(
        event=NoticeEvent.SCHEDULE_LATE,
        subject=f"{missed.schedule_id}:{missed.due_at.isoformat()}",
        title=f"{'Not launched' if refused else 'Late'}: {missed.schedule}",
        body=f"{missed.schedule} was due at {missed.due_at:%Y-%m-%d %H:%M} UTC. {came}",
        plan_id=missed.plan_id,
    )


def _utc(moment: dt.datetime | None) -> str:
    return "" if moment is None else moment.astimezone(dt.UTC).isoformat()
