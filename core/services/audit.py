"""Reading the audit trail: pages, choices for its filters, the whole filter as CSV."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.access import audit, roles
from core.access.audit import AuditRow, TrailFilter
from core.domain.csv import people_lines
from core.domain.roles import Actor, Role

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

__all__ = ["TrailChoices", "TrailFilter", "TrailPage", "TrailRow"]

TrailRow = AuditRow

CSV_COLUMNS = (
    "at_utc",
    "actor",
    "action",
    "subject_kind",
    "subject_name",
    "subject_id",
    "before",
    "after",
    "reason",
    "origin",
    "run_id",
)
#: rows per piece of the CSV
CSV_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class TrailPage:
    """One page of the trail, newest first."""

    rows: tuple[TrailRow, ...]
    #: rows that the filter matches
    total: int


@dataclass(frozen=True, slots=True)
class TrailChoices:
    """What occurs in the trail, for the filters."""

    actors: tuple[str, ...]
    actions: tuple[str, ...]
    subject_kinds: tuple[str, ...]


def trail(
    bridge: Orgbridge,
    actor: Actor,
    chosen: TrailFilter,
    *,
    page: int = 1,
    page_rows: int = 200,
) -> TrailPage:
    """A page of the trail; pages count from 1, one beyond the end is empty."""
    roles.require(actor, Role.VIEWER, to="read the audit trail")
    with bridge.session(actor.workspace_id) as session:
        offset = (max(page, 1) - 1) * page_rows
        rows, total = audit.trail(session, chosen, offset=offset, limit=page_rows)
        return TrailPage(tuple(rows), total)


def choices(bridge: Orgbridge, actor: Actor) -> TrailChoices:
    """Actors, actions and subjects that occur."""
    roles.require(actor, Role.VIEWER, to="read the audit trail")
    with bridge.session(actor.workspace_id) as session:
        actors, actions, kinds = audit.occurring(session)
        return TrailChoices(tuple(actors), tuple(actions), tuple(kinds))


def trail_csv(bridge: Orgbridge, actor: Actor, chosen: TrailFilter) -> Iterator[bytes]:
    """The whole filter as CSV in pieces: UTF-8 with byte order mark, formulas defused."""
    roles.require(actor, Role.VIEWER, to="read the audit trail")
    return _pieces(bridge, actor, chosen)


def _pieces(bridge: Orgbridge, actor: Actor, chosen: TrailFilter) -> Iterator[bytes]:
    yield codecs.BOM_UTF8 + people_lines([CSV_COLUMNS])
    with bridge.session(actor.workspace_id) as session:
        waiting: list[tuple[str, ...]] = []
        for row in audit.whole_trail(session, chosen):
            waiting.append(_cells(row))
            if len(waiting) == CSV_ROWS:
                yield people_lines(waiting)
                waiting = []
        if waiting:
            yield people_lines(waiting)


def _cells(row: TrailRow) -> tuple[str, ...]:
    plain = (
        row.at.isoformat(),
        row.actor,
        row.action,
        row.subject_kind,
        row.subject_name,
        row.subject_id or "",
        _json(row.before),
        _json(row.after),
        row.reason or "",
        row.origin,
        str(row.run_id or ""),
    )
    return plain


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
