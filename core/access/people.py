"""People: the first admin, signing in, invitations, roles, locking out and letting in again.

Wrong names and wrong passwords are answered alike and take equally long. Attempts count twice:
per person (lockout that grows with each wrong password) and per origin (throttle), both with the
time after which it works again. Single sign-on finds people by `oidc_issuer` and `oidc_subject`;
who came that way alone has no password.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.access import codes
from core.db.models import AppUser, Membership, SignInAttempt, Workspace
from core.domain import names
from core.domain.roles import Role
from core.errors import ConflictError, NotFoundError, UserError

#: wrong passwords in a row before the account waits
LOCK_AFTER = 5
#: the first wait; it doubles with every further wrong password
LOCK_FIRST, LOCK_LONGEST = dt.timedelta(minutes=1), dt.timedelta(hours=1)
#: failures from one origin within the window before it waits
THROTTLE_AFTER, THROTTLE_WINDOW = 20, dt.timedelta(minutes=5)
INVITATION_LIFE = dt.timedelta(days=7)
SETUP_CODE_LIFE = dt.timedelta(hours=24)
#: what attempts with the setup code or an invitation are counted under
SETUP, INVITATION = "(first setup)", "(invitation)"


@dataclass(frozen=True, slots=True)
class Person:
    """One member of a workspace."""

    id: UUID
    name: str
    email: str
    role: Role
    active: bool
    #: invited and not yet accepted
    invited: bool
    last_seen_at: dt.datetime | None
    locked_until: dt.datetime | None


def has_admin(session: Session) -> bool:
    """Whether the workspace of this session has an active admin."""
    found = session.scalar(
        select(func.count())
        .select_from(Membership)
        .join(AppUser, AppUser.id == Membership.user_id)
        .where(Membership.role == Role.ADMIN, Membership.active)
    )
    return bool(found)


def lay_setup_code(session: Session, workspace_id: UUID, *, now: dt.datetime) -> str:
    """A new one-time code that makes the first admin; earlier ones are void."""
    code = codes.new_code()
    session.execute(
        update(Workspace)
        .where(Workspace.id == workspace_id)
        .values(setup_code_hash=codes.code_hash(code), setup_code_expires_at=now + SETUP_CODE_LIFE)
    )
    return code


def use_setup_code(session: Session, workspace_id: UUID, code: str, *, now: dt.datetime) -> bool:
    """Void the code if it is the right one; of two that use it at once, one gets True."""
    used = session.scalar(
        update(Workspace)
        .where(
            Workspace.id == workspace_id,
            Workspace.setup_code_hash == codes.code_hash(code),
            Workspace.setup_code_expires_at > now,
        )
        .values(setup_code_hash=None, setup_code_expires_at=None)
        .returning(Workspace.id)
    )
    return used is not None


def add_person(
    session: Session, workspace_id: UUID, *, name: str, email: str, role: Role
) -> AppUser:
    """A person with a role in the workspace; one who exists elsewhere becomes a member here too.

    Raises:
        ConflictError: already a member.
        UserError: not an e-mail address.
    """
    address, full_name = checked_email(email), names.fitting(name, of="A person")
    person = by_email(session, address)
    if person is None:
        person = AppUser(email=address, full_name=full_name)
        session.add(person)
        session.flush()
    elif session.get(Membership, (workspace_id, person.id)) is not None:
        raise ConflictError(
            f"{address} is a member already.", next_step="Change the role in the list of people."
        )
    session.add(Membership(workspace_id=workspace_id, user_id=person.id, role=int(role)))
    session.flush()
    return person


def set_password(person: AppUser, password: str) -> None:
    """Give a person a password; lifts a lockout and voids the invitation."""
    person.password_hash = codes.password_hash(password)
    person.failed_sign_ins = 0
    person.locked_until = None
    person.invite_hash = None
    person.invite_expires_at = None


def lay_invitation(person: AppUser, *, now: dt.datetime) -> str:
    """A token that lets the person choose a password once; earlier ones are void."""
    token = codes.new_token()
    person.invite_hash = codes.token_hash(token)
    person.invite_expires_at = now + INVITATION_LIFE
    return token


def invited(session: Session, token: str, *, now: dt.datetime) -> AppUser | None:
    """The person whom the invitation is for, or None: unknown, used or too old."""
    return session.scalar(
        select(AppUser)
        .where(
            AppUser.invite_hash == codes.token_hash(token),
            AppUser.invite_expires_at > now,
        )
        .with_for_update()
    )


def check_throttle(session: Session, origin: str, *, now: dt.datetime) -> None:
    """Let an origin try, unless it failed too often.

    Raises:
        UserError: says when it may try again.
    """
    failures = session.scalars(
        select(SignInAttempt.at)
        .where(
            SignInAttempt.origin == origin,
            SignInAttempt.at > now - THROTTLE_WINDOW,
            SignInAttempt.succeeded.is_(False),
        )
        .order_by(SignInAttempt.at.desc())
        .limit(THROTTLE_AFTER)
    ).all()
    if len(failures) >= THROTTLE_AFTER:
        raise _wait("Too many attempts from this address.", failures[-1] + THROTTLE_WINDOW, now)


def note_attempt(
    session: Session, *, origin: str, email: str, succeeded: bool, now: dt.datetime
) -> None:
    """Count one attempt for the throttle."""
    session.add(SignInAttempt(origin=origin, email=email[:320], succeeded=succeeded, at=now))
    session.flush()


def authenticated(
    session: Session, email: str, password: str, *, now: dt.datetime
) -> AppUser | None:
    """The person whom name and password fit, or None; counts wrong ones and locks.

    Raises:
        UserError: the account is locked; says until when. Whoever guesses at names learns nothing
            by it: a name that nobody has locks in the same way (through the attempts).
    """
    person = by_email(session, email, lock=True)
    locked_until = person.locked_until if person else _lock_of_nobody(session, email, now)
    if locked_until is not None and locked_until > now:
        raise _wait("Too many wrong passwords for this account.", locked_until, now)
    right = codes.is_password(password, person.password_hash if person else None)
    if person is None:
        return None
    if right:
        person.failed_sign_ins = 0
        person.locked_until = None
        person.last_seen_at = now
        if person.password_hash and codes.needs_rehash(person.password_hash):
            person.password_hash = codes.password_hash(password)
        return person
    person.failed_sign_ins += 1
    person.locked_until = _lock_end(person.failed_sign_ins, now)
    return None


def by_email(session: Session, email: str, *, lock: bool = False) -> AppUser | None:
    """The person of that address, whatever its case."""
    statement = select(AppUser).where(func.lower(AppUser.email) == email.strip().lower())
    return session.scalar(statement.with_for_update() if lock else statement)


def by_identity(session: Session, issuer: str, subject: str) -> AppUser | None:
    """The person whom a provider knows by this subject."""
    return session.scalar(
        select(AppUser)
        .where(AppUser.oidc_issuer == issuer, AppUser.oidc_subject == subject)
        .with_for_update()
    )


def link(person: AppUser, issuer: str, subject: str) -> None:
    """Let a provider's subject sign in as this person; an open invitation is void then."""
    person.oidc_issuer, person.oidc_subject = issuer, subject
    person.invite_hash = None
    person.invite_expires_at = None


