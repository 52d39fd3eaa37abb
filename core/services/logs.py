"""Logs of every operation in one list, and errors grouped by what is the same about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.access import audit, roles
from core.db import logs as rows
from core.db.logs import (
    KINDS,
    DayCount,
    ErrorGroup,
    FailedRow,
    LogFilter,
    LogRow,
    ObjectCount,
)
from core.domain.roles import Actor, Role
from core.errors import NotFoundError, UserError
from core.operations import export_logs

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

__all__ = [
    "KINDS",
    "DayCount",
    "ErrorGroup",
    "FailedRow",
    "LogFilter",
    "LogPage",
    "LogRow",
    "ObjectCount",
]

ERROR_STATES = ("open", "known", "fixed")
#: records shown of one kind of error; the run's CSV has all
SAMPLE_ROWS = 20


@dataclass(frozen=True, slots=True)
class LogPage:
    """One page of the logs, newest first."""

    rows: tuple[LogRow, ...]
    total: int
    #: True: there are more than `total`, they were not all counted
    is_at_least: bool


def logs(
    bridge: Orgbridge, actor: Actor, chosen: LogFilter, *, page: int = 1, page_rows: int = 200
) -> LogPage:
    """A page of every operation's log; pages count from 1, one beyond the end is empty."""
    roles.require(actor, Role.VIEWER, to="read the logs")
    offset = (max(page, 1) - 1) * page_rows
    with bridge.session(actor.workspace_id) as session:
        found, total = rows.log_page(
            session, actor.workspace_id, chosen, offset=offset, limit=page_rows
        )
    return LogPage(tuple(found), min(total, rows.COUNT_UP_TO), total > rows.COUNT_UP_TO)


def per_day(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> tuple[DayCount, ...]:
    """Entries per day and status, oldest first; for the chart above the list."""
    roles.require(actor, Role.VIEWER, to="read the logs")
    with bridge.session(actor.workspace_id) as session:
        return tuple(rows.per_day(session, actor.workspace_id, chosen))


def per_object(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> tuple[ObjectCount, ...]:
    """Rows that arrived and that did not, by object, over the runs of the filter's days."""
    roles.require(actor, Role.VIEWER, to="read the logs")
    with bridge.session(actor.workspace_id) as session:
        return tuple(rows.per_object(session, since=chosen.since, until=chosen.until))


def entry(bridge: Orgbridge, actor: Actor, kind: str, *, entry_id: UUID) -> Mapping[str, Any]:
    """All columns of one entry.

    Raises:
        NotFoundError: no such entry in the workspace.
    """
    roles.require(actor, Role.VIEWER, to="read the logs")
    with bridge.session(actor.workspace_id) as session:
        return rows.entry(session, kind, entry_id)


def logs_csv(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> Iterator[bytes]:
    """The whole filter as CSV in pieces: UTF-8 with byte order mark, formulas defused."""
    roles.require(actor, Role.VIEWER, to="read the logs")
    return _pieces(bridge, actor, chosen)


def error_groups(
    bridge: Orgbridge, actor: Actor, *, days: int = 30, state: str | None = None
) -> tuple[ErrorGroup, ...]:
    """What went wrong in the last days, grouped, the most frequent first.

    Args:
        state: open | known | fixed; None for all.
    """
    roles.require(actor, Role.VIEWER, to="read errors")
    since = bridge.clock() - dt.timedelta(days=days)
    with bridge.session(actor.workspace_id) as session:
        found = rows.error_groups(session, since=since)
    return tuple(group for group in found if state in (None, group.state))


def failed_rows(bridge: Orgbridge, actor: Actor, fingerprint: str) -> tuple[FailedRow, ...]:
    """The newest records that failed in one way; none for what is no row's error."""
    roles.require(actor, Role.VIEWER, to="read errors")
    with bridge.session(actor.workspace_id) as session:
        return tuple(rows.failed_rows(session, fingerprint, limit=SAMPLE_ROWS))


def note_error(
    bridge: Orgbridge, actor: Actor, fingerprint: str, *, state: str, note: str = ""
) -> None:
    """Write what is known of a kind of error: its state and the usual fix.

    Raises:
        UserError: no such state. NotFoundError: nothing with that fingerprint was seen.
    """
    roles.require(actor, Role.ANALYST, to="note errors")
    if state not in ERROR_STATES:
        raise UserError(f"A kind of error is {', '.join(ERROR_STATES)}; not “{state}”.")
    with bridge.session(actor.workspace_id) as session:
        if not rows.known_error(session, fingerprint):
            raise NotFoundError("No such error was seen in this workspace.")
        values = {
            "fingerprint": fingerprint,
            "state": state,
            "note": note.strip(),
            "changed_by": actor.name,
        }
        rows.note_error(session, values)
        audit.record(
            session,
            actor,
            "error.noted",
            subject_kind="error",
            subject_id=fingerprint,
            after={"state": state, "note": note.strip()},
        )


def _pieces(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> Iterator[bytes]:
    with bridge.session(actor.workspace_id) as session:
        for content, _ in export_logs.pieces(session, actor.workspace_id, chosen):
            yield content
