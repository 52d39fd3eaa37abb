"""Workspaces: which there are, going from one to another, what the operator adds by terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import audit, roles, sessions
from core.access import people as accounts
from core.db import workspaces as rows
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError, NotFoundError

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """A workspace that somebody may enter."""

    id: UUID
    name: str
    is_current: bool


def workspaces(bridge: Orgbridge, actor: Actor) -> tuple[WorkspaceRow, ...]:
    """Those a person is an active member of, by name; for the terminal all of them."""
    roles.require(actor, Role.VIEWER, to="see workspaces")
    with bridge.owner_session() as session:
        found = rows.workspaces(session)
        if actor.user_id is not None:
            mine = accounts.workspaces_of(session, actor.user_id)
            found = [each for each in found if each[0] in mine]
    return tuple(
        WorkspaceRow(workspace_id, name, workspace_id == actor.workspace_id)
        for workspace_id, name, _ in sorted(found, key=lambda each: each[1])
    )


def enter(bridge: Orgbridge, actor: Actor, workspace_id: UUID, *, session_id: UUID) -> None:
    """Go on with a session in another workspace; the role there holds from the next click.

    Raises:
        NotFoundError: not a member there, or not one's own session.
    """
    roles.require(actor, Role.VIEWER, to="enter a workspace")
    with bridge.owner_session() as session:
        mine = accounts.workspaces_of(session, actor.user_id) if actor.user_id else []
        moved = workspace_id in mine and sessions.move(
            session, session_id, user_id=actor.user_id, workspace_id=workspace_id
        )
        if not moved:
            raise NotFoundError("There is no such workspace for you.")
    with bridge.session(workspace_id) as session:
        there = Actor(workspace_id, actor.user_id, actor.name, actor.role, actor.origin)
        audit.record(
            session,
            there,
            "session.entered",
            subject_kind="workspace",
            subject_id=workspace_id,
        )


def create(bridge: Orgbridge, actor: Actor, *, name: str) -> UUID:
    """Make a workspace; the operator does so by terminal, then adds its first admin there.

    Raises:
        NotAllowedError: not by terminal. UserError: no name. ConflictError: the name is taken.
    """
    _require_operator(actor)
    with bridge.owner_session() as session:
        workspace_id = rows.add_workspace(session, name)
    with bridge.session(workspace_id) as session:
        there = Actor(workspace_id, None, actor.name, actor.role, actor.origin)
        audit.record(
            session,
            there,
            "workspace.made",
            subject_kind="workspace",
            subject_id=workspace_id,
            subject_name=name.strip(),
        )
    return workspace_id


def join(bridge: Orgbridge, actor: Actor, *, email: str, role: Role) -> None:
    """Make somebody who has an account a member of the actor's workspace too.

    Raises:
        NotAllowedError: not by terminal. NotFoundError: nobody has that address.
        ConflictError: a member already.
    """
    _require_operator(actor)
    with bridge.session(actor.workspace_id) as session:
        if accounts.by_email(session, email) is None:
            raise NotFoundError(
                f"Nobody has the address {email}.", next_step="Invite the person instead."
            )
        person = accounts.add_person(session, actor.workspace_id, name="", email=email, role=role)
        audit.record(
            session,
            actor,
            "person.added",
            subject_kind="person",
            subject_id=person.id,
            subject_name=person.email,
            after={"role": role},
        )


def _require_operator(actor: Actor) -> None:
    """Whoever may read the data folder runs the installation; an admin runs one workspace."""
    roles.require(actor, Role.ADMIN, to="manage workspaces")
    if actor.user_id is not None or actor.origin != "terminal":
        raise NotAllowedError(
            "Workspaces are made by the operator, in the terminal.",
            next_step="python cli.py workspaces add NAME",
        )
