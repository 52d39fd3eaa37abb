"""What happened lately that people may want to be told of: ended and waiting runs, late schedules.

Read by the owner over all workspaces, and only where a rule could ask for it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from core.db.models import (
    DataMigration,
    MigrationPlan,
    NotificationRule,
    RegisteredOrg,
    RunStep,
    Schedule,
    ScheduleFiring,
)
from core.domain.states import FINISHED_RUNS, RunState


@dataclass(frozen=True, slots=True)
class RunHappening:
    """A run that ended or waits for a decision."""

    workspace_id: UUID
    run_id: UUID
    name: str
    status: RunState
    finished_at: dt.datetime | None
    wait_reason: str | None
    plan_id: UUID | None
    plan: str | None
    source_org_id: UUID | None
    target_org_id: UUID | None
    target: str | None
    #: rows read in the load phase, and those of them that did not arrive
    rows: int
    left: int


@dataclass(frozen=True, slots=True)
class LateHappening:
    """A due time that a schedule missed."""

    workspace_id: UUID
    schedule_id: UUID
    schedule: str
    plan_id: UUID | None
    due_at: dt.datetime
    #: late: it ran all the same; skipped: it did not; refused: it could not, for the reason
    outcome: str
    reason: str | None = None


def runs_since(session: Session, since: dt.datetime) -> list[RunHappening]:
    """Runs that ended since, and runs that wait for a decision, in workspaces that have rules."""
    has_ended = DataMigration.status.in_([state.value for state in FINISHED_RUNS])
    waits = DataMigration.status == RunState.WAITING_DECISION.value
    return _runs(session, or_(has_ended & (DataMigration.finished_at >= since), waits))


def run_now(session: Session, run_id: UUID) -> RunHappening | None:
    """What there is to tell of one run as it stands; None where nothing or nobody listens."""
    told = [state.value for state in (*FINISHED_RUNS, RunState.WAITING_DECISION)]
    found = _runs(session, (DataMigration.id == run_id) & DataMigration.status.in_(told))
    return found[0] if found else None


def _runs(session: Session, happened: Any) -> list[RunHappening]:
    target = aliased(RegisteredOrg)
    statement = (
        select(
            DataMigration.workspace_id,
            DataMigration.id.label("run_id"),
            DataMigration.data_schedule_id.label("name"),
            DataMigration.status,
            DataMigration.finished_at,
            DataMigration.wait_reason,
            DataMigration.plan_id,
            MigrationPlan.name.label("plan"),
            DataMigration.source_org_id,
            DataMigration.target_org_id,
            target.name.label("target"),
            _total(RunStep.read_rows).label("rows"),
            _total(RunStep.blocked + RunStep.failed + RunStep.not_processed).label("left"),
        )
        .outerjoin(MigrationPlan, MigrationPlan.id == DataMigration.plan_id)
        .outerjoin(target, target.id == DataMigration.target_org_id)
        .where(happened, DataMigration.workspace_id.in_(_listening()))
    )
    return [
        RunHappening(**{**row, "status": RunState(row["status"])})
        for row in session.execute(statement).mappings()
    ]


def late_since(session: Session, since: dt.datetime) -> list[LateHappening]:
    """Due times that were missed, noticed since, in workspaces that have rules."""
    statement = (
        select(
            ScheduleFiring.workspace_id,
            ScheduleFiring.schedule_id,
            Schedule.name.label("schedule"),
            Schedule.plan_id,
            ScheduleFiring.due_at,
            ScheduleFiring.outcome,
            ScheduleFiring.reason,
        )
        .join(Schedule, Schedule.id == ScheduleFiring.schedule_id)
        .where(
            ScheduleFiring.fired_at >= since,
            ScheduleFiring.outcome.in_(("late", "skipped", "refused")),
            ScheduleFiring.workspace_id.in_(_listening()),
        )
    )
    return [LateHappening(**row) for row in session.execute(statement).mappings()]


def _listening() -> Select[Any]:
    """Workspaces in which some rule is on."""
    return select(NotificationRule.workspace_id).where(NotificationRule.enabled)


def _total(rows: Any) -> Any:
    return (
        select(func.coalesce(func.sum(rows), 0))
        .where(RunStep.run_id == DataMigration.id, RunStep.phase == "load")
        .scalar_subquery()
    )
