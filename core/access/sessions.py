"""Sessions of signed-in people: on the server, revocable, found by the hash of the cookie's token.

A session ends after `IDLE` without a request, and after `LONGEST` in any case. `visitor` runs for
every request and every page run: two indexed reads, one write every few minutes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, func, select, text, update
from sqlalchemy.orm import Session

from core.access import codes
from core.db.models import AppUser, Membership, UserSession
from core.domain.roles import Actor, Role

IDLE = dt.timedelta(hours=12)
LONGEST = dt.timedelta(days=14)
#: the end moves on at most this often, so that reading stays reading
SLIDE_EVERY = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a browser gets: the cookie's token, and when it is void in any case."""

    token: str
    expires_at: dt.datetime

    def __repr__(self) -> str:
        return f"SignedIn(expires_at={self.expires_at.isoformat()})"


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a session, as pages need them."""

    actor: Actor
    display_name: str
    email: str
    session_id: UUID


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One living session, for the list that revokes them."""

    id: UUID
    origin: str
    agent: str
    created_at: dt.datetime
    last_seen_at: dt.datetime
    expires_at: dt.datetime
    #: the session that asks
    is_current: bool


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a session is opened from."""

    origin: str
    agent: str = ""


def open_session(
    session: Session, *, user_id: UUID, workspace_id: UUID, browser: Browser, now: dt.datetime
) -> SignedIn:
    """A new session; its token is told once and stored as a hash."""
    token = codes.new_token()
    session.add(
        UserSession(
            user_id=user_id,
            workspace_id=workspace_id,
            token_hash=codes.token_hash(token),
            origin=browser.origin,
            user_agent=browser.agent,
            created_at=now,
            last_seen_at=now,
            expires_at=now + IDLE,
        )
    )
    session.flush()
    return SignedIn(token, now + LONGEST)


def visitor(engine: Engine, token: str, *, now: dt.datetime) -> Visitor | None:
    """The person behind the token, or None: unknown, ended, revoked, person or membership gone."""
    living = _living(now)
    with Session(engine) as session, session.begin():
        found = session.execute(
            select(UserSession, AppUser)
            .join(AppUser, AppUser.id == UserSession.user_id)
            .where(UserSession.token_hash == codes.token_hash(token), *living)
        ).one_or_none()
        if found is None:
            return None
        held, person = found
        role = _role(session, person.id, held.workspace_id)
        if role is None:
            return None
        if now - held.last_seen_at >= SLIDE_EVERY:
            held.last_seen_at = now
            held.expires_at = min(now + IDLE, held.created_at + LONGEST)
            person.last_seen_at = now
        name = person.full_name or person.email
        actor = Actor(held.workspace_id, person.id, person.email, role, held.origin)
        return Visitor(actor, name, person.email, held.id)


def close_session(session: Session, token: str, *, now: dt.datetime) -> UserSession | None:
    """End the session of the token; None when it has ended already."""
    return session.scalar(
        update(UserSession)
        .where(UserSession.token_hash == codes.token_hash(token), UserSession.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(UserSession)
    )


def move(session: Session, session_id: UUID, *, user_id: UUID | None, workspace_id: UUID) -> bool:
    """Let a person's own session go on in another workspace; False when it is not theirs."""
    moved = session.scalar(
        update(UserSession)
        .where(UserSession.id == session_id, UserSession.user_id == user_id)
        .values(workspace_id=workspace_id)
        .returning(UserSession.id)
    )
    return moved is not None


def owner_of(session: Session, session_id: UUID) -> UUID | None:
    """Whose session it is."""
    return session.scalar(select(UserSession.user_id).where(UserSession.id == session_id))


def revoke(
    session: Session,
    user_id: UUID,
    *,
    now: dt.datetime,
    only: UUID | None = None,
    keep: UUID | None = None,
) -> int:
    """End sessions of a person: all, only one, or all but one; how many ended."""
    statement = update(UserSession).where(
        UserSession.user_id == user_id, UserSession.revoked_at.is_(None)
    )
    if only is not None:
        statement = statement.where(UserSession.id == only)
    if keep is not None:
        statement = statement.where(UserSession.id != keep)
    ended = session.scalars(statement.values(revoked_at=now).returning(UserSession.id))
    return len(ended.all())


def sessions_of(
    session: Session, user_id: UUID, *, now: dt.datetime, current: UUID | None = None
) -> tuple[SessionRow, ...]:
    """Living sessions of a person, the last used first."""
    found = session.scalars(
        select(UserSession)
        .where(UserSession.user_id == user_id, *_living(now))
        .order_by(UserSession.last_seen_at.desc())
    )
    return tuple(
        SessionRow(
            id=each.id,
            origin=each.origin,
            agent=each.user_agent,
            created_at=each.created_at,
            last_seen_at=each.last_seen_at,
            expires_at=each.expires_at,
            is_current=each.id == current,
        )
        for each in found
    )


def living_counts(session: Session, *, now: dt.datetime) -> dict[UUID, int]:
    """How many living sessions each person has; people without any are left out."""
    found = session.execute(
        select(UserSession.user_id, func.count()).where(*_living(now)).group_by(UserSession.user_id)
    )
    return {user_id: count for user_id, count in found}  # noqa: C416  # typed rows


def enter_workspace(session: Session, workspace_id: UUID) -> None:
    """Make the rows of one workspace visible to this transaction."""
    session.execute(
        text("SELECT set_config('app.workspace_id', :id, true)"), {"id": str(workspace_id)}
    )


def _living(now: dt.datetime) -> tuple[ColumnElement[bool], ...]:
    return (UserSession.revoked_at.is_(None), UserSession.expires_at > now)


def _role(session: Session, user_id: UUID, workspace_id: UUID) -> Role | None:
    enter_workspace(session, workspace_id)
    role = session.scalar(
        select(Membership.role).where(
            Membership.user_id == user_id,
            Membership.workspace_id == workspace_id,
            Membership.active,
        )
    )
    return None if role is None else Role(role)
