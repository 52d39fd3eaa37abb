"""Reads and writes of schedules and of what they fired."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, aliased

from core.db.models import DataMigration, MigrationPlan, RegisteredOrg, Schedule, ScheduleFiring
from core.errors import NotFoundError, UserError

#: firings shown with a schedule
LAST_FIRINGS = 30


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule with the names of what it launches."""

    id: UUID
    name: str
    operation: str
    plan_id: UUID | None
    plan: str | None
    target_org_id: UUID | None
    target_org: str | None
    version_policy: str
    plan_version_id: UUID | None
    options: dict[str, Any]
    cron: str
    time_zone: str
    late_policy: str
    overlap_policy: str
    enabled: bool
    next_due_at: dt.datetime | None
    last_due_at: dt.datetime | None
    created_by: str


@dataclass(frozen=True, slots=True)
class FiringRow:
    """One due time of a schedule and what came of it."""

    due_at: dt.datetime
    fired_at: dt.datetime
    #: fired | late | skipped | launched (an operation) | refused
    outcome: str
    #: why it was refused
    reason: str | None
    #: data_schedule_id of the run; None when none was launched
    run: str | None
    run_status: str | None


def schedules(session: Session) -> tuple[ScheduleRow, ...]:
    """All schedules of the workspace, the next due first, those switched off last."""
    statement = _rows().order_by(
        Schedule.enabled.desc(), Schedule.next_due_at.asc().nulls_last(), Schedule.name
    )
    return tuple(ScheduleRow(**dict(row)) for row in session.execute(statement).mappings())


def schedule(session: Session, schedule_id: UUID) -> ScheduleRow:
    """One schedule.

    Raises:
        NotFoundError: there is none of that id.
    """
    row = session.execute(_rows().where(Schedule.id == schedule_id)).mappings().first()
    if row is None:
        raise NotFoundError("There is no such schedule in this workspace.")
    return ScheduleRow(**dict(row))


def firings(session: Session, schedule_id: UUID) -> tuple[FiringRow, ...]:
    """The last firings, newest first."""
    statement = (
        select(
            ScheduleFiring.due_at,
            ScheduleFiring.fired_at,
            ScheduleFiring.outcome,
            ScheduleFiring.reason,
            DataMigration.data_schedule_id.label("run"),
            DataMigration.status.label("run_status"),
        )
        .outerjoin(DataMigration, DataMigration.id == ScheduleFiring.run_id)
        .where(ScheduleFiring.schedule_id == schedule_id)
        .order_by(ScheduleFiring.due_at.desc())
        .limit(LAST_FIRINGS)
    )
    return tuple(FiringRow(**dict(row)) for row in session.execute(statement).mappings())


def firing(session: Session, schedule_id: UUID, due_at: dt.datetime) -> FiringRow | None:
    """What came of one due time, if it fired."""
    found = [row for row in firings(session, schedule_id) if row.due_at == due_at]
    return found[0] if found else None


def goes_still(session: Session, schedule_id: UUID) -> bool:
    """A run that the schedule launched is not over."""
    statement = (
        select(DataMigration.id)
        .join(ScheduleFiring, ScheduleFiring.run_id == DataMigration.id)
        .where(ScheduleFiring.schedule_id == schedule_id, DataMigration.finished_at.is_(None))
        .limit(1)
    )
    return session.scalar(statement) is not None


def note_firing(
    session: Session,
    schedule_id: UUID,
    due_at: dt.datetime,
    *,
    outcome: str | None = None,
    run: str | None = None,
    reason: str | None = None,
) -> None:
    """Writes down what a firing led to: skipped, refused for a reason, or the run of that name."""
    values: dict[str, Any] = {"reason": reason}
    if outcome is not None:
        values["outcome"] = outcome
    if run is not None:
        found = select(DataMigration.id).where(DataMigration.data_schedule_id == run)
        values["run_id"] = found.scalar_subquery()
        session.execute(
            update(DataMigration)
            .where(DataMigration.data_schedule_id == run)
            .values(schedule_id=schedule_id)
        )
    session.execute(
        update(ScheduleFiring)
        .where(ScheduleFiring.schedule_id == schedule_id, ScheduleFiring.due_at == due_at)
        .values(**values)
    )


def add(session: Session, values: dict[str, Any]) -> UUID:
    """A new schedule.

    Raises:
        UserError: the name is taken.
    """
    taken = select(Schedule.id).where(Schedule.name == values["name"])
    if session.scalar(taken) is not None:
        raise UserError(
            f"A schedule named {values['name']} exists already.",
            state="Nothing was saved.",
            next_step="Choose another name.",
        )
    made = Schedule(**values)
    session.add(made)
    session.flush()
    return made.id


def change(session: Session, schedule_id: UUID, values: dict[str, Any]) -> None:
    """Changes columns; the next due time is worked out anew when it fires next."""
    session.execute(
        update(Schedule)
        .where(Schedule.id == schedule_id)
        .values(**values, next_due_at=None, updated_at=func.now())
    )


def remove(session: Session, schedule_id: UUID) -> None:
    """Deletes the schedule with its firings; runs that it launched stay."""
    session.execute(delete(Schedule).where(Schedule.id == schedule_id))


def _rows() -> Any:
    target = aliased(RegisteredOrg)
    own = [
        getattr(Schedule, name)
        for name in ScheduleRow.__dataclass_fields__
        if name not in ("plan", "target_org_id", "target_org")
    ]
    return (
        select(
            *own,
            MigrationPlan.name.label("plan"),
            target.id.label("target_org_id"),
            target.name.label("target_org"),
        )
        .outerjoin(MigrationPlan, MigrationPlan.id == Schedule.plan_id)
        .outerjoin(target, target.id == MigrationPlan.target_org_id)
    )
