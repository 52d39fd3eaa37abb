"""From a due time to a run: what a schedule names is launched once, unless its last run still goes.

The firing's row remembers the run, so that a second attempt (its worker was killed) launches
nothing anew.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.domain.states import RunState

#: states in which a run is somebody's work; the others have ended or wait for a person
UNSETTLED = frozenset(
    {
        RunState.PENDING,
        RunState.CHECKING,
        RunState.RUNNING,
        RunState.PAUSING,
        RunState.CANCELLING,
        RunState.UNDOING,
    }
)
#: states after which a schedule's next firing does not overlap
_ENDED = (
    RunState.SUCCEEDED,
    RunState.PARTIAL,
    RunState.FAILED,
    RunState.CANCELLED,
    RunState.UNDONE,
)

ScheduleRow = Row[tuple[Any, ...]]
log = logging.getLogger(__name__)


def is_settled(status: object) -> bool:
    """True when a run in `status` needs no worker (it has ended, or waits for a person)."""
    return str(status) not in UNSETTLED


def launch_scheduled(
    bridge: Orgbridge, *, workspace_id: UUID, schedule_id: UUID, due_at: datetime
) -> UUID | None:
    """Launch a schedule's operation for one due time; None when nothing had to be launched."""
    with bridge.session(workspace_id) as session:
        schedule = _schedule(session, schedule_id)
        firing = _firing(session, schedule_id, due_at)
        if schedule is None or firing is None or firing.run_id is not None:
            return None
        if schedule.overlap_policy == "skip" and _goes_still(session, schedule_id):
            _note(session, schedule_id, due_at, outcome="skipped")
            log.info("schedule skipped: its last run still goes")
            return None
    run_id = _launch(bridge, schedule, due_at)
    with bridge.session(workspace_id) as session:
        _note(session, schedule_id, due_at, run_id=run_id)
    return run_id


def keep_house(bridge: Orgbridge) -> None:
    """Retention of our rows and files, and of the queue's finished jobs."""
    from core.db import retention

    retention.keep(bridge.owner_engine, now=bridge.clock())


def _launch(bridge: Orgbridge, schedule: ScheduleRow, due_at: datetime) -> UUID:
    from core.operations import registry

    actor = Actor(
        workspace_id=schedule.workspace_id,
        user_id=None,
        name=f"schedule:{schedule.name}",
        role=Role.ANALYST,
        origin="schedule",
    )
    parameters = {
        **schedule.options,
        "plan_id": schedule.plan_id and str(schedule.plan_id),
        "plan_version_id": schedule.plan_version_id and str(schedule.plan_version_id),
        "schedule_id": str(schedule.id),
    }
    return registry.launch(
        bridge,
        actor,
        schedule.operation,
        {name: value for name, value in parameters.items() if value is not None},
        idempotency_key=f"schedule:{schedule.id}:{due_at.isoformat()}",
    )


def _schedule(session: Session, schedule_id: UUID) -> ScheduleRow | None:
    statement = text("SELECT * FROM schedule WHERE id = :id AND enabled")
    return session.execute(statement, {"id": schedule_id}).one_or_none()


def _firing(session: Session, schedule_id: UUID, due_at: datetime) -> ScheduleRow | None:
    statement = text("SELECT * FROM schedule_firing WHERE schedule_id = :id AND due_at = :due_at")
    return session.execute(statement, {"id": schedule_id, "due_at": due_at}).one_or_none()


def _goes_still(session: Session, schedule_id: UUID) -> bool:
    statement = text(
        "SELECT EXISTS (SELECT FROM data_migration"
        " WHERE schedule_id = :id AND NOT status = ANY(:ended))"
    )
    values = {"id": schedule_id, "ended": [str(state) for state in _ENDED]}
    return bool(session.scalar(statement, values))


def _note(
    session: Session,
    schedule_id: UUID,
    due_at: datetime,
    *,
    run_id: UUID | None = None,
    outcome: str | None = None,
) -> None:
    session.execute(
        text(
            "UPDATE schedule_firing SET run_id = coalesce(:run_id, run_id),"
            " outcome = coalesce(:outcome, outcome)"
            " WHERE schedule_id = :id AND due_at = :due_at"
        ),
        {"id": schedule_id, "due_at": due_at, "run_id": run_id, "outcome": outcome},
    )
