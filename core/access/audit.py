"""The audit trail: who did what to what, with before and after; rows are only ever added.

`record` is called inside the transaction of the act, so that neither exists without the other. The
database refuses UPDATE and DELETE on the table.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from core.db.models import AuditLog
from core.db.occurring import values_of
from core.domain.roles import Actor
from core.secret import MASK, Secret

#: totals beyond this are told as "more than": counting all would cost more than the page
COUNT_UP_TO = 10_000
#: a word is sought through so many rows at once, the newest; more when somebody asks for it
SEARCHED_ROWS = 100_000
#: rows fetched at a time when the whole filter is written out
STREAM_ROWS = 1_000

#: names whose values are never written, wherever they turn up in before or after
_SECRET_WORDS = ("password", "token", "secret", "private_key", "credential", "api_key")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act as the trail shows it."""

    id: UUID
    at: dt.datetime
    actor: str
    origin: str
    action: str
    subject_kind: str
    subject_id: str | None
    subject_name: str
    before: Any
    after: Any
    reason: str | None
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What an act was done to."""

    #: `org`, `person`, `plan` …
    kind: str
    id: object
    name: str


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """What to show of the trail; empty means everything."""

    actor: str = ""
    action: str = ""
    subject_kind: str = ""
    subject_id: str = ""
    text: str = ""
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    run_id: UUID | None = None


def record(  # one act has this many facets, all by name
    session: Session,
    actor: Actor,
    action: str,
    *,
    subject_kind: str,
    subject_id: object = None,
    subject_name: str = "",
    before: object = None,
    after: object = None,
    reason: str | None = None,
    run_id: UUID | None = None,
) -> None:
    """Add one act to the trail, in the caller's transaction.

    `before` and `after` may be dataclasses, mappings, lists and plain values; secrets in them are
    masked by type and by name.
    """
    session.add(
        AuditLog(
            workspace_id=actor.workspace_id,
            user_id=actor.user_id,
            actor=actor.name,
            origin=actor.origin,
            action=action,
            subject_kind=subject_kind,
            subject_id=None if subject_id is None else str(subject_id),
            subject_name=subject_name,
            before=_plain(before),
            after=_plain(after),
            reason=reason,
            run_id=run_id,
        )
    )
    session.flush()


def record_on(
    session: Session,
    actor: Actor,
    action: str,
    *,
    on: Subject,
    before: object = None,
    after: object = None,
) -> None:
    """`record` for an act on one subject."""
    record(
        session,
        actor,
        action,
        subject_kind=on.kind,
        subject_id=on.id,
        subject_name=on.name,
        before=before,
        after=after,
    )


def trail(
    session: Session, chosen: TrailFilter, *, offset: int, limit: int
) -> tuple[list[AuditRow], int]:
    """One page of the trail, newest first, and how many rows the filter matches.

    At most `COUNT_UP_TO` + 1 are counted; a page that is not full says it without counting.
    """
    where = _where(chosen)
    found = [_row(each) for each in session.scalars(_ordered(where).offset(offset).limit(limit))]
    if len(found) < limit and (found or not offset):
        return found, offset + len(found)
    counted = select(AuditLog.id).where(where).limit(COUNT_UP_TO + 1).subquery()
    return found, session.scalar(select(func.count()).select_from(counted)) or 0


def reach(session: Session, chosen: TrailFilter) -> dt.datetime | None:
    """Since when a word is sought, so that `SEARCHED_ROWS` are read; None: there are no more."""
    within = _where(dataclasses.replace(chosen, text=""))
    newest = select(AuditLog.at).where(within).order_by(AuditLog.at.desc())
    return session.scalar(newest.offset(SEARCHED_ROWS).limit(1))


def whole_trail(session: Session, chosen: TrailFilter) -> Iterator[AuditRow]:
    """Every row that the filter matches, newest first, streamed."""
    statement = _ordered(_where(chosen)).execution_options(yield_per=STREAM_ROWS)
    for each in session.scalars(statement):
        yield _row(each)


def occurring(session: Session, workspace_id: UUID) -> tuple[list[str], list[str]]:
    """Actors and actions that occur in a workspace's trail: a look into an index for each."""
    actors = session.scalars(values_of(AuditLog.actor, workspace_id))
    actions = session.scalars(values_of(AuditLog.action, workspace_id))
    return list(actors), list(actions)


def people_behind(
    session: Session, subject_kind: str, name: str, *, until: dt.datetime
) -> frozenset[UUID]:
    """Who acted on whatever bore a name up to a moment, under this name or an earlier one.

    The trail keeps it when the thing itself is gone.
    """
    bore_it = select(AuditLog.subject_id).where(
        AuditLog.subject_kind == subject_kind, AuditLog.subject_name == name, AuditLog.at <= until
    )
    acted = select(AuditLog.user_id).where(
        AuditLog.subject_kind == subject_kind,
        AuditLog.subject_id.in_(bore_it),
        AuditLog.at <= until,
    )
    return frozenset(one for one in session.scalars(acted.distinct()) if one is not None)


def _ordered(where: ColumnElement[bool]) -> Select[AuditLog]:
    return select(AuditLog).where(where).order_by(AuditLog.at.desc(), AuditLog.id.desc())


def _where(chosen: TrailFilter) -> ColumnElement[bool]:
    exact = (
        (AuditLog.actor, chosen.actor),
        (AuditLog.action, chosen.action),
        (AuditLog.subject_kind, chosen.subject_kind),
        (AuditLog.subject_id, chosen.subject_id),
        (AuditLog.run_id, chosen.run_id),
    )
    wanted: list[ColumnElement[bool]] = [column == value for column, value in exact if value]
    if chosen.since is not None:
        wanted.append(AuditLog.at >= chosen.since)
    if chosen.until is not None:
        wanted.append(AuditLog.at < chosen.until)
    if chosen.text:
        searched = (AuditLog.actor, AuditLog.action, AuditLog.subject_name, AuditLog.reason)
        word = func.lower(chosen.text)
        # as in the logs, not ILIKE, for which the whole table would be read
        wanted.append(or_(*(func.strpos(func.lower(column), word) > 0 for column in searched)))
    return and_(True, *wanted)


def _row(found: AuditLog) -> AuditRow:
    names = [field.name for field in dataclasses.fields(AuditRow)]
    return AuditRow(**{name: getattr(found, name) for name in names})


def _plain(value: object, name: str = "") -> Any:
    """JSON for the trail; what must not be seen is masked."""
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value, int) else value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Secret) or any(word in name.lower() for word in _SECRET_WORDS):
        return MASK
    if isinstance(value, str):
        return value
    return _plain_structure(value)


def _plain_structure(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    return str(value)
