"""Which values occur in an indexed column, without reading the table."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from core.db.models import AuditLog


def values_of(column: InstrumentedAttribute[str], workspace_id: UUID) -> Select[str]:
    """Values of a column of the audit trail in order, each found as the least above the one before.

    DISTINCT would read the whole trail: 600 ms instead of 2 at a million rows.
    """
    in_it = AuditLog.workspace_id == workspace_id
    steps = select(func.min(column).label("value")).where(in_it).cte(f"each_{column.key}", True)
    above = select(func.min(column)).where(in_it, column > steps.c.value).scalar_subquery()
    steps = steps.union_all(select(above).where(steps.c.value.is_not(None)))
    return select(steps.c.value).where(steps.c.value.is_not(None))
