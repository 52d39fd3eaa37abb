"""Who changed which places of a plan, read from the audit trail that every save of it leaves.

Each revision of a draft has exactly one row there: an edit, an import, a restore or a rename. An
edit names its places (``account.fields.Industry``) in before and after.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from core.db.models import AuditLog

#: acts that give a draft its next revision
_SAVING = ("plan.edit", "plan.import", "plan.restore", "plan.rename")


@dataclass(frozen=True, slots=True)
class PlanEdit:
    """One save of a draft."""

    by: str
    at: dt.datetime
    #: values by place before and after; None where an import or a restore replaced everything
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def newest_edits(session: Session, plan_id: UUID, *, count: int) -> tuple[PlanEdit, ...]:
    """The last saves of a draft, the newest first."""
    statement = _of_plan(plan_id).where(AuditLog.action.in_(_SAVING)).limit(count)
    return tuple(_edit(row) for row in session.scalars(statement))


def last_edit_of(session: Session, plan_id: UUID, *, place: str) -> PlanEdit | None:
    """The last edit that touched one place; None when none did since the plan was made."""
    touched = or_(AuditLog.after.has_key(place), AuditLog.before.has_key(place))
    statement = _of_plan(plan_id).where(AuditLog.action == "plan.edit", touched).limit(1)
    row = session.scalar(statement)
    return None if row is None else _edit(row)


def _of_plan(plan_id: UUID) -> Select[AuditLog]:
    mine = (AuditLog.subject_kind == "plan") & (AuditLog.subject_id == str(plan_id))
    return select(AuditLog).where(mine).order_by(AuditLog.at.desc(), AuditLog.id.desc())


def _edit(row: AuditLog) -> PlanEdit:
    names_places = row.action in ("plan.edit", "plan.rename")
    return PlanEdit(
        by=row.actor,
        at=row.at,
        before=dict(row.before or {}) if names_places else None,
        after=dict(row.after or {}) if names_places else None,
    )
