"""Reading the audit trail: pages, choices for its filters, the whole filter as CSV."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
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
#: the act that an export of the trail is
EXPORTED = "trail.export"
#: rows per piece of the CSV
CSV_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class TrailPage:
    """One page of the trail, newest first."""

    rows: tuple[TrailRow, ...]
    #: rows that the filter matches
    total: int
    #: True: there are more than `total`, they were not all counted
    is_at_least: bool


@dataclass(frozen=True, slots=True)
class TrailChoices:
    """What occurs in the trail, for the filters."""

    actors: tuple[str, ...]
    actions: tuple[str, ...]


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
    return TrailPage(tuple(rows), min(total, audit.COUNT_UP_TO), total > audit.COUNT_UP_TO)


def searched(bridge: Orgbridge, actor: Actor, chosen: TrailFilter) -> TrailFilter:
    """The filter as far back as a word is sought at once: the newest hundred thousand entries.

    The same filter where it asks for no word, or holds no more.
    """
    roles.require(actor, Role.VIEWER, to="read the audit trail")
    if not chosen.text:
        return chosen
    with bridge.session(actor.workspace_id) as session:
        since = audit.reach(session, chosen)
    return chosen if since is None else replace(chosen, since=since)


def choices(bridge: Orgbridge, actor: Actor) -> TrailChoices:
    """Actors and actions that occur."""
    roles.require(actor, Role.VIEWER, to="read the audit trail")
    with bridge.session(actor.workspace_id) as session:
        actors, actions = audit.occurring(session, actor.workspace_id)
    return TrailChoices(tuple(actors), tuple(actions))


def trail_csv(bridge: Orgbridge, actor: Actor, chosen: TrailFilter) -> Iterator[bytes]:
    """The whole filter as CSV in pieces: UTF-8 with byte order mark, formulas defused.

    Once the last piece is taken, the trail notes the export with the SHA-256 of the file, so that
    whoever is shown the file later can tell whether it is the one that was made.
    """
    roles.require(actor, Role.VIEWER, to="read the audit trail")
    return _noted(bridge, actor, chosen)


def _noted(bridge: Orgbridge, actor: Actor, chosen: TrailFilter) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in _pieces(bridge, actor, chosen):
        digest.update(piece)
        yield piece
    asked = {name: str(value) for name, value in asdict(chosen).items() if value}
    with bridge.session(actor.workspace_id) as session:
        audit.record(
            session,
            actor,
            EXPORTED,
            subject_kind="audit trail",
            after={"sha256": digest.hexdigest(), "filter": asked},
        )


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
