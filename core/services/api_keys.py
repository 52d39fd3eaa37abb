"""API keys for scripts: make, list, revoke."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import api_keys, audit, roles
from core.access.api_keys import KeyRow
from core.domain.roles import Actor, Role
from core.errors import UserError
from core.secret import Secret

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

__all__ = ["KeyRow", "NewKey"]

LONGEST_DAYS = 366


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; its text is told here and never again."""

    id: UUID
    text: Secret


def keys(bridge: Orgbridge, actor: Actor) -> tuple[KeyRow, ...]:
    """Keys of the workspace, the newest first; an analyst sees their own."""
    roles.require(actor, Role.ANALYST, to="see API keys")
    with bridge.session(actor.workspace_id) as session:
        found = api_keys.keys(session, actor.workspace_id)
    if actor.role < Role.ADMIN:
        return tuple(key for key in found if key.owner_id == actor.user_id)
    return found


def make(
    bridge: Orgbridge, actor: Actor, *, name: str, role: Role, days: int | None = 90
) -> NewKey:
    """Make a key with at most one's own role.

    Args:
        days: how long it is valid; None for ever, which only an admin may give.

    Raises:
        UserError: no name, too great a role, days out of bounds. ConflictError: the name is taken.
    """
    roles.require(actor, Role.ANALYST if days is not None else Role.ADMIN, to="make this API key")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise UserError(f"A key is valid for 1 to {LONGEST_DAYS} days.")
    expires_at = None if days is None else bridge.clock() + dt.timedelta(days=days)
    with bridge.session(actor.workspace_id) as session:
        key_id, text = api_keys.make(session, actor, name=name, role=role, expires_at=expires_at)
        audit.record(
            session,
            actor,
            "key.made",
            subject_kind="key",
            subject_id=key_id,
            subject_name=name.strip(),
            after={"role": role, "expires_at": expires_at},
        )
    return NewKey(key_id, text)


def revoke(bridge: Orgbridge, actor: Actor, key_id: UUID) -> None:
    """Make a key worthless at once: one's own, or anybody's for an admin.

    Raises:
        NotFoundError: no such key in the workspace.
    """
    roles.require(actor, Role.ANALYST, to="revoke API keys")
    with bridge.session(actor.workspace_id) as session:
        key = api_keys.revoke(session, actor.workspace_id, key_id, now=bridge.clock())
        if actor.user_id is None or key.owner_id != actor.user_id:
            roles.require(actor, Role.ADMIN, to="revoke keys of others")
        audit.record(
            session,
            actor,
            "key.revoked",
            subject_kind="key",
            subject_id=key_id,
            subject_name=key.name,
        )
