"""People of a workspace: the first admin, signing in and out, invitations, roles, sessions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import api_keys, audit, roles, sessions
from core.access import people as accounts
from core.access.sessions import Browser, SessionRow, SignedIn, Visitor
from core.domain import names
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotAllowedError, NotFoundError, UserError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge

__all__ = ["Invitation", "PersonRow", "SessionRow", "SignedIn", "Visitor"]

#: one answer for a wrong name and a wrong password
_WRONG = "E-mail and password do not fit."


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One member as the list shows them."""

    id: UUID
    name: str
    email: str
    role: Role
    active: bool
    #: has not chosen a password yet
    invited: bool
    last_seen_at: dt.datetime | None
    locked_until: dt.datetime | None
    #: open sessions
    sessions: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time token for a person to choose a password with; it is told here and never again."""

    user_id: UUID
    token: str
    expires_at: dt.datetime

    def __repr__(self) -> str:
        return f"Invitation(user_id={self.user_id}, expires_at={self.expires_at.isoformat()})"


def needs_first_setup(bridge: Orgbridge) -> bool:
    """Whether nobody administers the main workspace yet."""
    with bridge.session(bridge.workspace_id()) as session:
        return not accounts.has_admin(session)


def issue_setup_code(bridge: Orgbridge) -> str | None:
    """A new one-time code for the first admin, to be printed; None when there is one."""
    workspace_id = bridge.workspace_id()
    with bridge.session(workspace_id) as session:
        if accounts.has_admin(session):
            return None
        return accounts.lay_setup_code(session, workspace_id, now=bridge.clock())


def create_first_admin(
    bridge: Orgbridge, *, code: str, name: str, email: str, password: str, origin: str
) -> SignedIn:
    """Make the first admin and sign them in.

    Raises:
        UserError: a wrong or old code, a bad address, a short password. The code stays valid then.
        ConflictError: somebody was faster.
    """
    now, workspace_id = bridge.clock(), bridge.workspace_id()
    _count(bridge, origin, accounts.SETUP)
    with bridge.session(workspace_id) as session:
        if accounts.has_admin(session):
            raise ConflictError("There is an admin already.", next_step="Sign in.")
        if not accounts.use_setup_code(session, workspace_id, code, now=now):
            raise UserError(
                "This is not the code of the last start.",
                next_step="Take the code that the terminal printed; a restart prints a new one.",
            )
        person = accounts.add_person(session, workspace_id, name=name, email=email, role=Role.ADMIN)
        accounts.set_password(person, password)
        _succeeded(session, origin, accounts.SETUP, now=now)
        actor = Actor(workspace_id, person.id, person.email, Role.ADMIN, origin)
        audit.record_on(session, actor, "person.first_admin", on=_person(person.id, person.email))
        return _open(session, actor, Browser(origin), now=now)


def sign_in(
    bridge: Orgbridge, *, email: str, password: str, origin: str, agent: str = ""
) -> SignedIn:
    """A new session for name and password.

    Raises:
        UserError: wrong, or too many attempts (says when it works again). No session was opened.
    """
    now = bridge.clock()
    with bridge.owner_session() as session:
        accounts.check_throttle(session, origin, now=now)
        person = accounts.authenticated(session, email, password, now=now)
        home = accounts.workspaces_of(session, person.id) if person else []
        ok = bool(person and home)
        accounts.note_attempt(session, origin=origin, email=email, succeeded=ok, now=now)
    # the count is committed before the refusal, or a wrong password would roll it back
    if person is None or not home:
        raise UserError(_WRONG, next_step="Try again, or ask an admin for a new invitation.")
    with bridge.session(home[0]) as session:
        _, membership = accounts.by_id(session, person.id)
        actor = Actor(home[0], person.id, person.email, Role(membership.role), origin)
        audit.record_on(session, actor, "session.opened", on=_person(person.id, person.email))
        return _open(session, actor, Browser(origin, agent), now=now)


def accept_invitation(
    bridge: Orgbridge, *, token: str, name: str, password: str, origin: str
) -> SignedIn:
    """Choose a password with an invitation and sign in.

    Raises:
        UserError: the invitation is unknown, used or too old; the password is too short.
    """
    now = bridge.clock()
    _count(bridge, origin, accounts.INVITATION)
    with bridge.owner_session() as session:
        person = accounts.invited(session, token, now=now)
        home = accounts.workspaces_of(session, person.id) if person else []
        if person is None or not home:
            raise UserError(
                "This invitation is not valid: it was used, replaced or is too old.",
                next_step="Ask an admin for a new one.",
            )
        accounts.set_password(person, password)
        person.full_name = names.fitting(name, of="A person") or person.full_name
        _succeeded(session, origin, accounts.INVITATION, now=now)
        # a reset password ends what somebody else may have opened with the old one
        sessions.revoke(session, person.id, now=now)
    with bridge.session(home[0]) as session:
        _, membership = accounts.by_id(session, person.id)
        actor = Actor(home[0], person.id, person.email, Role(membership.role), origin)
        audit.record_on(session, actor, "person.joined", on=_person(person.id, person.email))
        return _open(session, actor, Browser(origin), now=now)


def sign_out(bridge: Orgbridge, token: str) -> None:
    """End the session of the token; nothing happens when it has ended."""
    now = bridge.clock()
    visitor = sessions.visitor(bridge.engine, token, now=now)
    if visitor is None:
        return
    with bridge.session(visitor.actor.workspace_id) as session:
        sessions.close_session(session, token, now=now)
        audit.record_on(
            session,
            visitor.actor,
            "session.closed",
            on=_person(visitor.actor.user_id, visitor.email),
        )


def who(bridge: Orgbridge, token: str) -> Visitor | None:
    """The person behind a session token, or None when there is no valid session."""
    return sessions.visitor(bridge.engine, token, now=bridge.clock())


def actor_of_api_key(bridge: Orgbridge, key: str, *, origin: str) -> Actor:
    """On whose behalf an API key acts.

    Raises:
        NotAllowedError: unknown, wrong, expired or revoked key, or too many wrong ones.
    """
    now = bridge.clock()
    actor = api_keys.actor_of(bridge.engine, key, origin=origin, now=now)
    if actor is None:
        try:
            _count(bridge, origin, "(api key)")
        except UserError as throttled:
            raise NotAllowedError(throttled.happened, next_step=throttled.next_step) from throttled
        raise NotAllowedError(
            "The API key is not valid.", next_step="Make a new one on the page API keys."
        )
    return actor


def people(bridge: Orgbridge, actor: Actor) -> tuple[PersonRow, ...]:
    """Everybody in the workspace, by name."""
    roles.require(actor, Role.ADMIN, to="see the people of the workspace")
    now = bridge.clock()
    with bridge.session(actor.workspace_id) as session:
        open_sessions = sessions.living_counts(session, now=now)
        return tuple(
            PersonRow(
                id=each.id,
                name=each.name,
                email=each.email,
                role=each.role,
                active=each.active,
                invited=each.invited,
                last_seen_at=each.last_seen_at,
                locked_until=each.locked_until,
                sessions=open_sessions.get(each.id, 0),
            )
            for each in accounts.members(session, now=now)
        )


def invite(bridge: Orgbridge, actor: Actor, *, name: str, email: str, role: Role) -> Invitation:
    """Make a member; the token lets them choose a password once.

    Raises:
        ConflictError: already a member, here or of another workspace: whoever holds the token gets
            the whole account. UserError: not an address.
    """
    roles.require(actor, Role.ADMIN, to="invite people")
    now = bridge.clock()
    with bridge.session(actor.workspace_id) as session:
        has_account = accounts.by_email(session, email) is not None
        person = accounts.add_person(session, actor.workspace_id, name=name, email=email, role=role)
        if has_account:
            raise ConflictError(
                f"{person.email} has an account already, in another workspace.",
                state="Nothing was changed.",
                next_step="Joining a second workspace needs the operator of this installation.",
            )
        token = accounts.lay_invitation(person, now=now)
        after = {"name": person.full_name, "role": role}
        audit.record_on(
            session, actor, "person.invited", on=_person(person.id, person.email), after=after
        )
        return Invitation(person.id, token, now + accounts.INVITATION_LIFE)


def reset_password(bridge: Orgbridge, actor: Actor, user_id: UUID) -> Invitation:
    """A one-time token for a person who lost the password; the old one works until it is used.

    Raises:
        NotAllowedError: the person is also a member of another workspace.
    """
    roles.require(actor, Role.ADMIN, to="reset a password")
    now = bridge.clock()
    with bridge.owner_session() as session:
        if accounts.belongs_elsewhere(session, user_id, actor.workspace_id):
            raise NotAllowedError("This person is a member of other workspaces as well.")
    with bridge.session(actor.workspace_id) as session:
        person, _ = accounts.by_id(session, user_id)
        token = accounts.lay_invitation(person, now=now)
        audit.record_on(
            session, actor, "person.password_reset", on=_person(person.id, person.email)
        )
        return Invitation(person.id, token, now + accounts.INVITATION_LIFE)


def change_role(bridge: Orgbridge, actor: Actor, user_id: UUID, *, role: Role) -> None:
    """Give a member another role; it holds from their next click on.

    Raises:
        UserError: the last admin would be gone.
    """
    roles.require(actor, Role.ADMIN, to="change roles")
    with bridge.session(actor.workspace_id) as session:
        person, membership = accounts.by_id(session, user_id)
        before = Role(membership.role)
        if before is Role.ADMIN and role is not Role.ADMIN:
            _keep_an_admin(session, user_id)
        membership.role = int(role)
        audit.record_on(
            session,
            actor,
            "person.role_changed",
            on=_person(user_id, person.email),
            before={"role": before},
            after={"role": role},
        )


def deactivate(bridge: Orgbridge, actor: Actor, user_id: UUID) -> None:
    """Sign a member out everywhere and keep them out of this workspace.

    Raises:
        UserError: oneself, or the last admin.
    """
    roles.require(actor, Role.ADMIN, to="deactivate people")
    if user_id == actor.user_id:
        raise UserError("You cannot deactivate yourself.", next_step="Ask another admin.")
    with bridge.session(actor.workspace_id) as session:
        person, membership = accounts.by_id(session, user_id)
        if Role(membership.role) is Role.ADMIN:
            _keep_an_admin(session, user_id)
        membership.active = False
        sessions.revoke(session, user_id, now=bridge.clock())
        audit.record_on(session, actor, "person.deactivated", on=_person(user_id, person.email))


def reactivate(bridge: Orgbridge, actor: Actor, user_id: UUID) -> None:
    """Let a deactivated member in again, with the role they had."""
    roles.require(actor, Role.ADMIN, to="reactivate people")
    with bridge.session(actor.workspace_id) as session:
        person, membership = accounts.by_id(session, user_id)
        membership.active = True
        person.locked_until = None
        person.failed_sign_ins = 0
        audit.record_on(session, actor, "person.reactivated", on=_person(user_id, person.email))


def sessions_of(
    bridge: Orgbridge, actor: Actor, user_id: UUID, *, current: UUID | None = None
) -> tuple[SessionRow, ...]:
    """Open sessions of a person: one's own, or anybody's for an admin."""
    if user_id != actor.user_id:
        roles.require(actor, Role.ADMIN, to="see sessions of others")
    with bridge.session(actor.workspace_id) as session:
        accounts.by_id(session, user_id)
        return sessions.sessions_of(session, user_id, now=bridge.clock(), current=current)


def revoke_session(bridge: Orgbridge, actor: Actor, session_id: UUID) -> None:
    """End one session at once: one's own, or anybody's for an admin.

    Raises:
        NotFoundError: no such session in this workspace.
    """
    with bridge.session(actor.workspace_id) as session:
        owner = sessions.owner_of(session, session_id)
        if owner != actor.user_id:
            roles.require(actor, Role.ADMIN, to="end sessions of others")
        if owner is None:
            raise NotFoundError("There is no such session.")
        person, _ = accounts.by_id(session, owner)
        sessions.revoke(session, owner, now=bridge.clock(), only=session_id)
        audit.record_on(session, actor, "session.revoked", on=_person(owner, person.email))


def change_password(
    bridge: Orgbridge, actor: Actor, *, old: str, new: str, keep: UUID | None = None
) -> None:
    """Change one's own password; every session ends but `keep`.

    Raises:
        UserError: the old one is wrong, or the new one too short.
    """
    if actor.user_id is None:
        raise NotAllowedError("Only a person has a password.")
    now = bridge.clock()
    with bridge.owner_session() as session:
        accounts.check_throttle(session, actor.origin, now=now)
        right = accounts.authenticated(session, actor.name, old, now=now) is not None
        accounts.note_attempt(
            session, origin=actor.origin, email=actor.name, succeeded=right, now=now
        )
    if not right:
        raise UserError("The password is not right.", state="Nothing was changed.")
    with bridge.session(actor.workspace_id) as session:
        person, _ = accounts.by_id(session, actor.user_id)
        accounts.set_password(person, new)
        sessions.revoke(session, person.id, now=now, keep=keep)
        audit.record_on(
            session, actor, "person.password_changed", on=_person(person.id, person.email)
        )


def _open(session: Session, actor: Actor, browser: Browser, *, now: dt.datetime) -> SignedIn:
    if actor.user_id is None:
        raise NotAllowedError("Only a person signs in.")
    return sessions.open_session(
        session, user_id=actor.user_id, workspace_id=actor.workspace_id, browser=browser, now=now
    )


def _count(bridge: Orgbridge, origin: str, kind: str) -> None:
    """Count an attempt as failed, before it is known; `_succeeded` follows if it was not."""
    now = bridge.clock()
    with bridge.owner_session() as session:
        accounts.check_throttle(session, origin, now=now)
        accounts.note_attempt(session, origin=origin, email=kind, succeeded=False, now=now)


def _succeeded(session: Session, origin: str, kind: str, *, now: dt.datetime) -> None:
    accounts.note_attempt(session, origin=origin, email=kind, succeeded=True, now=now)


def _keep_an_admin(session: Session, user_id: UUID) -> None:
    if not accounts.other_admins(session, user_id):
        raise UserError(
            "This is the last admin of the workspace.",
            state="Nothing was changed.",
            next_step="Make somebody else an admin first.",
        )


def _person(user_id: UUID | None, email: str) -> audit.Subject:
    return audit.Subject("person", user_id, email)
