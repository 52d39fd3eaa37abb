"""Rotating the keys that encrypt stored secrets; admins only, audited."""

from __future__ import annotations

from core.access import audit, roles, secrets
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role


def new_key() -> str:
    """A fresh key as ORGBRIDGE_KEY wants it; nothing is stored."""
    return secrets.new_key()


def rotate(bridge: Orgbridge, actor: Actor) -> int:
    """Encrypt every stored secret with a new key and drop the older ones; how many there were.

    Other processes of the product may go on: they read the key file again when it has changed.

    Raises:
        NotAllowedError: the actor is no admin.
        ConfigError: the keys come from ORGBRIDGE_KEY and it names no second one.
    """
    roles.require(actor, Role.ADMIN, to="rotate keys")
    with bridge.owner_session() as session:
        count = secrets.rotate(bridge.settings, session)
    secrets.drop_older_keys(bridge.settings)
    with bridge.session(actor.workspace_id) as session:
        audit.record(session, actor, "keys.rotated", subject_kind="keys", after={"secrets": count})
    return count