def is_member(session: Session, user_id: UUID) -> bool:
    """Whether somebody belongs to this session's workspace, active or not."""
    found = session.scalar(select(Membership.user_id).where(Membership.user_id == user_id))
    return found is not None


def belongs_elsewhere(session: Session, user_id: UUID, workspace_id: UUID) -> bool:
    """Whether somebody is a member of another workspace too, active there or not; needs the
    owner's session."""
    found = session.scalar(
        select(Membership.user_id)
        .where(Membership.user_id == user_id, Membership.workspace_id != workspace_id)
        .limit(1)
    )
    return found is not None


def by_id(session: Session, user_id: UUID) -> tuple[AppUser, Membership]:
    """A member of this session's workspace.

    Raises:
        NotFoundError: no such member here.
    """
    found = session.execute(
        select(AppUser, Membership)
        .join(Membership, Membership.user_id == AppUser.id)
        .where(AppUser.id == user_id)
        .with_for_update()
    ).one_or_none()
    if found is None:
        raise NotFoundError("There is no such person in this workspace.", user_id=user_id)
    person, membership = found
    return person, membership


def members(session: Session, *, now: dt.datetime) -> tuple[Person, ...]:
    """Everybody in this session's workspace, by name."""
    found = session.execute(
        select(AppUser, Membership)
        .join(Membership, Membership.user_id == AppUser.id)
        .order_by(func.lower(AppUser.full_name), AppUser.email)
    )
    return tuple(_person(person, held, now) for person, held in found)


def workspaces_of(session: Session, user_id: UUID) -> list[UUID]:
    """Workspaces of a person, the oldest membership first; needs the owner's session."""
    return list(
        session.scalars(
            select(Membership.workspace_id)
            .where(Membership.user_id == user_id, Membership.active)
            .order_by(Membership.created_at)
        )
    )


def other_admins(session: Session, user_id: UUID) -> int:
    """How many other active admins this session's workspace has (rows stay locked)."""
    found = session.scalars(
        select(Membership.user_id)
        .join(AppUser, AppUser.id == Membership.user_id)
        .where(Membership.role == Role.ADMIN, Membership.active, AppUser.id != user_id)
        .with_for_update()
    )
    return len(found.all())


def checked_email(email: str) -> str:
    """The address in one spelling.

    Raises:
        UserError: not an e-mail address.
    """
    address = email.strip()
    name, at, domain = address.rpartition("@")
    plain = name and at and domain and not any(char.isspace() for char in address)
    if not plain or len(address) > 320 or "@" in name:
        raise UserError(f"“{address[:80]}” is not an e-mail address.", next_step="Write name@host.")
    return address


def _person(person: AppUser, held: Membership, now: dt.datetime) -> Person:
    locked = person.locked_until if person.locked_until and person.locked_until > now else None
    return Person(
        id=person.id,
        name=person.full_name or person.email,
        email=person.email,
        role=Role(held.role),
        active=held.active,
        invited=person.password_hash is None and person.oidc_subject is None,
        last_seen_at=person.last_seen_at,
        locked_until=locked,
    )


def _lock_end(failures: int, now: dt.datetime) -> dt.datetime | None:
    if failures < LOCK_AFTER:
        return None
    doublings = min(failures - LOCK_AFTER, 10)
    return now + min(LOCK_FIRST * (1 << doublings), LOCK_LONGEST)


def _lock_of_nobody(session: Session, email: str, now: dt.datetime) -> dt.datetime | None:
    attempts = session.scalars(
        select(SignInAttempt.at)
        .where(
            func.lower(SignInAttempt.email) == email.strip().lower()[:320],
            SignInAttempt.at > now - LOCK_LONGEST,
        )
        .order_by(SignInAttempt.at.desc())
    ).all()
    return _lock_end(len(attempts), attempts[0]) if attempts else None


def _wait(happened: str, until: dt.datetime, now: dt.datetime) -> UserError:
    minutes = max(1, -int((now - until).total_seconds() // 60))
    return UserError(
        happened,
        state="Nobody was signed in.",
        next_step=f"Try again in {minutes} min (after {until:%H:%M} UTC).",
        until=until,
    )
