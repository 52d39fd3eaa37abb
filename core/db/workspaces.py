"""Reads and writes of a workspace's settings document."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.db.models import Workspace
from core.errors import ConflictError, NotFoundError, UserError


def stored_settings(session: Session, workspace_id: UUID, *, lock: bool = False) -> dict[str, Any]:
    """The settings that differ from the defaults; with `lock`, until the transaction ends.

    Raises:
        NotFoundError: no such workspace.
    """
    statement = select(Workspace.settings).where(Workspace.id == workspace_id)
    found = session.scalar(statement.with_for_update() if lock else statement)
    if found is None:
        raise NotFoundError("There is no such workspace.")
    return dict(found)


def store_settings(session: Session, workspace_id: UUID, document: dict[str, Any]) -> None:
    """Replace the settings document; the caller holds the row's lock."""
    workspace = session.get_one(Workspace, workspace_id)
    workspace.settings = document
    session.flush()


def add_workspace(session: Session, name: str) -> UUID:
    """A new workspace; needs the owner's session.

    Raises:
        UserError: no name. ConflictError: the name is taken.
    """
    if not name.strip():
        raise UserError("The workspace has no name.")
    made = Workspace(name=name.strip())
    session.add(made)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(f"There is a workspace named “{name.strip()}” already.") from error
    return made.id


def workspaces(session: Session) -> list[tuple[UUID, str, dict[str, Any]]]:
    """Every workspace with its settings; needs the owner's session."""
    found = session.execute(select(Workspace.id, Workspace.name, Workspace.settings))
    return [(row.id, row.name, row.settings) for row in found]
