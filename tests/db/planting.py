"""Plants one valid row in every table of a workspace, so that tests walk all models by themselves.

A column that a check constraint binds takes its value from `FITTING`; a new table needs an entry
there only when it has such a column without a default.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUuid
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from core.db.models import Base, Workspace
from core.db.models.base import UtcDateTime

FITTING: dict[str, Any] = {
    "membership.role": 4,
    "api_key.role": 2,
    "registered_org.environment": "sandbox",
    "duplicate_decision.decision": "keep",
    "plan_version.cut_for": "name",
    "run_step.phase": "load",
    "run_chunk.api": "bulk",
    "record_link.origin": "inserted",
    "row_failure.kind": "failed",
}
#: not one row per workspace
SINGLE = {"vault_canary"}
_numbers = itertools.count(1)


def workspace(session: Session, name: str) -> UUID:
    """A new workspace; the session is the owner's."""
    made = Workspace(name=name)
    session.add(made)
    session.flush()
    return made.id


def plant(session: Session, workspace_id: UUID, **given: Any) -> dict[str, dict[str, Any]]:
    """One row in every table, as the owner: table name → column values.

    Args:
        given: values by column name, for whichever table has such a column.
    """
    rows: dict[str, dict[str, Any]] = {"workspace": {"id": workspace_id}}
    for table in Base.metadata.sorted_tables:
        if table.name == "workspace" or table.name in SINGLE:
            continue
        values = {
            column.name: _value(column, rows, workspace_id, given)
            for column in table.columns
            if _needed(column, rows, given)
        }
        made = session.execute(sa.insert(table).values(values).returning(*table.columns))
        rows[table.name] = dict(made.mappings().one())
    return rows


def _needed(column: sa.Column[Any], rows: dict[str, Any], given: dict[str, Any]) -> bool:
    if column.name in ("workspace_id", "id") or column.name in given:
        return column.identity is None
    if f"{column.table.name}.{column.name}" in FITTING:
        return True
    if column.foreign_keys and not column.nullable:
        return True
    if column.foreign_keys:
        # an optional reference is filled when it can be, so that cascades have something to do
        return _target(column).table.name in rows
    return not column.nullable and column.server_default is None and column.identity is None


def _value(
    column: sa.Column[Any], rows: dict[str, Any], workspace_id: UUID, given: dict[str, Any]
) -> Any:
    if column.name == "workspace_id":
        return workspace_id
    if column.name in given:
        return given[column.name]
    fitting = f"{column.table.name}.{column.name}"
    if fitting in FITTING:
        return FITTING[fitting]
    if column.foreign_keys:
        target = _target(column)
        return rows[target.table.name][target.name]
    return _of_type(column.type)


def _target(column: sa.Column[Any]) -> sa.Column[Any]:
    return next(iter(column.foreign_keys)).column


def _of_type(kind: sa.types.TypeEngine[Any]) -> Any:
    number = next(_numbers)
    if isinstance(kind, PgUuid):
        return uuid7()
    if isinstance(kind, UtcDateTime):
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number)
    if isinstance(kind, sa.Date):
        # always past, however many rows a session plants
        return dt.date(2020, 1, 1) + dt.timedelta(days=number % 1_000)
    if isinstance(kind, JSONB):
        return {}
    if isinstance(kind, ARRAY):
        return []
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.Integer | sa.Numeric):
        return number
    if isinstance(kind, sa.LargeBinary):
        return b"x"
    return f"value {number}"
