"""Reads and writes of approvals; a decision moves the waiting run in the same transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from core.db.models import Approval, DataMigration, MigrationPlan, PlanVersion, RegisteredOrg
from core.domain.states import RunState
from core.errors import ConflictError, NotFoundError


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One request with what an approver has to know."""

    id: UUID
    plan_version_id: UUID
    plan_name: str
    version: int
    run_id: UUID | None
    #: the name people quote of the run that waits
    run_name: str | None
    target_org_id: UUID | None
    target_org: str | None
    mode: str
    #: asked | approved | rejected | withdrawn
    status: str
    #: rows, creates, updates, deletes, warnings as launch counted them
    facts: dict[str, Any]
    asked_by_id: UUID | None
    asked_by: str
    asked_at: dt.datetime
    reason: str | None
    decided_by: str | None
    decided_at: dt.datetime | None
    decision_reason: str | None
    expires_at: dt.datetime | None
    used_at: dt.datetime | None


def add(session: Session, values: dict[str, Any]) -> UUID:
    """A new request from column values.

    Raises:
        ConflictError: the same is waiting already.
    """
    waiting = select(Approval.id).where(
        Approval.plan_version_id == values["plan_version_id"],
        Approval.mode == values["mode"],
        Approval.target_org_id == values["target_org_id"],
        Approval.run_id == values["run_id"],
        Approval.status == "asked",
        Approval.expires_at > values["asked_at"],
    )
    if session.scalar(waiting.limit(1)) is not None:
        raise ConflictError(
            "This approval was asked for already and waits for somebody to decide.",
            next_step="Remind an approver, or withdraw it first.",
        )
    approval = Approval(**values)
    session.add(approval)
    session.flush()
    return approval.id


def approval(session: Session, approval_id: UUID, *, lock: bool = False) -> ApprovalRow:
    """One request.

    Raises:
        NotFoundError: no such request in this workspace.
    """
    if lock:
        session.execute(select(Approval.id).where(Approval.id == approval_id).with_for_update())
    found = session.execute(_rows().where(Approval.id == approval_id)).mappings().first()
    if found is None:
        raise NotFoundError("There is no such approval in this workspace.")
    return ApprovalRow(**found)


def approvals(session: Session, *, status: str | None = None) -> tuple[ApprovalRow, ...]:
    """Requests of the workspace, the newest first."""
    statement = _rows().order_by(Approval.asked_at.desc(), Approval.id.desc())
    if status is not None:
        statement = statement.where(Approval.status == status)
    return tuple(ApprovalRow(**found) for found in session.execute(statement).mappings())


def decide(session: Session, approval_id: UUID, values: dict[str, Any]) -> None:
    """Write a decision; the caller holds the row's lock and has checked it."""
    session.execute(update(Approval).where(Approval.id == approval_id).values(values))


def use(
    session: Session,
    *,
    plan_version_id: UUID,
    target_org_id: UUID,
    mode: str,
    run_id: UUID,
    now: dt.datetime,
) -> ApprovalRow | None:
    """Use up an approval that fits the launch, for one launch only; None when there is none."""
    fitting = (
        select(Approval.id)
        .where(
            Approval.plan_version_id == plan_version_id,
            Approval.target_org_id == target_org_id,
            Approval.mode == mode,
            Approval.status == "approved",
            Approval.used_at.is_(None),
            Approval.expires_at > now,
            Approval.run_id.is_(None) | (Approval.run_id == run_id),
        )
        .order_by(Approval.asked_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    approval_id = session.scalar(fitting)
    if approval_id is None:
        return None
    decide(session, approval_id, {"used_at": now, "run_id": run_id})
    return approval(session, approval_id)


def release_run(session: Session, run_id: UUID) -> tuple[str, dt.datetime | None] | None:
    """Let a waiting run go on; its target's organization id and when it was to start, None when it
    was not waiting."""
    moved = _move_run(session, run_id, {"status": RunState.PENDING.value, "wait_reason": None})
    if moved is None:
        return None
    options = session.scalar(select(DataMigration.options).where(DataMigration.id == run_id))
    start_at = (options or {}).get("start_at")
    return moved, dt.datetime.fromisoformat(start_at) if start_at else None


def end_run(session: Session, run_id: UUID, *, reason: str, now: dt.datetime) -> str | None:
    """End a run that waits for approval, unstarted."""
    values = {
        "status": RunState.CANCELLED.value,
        "wait_reason": reason,
        "finished_at": now,
        "lock_organization_id": None,
    }
    return _move_run(session, run_id, values)


def _move_run(session: Session, run_id: UUID, values: dict[str, Any]) -> str | None:
    moved = session.execute(
        update(DataMigration)
        .where(
            DataMigration.id == run_id,
            DataMigration.status == RunState.WAITING_APPROVAL.value,
        )
        .values(values)
        .returning(DataMigration.target_organization_id)
    ).first()
    return None if moved is None else (moved[0] or "")


def _rows() -> Select[Any]:
    computed = {
        "plan_name": MigrationPlan.name,
        "version": PlanVersion.number,
        "run_name": DataMigration.data_schedule_id,
        "target_org": RegisteredOrg.name,
    }
    columns = [
        (computed[each.name] if each.name in computed else getattr(Approval, each.name)).label(
            each.name
        )
        for each in fields(ApprovalRow)
    ]
    return (
        select(*columns)
        .join(PlanVersion, PlanVersion.id == Approval.plan_version_id)
        .join(MigrationPlan, MigrationPlan.id == PlanVersion.plan_id)
        .outerjoin(DataMigration, DataMigration.id == Approval.run_id)
        .outerjoin(RegisteredOrg, RegisteredOrg.id == Approval.target_org_id)
    )
