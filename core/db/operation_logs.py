"""Reads and writes of operations' log rows: begun, noted, finished; listed by kind and org.

Every ``*_log`` table has the columns of `LogMixin`; functions take the table's name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from core.db import models
from core.errors import BugError, NotFoundError

#: rows of a history that are read at most
HISTORY_ROWS = 200


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One launch of an operation."""

    id: UUID
    status: str
    requested_by: str
    message: str
    parameters: Mapping[str, Any]
    #: empty until it ended
    result: Mapping[str, Any]
    error_message: str | None
    source_org_id: UUID | None
    target_org_id: UUID | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


def add(session: Session, table: str, values: Mapping[str, Any]) -> UUID:
    """A new row in state ``pending``; its id."""
    log_id = uuid7()
    session.execute(insert(_table(table)).values(id=log_id, **values))
    return log_id


def begin(session: Session, table: str, *, log_id: UUID, now: dt.datetime) -> LogEntry | None:
    """Move a row to ``running``; None when it has ended before. A row that runs is taken over."""
    logs = _table(table)
    moved = session.execute(
        update(logs)
        .where(logs.c.id == log_id, logs.c.status.in_(("pending", "running")))
        .values(status="running", started_at=func.coalesce(logs.c.started_at, now))
        .returning(logs.c.id)
    ).first()
    return None if moved is None else entry(session, table, log_id=log_id)


def note(session: Session, table: str, *, log_id: UUID, message: str) -> bool:
    """Set the sentence that the list shows; False when the row has ended, and stays as it is."""
    logs = _table(table)
    open_row = update(logs).where(logs.c.id == log_id, logs.c.finished_at.is_(None))
    noted = open_row.values(message=message).returning(logs.c.id)
    return session.execute(noted).first() is not None


def finish(session: Session, table: str, *, log_id: UUID, values: Mapping[str, Any]) -> None:
    """Write how it ended."""
    logs = _table(table)
    session.execute(update(logs).where(logs.c.id == log_id).values(**values))


def entry(session: Session, table: str, *, log_id: UUID) -> LogEntry:
    """One row.

    Raises:
        NotFoundError: no such row in the workspace.
    """
    logs = _table(table)
    row = session.execute(select(*_columns(logs)).where(logs.c.id == log_id)).first()
    if row is None:
        raise NotFoundError("There is no such log entry in this workspace.")
    return LogEntry(**row._mapping)


def entries(
    session: Session,
    table: str,
    *,
    source_org_id: UUID | None = None,
    target_org_id: UUID | None = None,
    names: Collection[str] = (),
    limit: int = HISTORY_ROWS,
) -> tuple[LogEntry, ...]:
    """Rows of an operation, newest first, of an org pair if given.

    Args:
        names: its parameters', by which it is told from others that share the table.
    """
    logs = _table(table)
    wanted = select(*_columns(logs)).order_by(logs.c.created_at.desc()).limit(limit)
    if source_org_id is not None:
        wanted = wanted.where(logs.c.source_org_id == source_org_id)
    if target_org_id is not None:
        wanted = wanted.where(logs.c.target_org_id == target_org_id)
    if names:
        wanted = wanted.where(logs.c.parameters.has_all(array(names)))
    return tuple(LogEntry(**row._mapping) for row in session.execute(wanted))


def cancel(
    session: Session, table: str, *, log_id: UUID, now: dt.datetime, states: tuple[str, ...]
) -> bool:
    """End a row that is in one of these states; whether it was."""
    logs = _table(table)
    values = {"status": "cancelled", "message": "Stopped before its end.", "finished_at": now}
    ended = update(logs).where(logs.c.id == log_id, logs.c.status.in_(states)).values(**values)
    return session.execute(ended.returning(logs.c.id)).first() is not None


def latest(
    session: Session,
    table: str,
    *,
    given: Mapping[str, Any],
    names: Collection[str],
    with_result: bool = True,
) -> LogEntry | None:
    """The newest row whose parameters hold all of ``given`` and have ``names``.

    Args:
        given: a list that is empty here has to be empty there.
        with_result: leaves out what is under way, failed or was stopped.
    """
    logs = _table(table)
    wanted = (
        select(*_columns(logs))
        .where(logs.c.parameters.contains(dict(given)))
        .where(logs.c.parameters.has_all(array(names)))
        .order_by(logs.c.created_at.desc())
        .limit(1)
    )
    for name in (name for name, value in given.items() if value == []):
        wanted = wanted.where(func.jsonb_array_length(logs.c.parameters[name]) == 0)
    if with_result:
        wanted = wanted.where(logs.c.result != {})
    row = session.execute(wanted).first()
    return None if row is None else LogEntry(**row._mapping)


def _columns(logs: Table) -> list[Any]:
    return [logs.c[name] for name in LogEntry.__dataclass_fields__]


def _table(name: str) -> Table:
    found = models.Base.metadata.tables.get(name)
    if found is None or not name.endswith("_log"):
        raise BugError(f"There is no log table {name}.")
    return found
