"""Workspace settings: production safety, retention, API budget."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import audit, roles
from core.db import workspaces
from core.domain.roles import Actor, Role
from core.domain.workspace_settings import WorkspaceSettings, checked, read_settings

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

__all__ = ["WorkspaceSettings"]


def settings(bridge: Orgbridge, actor: Actor) -> WorkspaceSettings:
    """The settings in force."""
    return settings_of(bridge, actor.workspace_id)


def settings_of(bridge: Orgbridge, workspace_id: UUID) -> WorkspaceSettings:
    """The settings in force, for work that no person asked for (jobs, retention)."""
    with bridge.session(workspace_id) as session:
        return read_settings(workspaces.stored_settings(session, workspace_id))


def change_settings(bridge: Orgbridge, actor: Actor, **changes: bool | int | str) -> None:
    """Change some settings; the rest stays.

    Raises:
        UserError: an unknown name, a wrong type, a number out of bounds; nothing was changed.
    """
    roles.require(actor, Role.ADMIN, to="change settings")
    with bridge.session(actor.workspace_id) as session:
        stored = workspaces.stored_settings(session, actor.workspace_id, lock=True)
        before = dataclasses.asdict(read_settings(stored))
        wanted = {name: checked(name, value) for name, value in changes.items()}
        changed = {name: value for name, value in wanted.items() if before[name] != value}
        if not changed:
            return
        workspaces.store_settings(session, actor.workspace_id, {**stored, **changed})
        audit.record(
            session,
            actor,
            "settings.changed",
            subject_kind="workspace",
            subject_id=actor.workspace_id,
            before={name: before[name] for name in changed},
            after=changed,
        )
