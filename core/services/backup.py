"""A copy of everything for the cupboard; admins only, audited."""

from __future__ import annotations

from pathlib import Path

from core.access import audit, roles
from core.bootstrap import Orgbridge
from core.db import backup
from core.domain.roles import Actor, Role


def write_backup(bridge: Orgbridge, actor: Actor, *, file: Path) -> int:
    """Copy the database of all workspaces into `file`; bytes written. The key is not in it.

    Raises:
        NotAllowedError: the actor is no admin.
        UserError, ConfigError: why it could not be written; nothing was left behind.
    """
    roles.require(actor, Role.ADMIN, to="back up the database")
    size = backup.dump(bridge.owner_engine.url, file)
    with bridge.session(actor.workspace_id) as session:
        audit.record(
            session, actor, "database.copied", subject_kind="database", after={"bytes": size}
        )
    return size
