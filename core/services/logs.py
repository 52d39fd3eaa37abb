"""Logs of every operation in one list, and errors grouped by what is the same about them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.access import audit, roles
from core.db import log_days
from core.db import logs as rows
from core.db.log_days import DayCount, DayDuration
from core.db.logs import (
    KINDS,
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
    "DayDuration",
    "DayFigures",
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


#: entries per day and status, and how long they took
DayFigures = tuple[tuple[DayCount, ...], tuple[DayDuration, ...]]


@dataclass(frozen=True, slots=True)
class LogPage:
    """One page of the logs, newest first."""

    rows: tuple[LogRow, ...]
    total: int
    #: True: there are more than `total`, they were not all counted
    is_at_least: bool
    #: the charts' figures, where finding the page gave them too: a word that few entries hold
    per_day: DayFigures | None = None


def logs(
    bridge: Orgbridge, actor: Actor, chosen: LogFilter, *, page: int = 1, page_rows: int = 200
) -> LogPage:
    """A page of every operation's log; pages count from 1, one beyond the end is empty."""
    roles.require(actor, Role.VIEWER, to="read the logs")
    offset = (max(page, 1) - 1) * page_rows
    with bridge.session(actor.workspace_id) as session:
        few = rows.moments(session, actor.workspace_id, chosen) if chosen.text else None
        if few is not None:
            page_of = few[offset : offset + page_rows]
            there = tuple(rows.shown(session, actor.workspace_id, page_of))
            return LogPage(there, len(few), False, _day_figures(log_days.counted(few)))
        found, total = rows.log_page(
            session, actor.workspace_id, chosen, offset=offset, limit=page_rows
        )
    return LogPage(tuple(found), min(total, rows.COUNT_UP_TO), total > rows.COUNT_UP_TO)


def per_day(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> DayFigures:
    """Entries per day and status, and how long they took, oldest first; for the charts."""
    roles.require(actor, Role.VIEWER, to="read the logs")
    with bridge.session(actor.workspace_id) as session:
        counted = log_days.figures(session, actor.workspace_id, chosen)
    return _day_figures(counted)


def searched(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> LogFilter:
    """The filter as far back as a word is sought at once: the newest few hundred thousand entries.

    The same filter where it asks for no word, or holds no more.
    """
    roles.require(actor, Role.VIEWER, to="read the logs")
    if not chosen.text:
        return chosen
    with bridge.session(actor.workspace_id) as session:
        since = log_days.reach(session, chosen)
    if since is None or (chosen.since is not None and chosen.since >= since):
        return chosen
    return replace(chosen, since=since)


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


def error_days(bridge: Orgbridge, actor: Actor, *, days: int = 30) -> Mapping[str, tuple[int, ...]]:
    """By fingerprint, how often it was seen on each of the last days, the oldest first."""
    roles.require(actor, Role.VIEWER, to="read errors")
    now = bridge.clock()
    with bridge.session(actor.workspace_id) as session:
        seen = rows.error_days(session, since=now - dt.timedelta(days=days))
    span = [now.date() - dt.timedelta(days=back) for back in reversed(range(days + 1))]
    names = {fingerprint for fingerprint, _ in seen}
    return {name: tuple(seen.get((name, day), 0) for day in span) for name in names}


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


def _day_figures(counted: Counter[log_days.Figure]) -> DayFigures:
    return tuple(log_days.per_day(counted)), tuple(log_days.durations(counted))


def _pieces(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> Iterator[bytes]:
    with bridge.session(actor.workspace_id) as session:
        for content, _ in export_logs.pieces(session, actor.workspace_id, chosen):
            yield content
