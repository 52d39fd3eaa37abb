"""How far the reading of an org's objects is: kept in one JSON column, told to those who watch.

    waiting ─▶ running ─▶ done
                  └─────▶ failed (with the reason)

How many objects are through is counted in the cache of describes itself, so that nobody writes a
counter per object.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.db.models import DescribeCache, RegisteredOrg


class DescribeState(StrEnum):
    """Where the reading of an org's objects stands."""

    #: nobody asked for it yet
    NONE = ""
    #: in the queue
    WAITING = "waiting"
    #: a worker asks the org
    RUNNING = "running"
    #: every object was answered, or refused with a reason
    DONE = "done"
    #: ended before that
    FAILED = "failed"

    @property
    def is_moving(self) -> bool:
        """It goes on by itself: whoever watches looks again."""
        return self in (DescribeState.WAITING, DescribeState.RUNNING)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    state: DescribeState = DescribeState.NONE
    #: objects to describe; 0 until the org has listed them
    total: int = 0
    #: objects answered since it began
    done: int = 0
    #: why an object could not be described, by its name
    faults: dict[str, str] = field(default_factory=dict)
    #: why all of it ended early
    reason: str = ""
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None


def progress_of(session: Session, org_id: UUID, kept: dict[str, Any]) -> Progress:
    """What the column says, with the objects counted that were answered since it began."""
    if not kept:
        return Progress()
    started = _moment(kept.get("started_at"))
    return Progress(
        state=DescribeState(kept.get("state", "")),
        total=int(kept.get("total", 0)),
        done=len(answered_since(session, org_id, started)) if started else 0,
        faults=dict(kept.get("faults", {})),
        reason=str(kept.get("reason", "")),
        started_at=started,
        finished_at=_moment(kept.get("finished_at")),
    )


def answered_since(session: Session, org_id: UUID, since: dt.datetime) -> frozenset[str]:
    """Objects (in small letters) that the org described or confirmed since then."""
    found = session.scalars(
        select(DescribeCache.sobject).where(
            DescribeCache.registered_org_id == org_id,
            DescribeCache.sobject != "",
            DescribeCache.checked_at >= since,
        )
    )
    return frozenset(found)


def kept(session: Session, org_id: UUID) -> dict[str, Any]:
    """The column as it is; {} also when the org is gone."""
    found = session.scalar(select(RegisteredOrg.describing).where(RegisteredOrg.id == org_id))
    return found or {}


def wait(session: Session, org_id: UUID) -> None:
    """It is in the queue; what was known of an earlier time is forgotten."""
    _store(session, org_id, {"state": str(DescribeState.WAITING)})


def begin(session: Session, org_id: UUID, *, now: dt.datetime) -> dt.datetime:
    """It runs. One that was interrupted goes on: the moment since when answers count."""
    before = kept(session, org_id)
    going_on = before.get("state") == DescribeState.RUNNING
    since = (_moment(before.get("started_at")) if going_on else None) or now
    document = {"state": str(DescribeState.RUNNING), "started_at": since.isoformat()}
    _store(session, org_id, (before if going_on else {}) | document)
    return since


def count(session: Session, org_id: UUID, total: int) -> None:
    """So many objects are to be described."""
    _merge(session, org_id, {"total": total})


def refuse(session: Session, org_id: UUID, sobject: str, reason: str) -> None:
    """One object could not be described; one atomic change, the others stay."""
    column = RegisteredOrg.describing
    faults = func.coalesce(column["faults"], func.jsonb_build_object())
    added = faults.op("||")(func.jsonb_build_object(sobject, reason))
    changed = column.op("||")(func.jsonb_build_object("faults", added))
    session.execute(
        update(RegisteredOrg).where(RegisteredOrg.id == org_id).values(describing=changed)
    )


def finish(
    session: Session, org_id: UUID, state: DescribeState, *, now: dt.datetime, reason: str = ""
) -> None:
    """It ended; ``reason`` says why early."""
    ended = {"state": str(state), "finished_at": now.isoformat(), "reason": reason}
    _merge(session, org_id, ended)


def _merge(session: Session, org_id: UUID, document: dict[str, Any]) -> None:
    changed = RegisteredOrg.describing.op("||")(document)
    session.execute(
        update(RegisteredOrg).where(RegisteredOrg.id == org_id).values(describing=changed)
    )


def _store(session: Session, org_id: UUID, document: dict[str, Any]) -> None:
    session.execute(
        update(RegisteredOrg).where(RegisteredOrg.id == org_id).values(describing=document)
    )


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
