"""API keys for scripts: `obk_<prefix>_<secret>`, shown once, stored as an argon2 hash."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.access import codes, sessions
from core.db.models import ApiKey, AppUser, Membership
from core.domain import names
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotFoundError, UserError
from core.secret import Secret

MARK = "obk"
#: stands before a key's name where logs say who acted
ACTOR = "key:"
#: `last_used_at` moves on at most this often
NOTE_USE_EVERY = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as the list shows it; its secret is not known to anyone any more."""

    id: UUID
    name: str
    prefix: str
    role: Role
    #: whom it acts for; None: the workspace itself
    owner_id: UUID | None
    owner: str | None
    created_at: dt.datetime
    last_used_at: dt.datetime | None
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None

    def state_at(self, now: dt.datetime) -> str:
        """``valid``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


def make(
    session: Session, actor: Actor, *, name: str, role: Role, expires_at: dt.datetime | None
) -> tuple[UUID, Secret]:
    """A new key of the actor with at most the actor's role; the text is told here and never again.

    Raises:
        ConflictError: the name is taken.
        UserError: no name, or a role above the actor's own.
    """
    name = names.fitting(name, of="A key")
    if not name:
        raise UserError("The key has no name.", next_step="Name the script that will use it.")
    if role > actor.role:
        raise UserError("A key cannot have a greater role than the person who makes it.")
    prefix, secret = secrets.token_hex(6), codes.new_token()
    key = ApiKey(
        workspace_id=actor.workspace_id,
        user_id=actor.user_id,
        name=name.strip(),
        prefix=prefix,
        secret_hash=codes.key_hash(secret),
        role=int(role),
        expires_at=expires_at,
    )
    session.add(key)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(
            f"There is a key named “{name.strip()}” already.", next_step="Choose another name."
        ) from error
    return key.id, Secret(f"{MARK}_{prefix}_{secret}")


def actor_of(engine: Engine, shown: str, *, origin: str, now: dt.datetime) -> Actor | None:
    """On whose behalf the key acts, or None: unknown, wrong, revoked, expired, person gone.

    A key never has more rights than its person has now.
    """
    mark, _, rest = shown.strip().partition("_")
    prefix, _, secret = rest.partition("_")
    if mark != MARK or not prefix or not secret:
        return None
    with Session(engine) as session, session.begin():
        key = session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))
        if key is None or key.revoked_at is not None or not codes.is_key(secret, key.secret_hash):
            return None
        if key.expires_at is not None and key.expires_at <= now:
            return None
        sessions.enter_workspace(session, key.workspace_id)
        role = _present_role(session, key)
        if role is None:
            return None
        if key.last_used_at is None or now - key.last_used_at >= NOTE_USE_EVERY:
            key.last_used_at = now
        return Actor(key.workspace_id, key.user_id, f"{ACTOR}{key.name}", role, origin)


def keys(session: Session, workspace_id: UUID) -> tuple[KeyRow, ...]:
    """Keys of the workspace, the newest first."""
    found = session.execute(
        select(ApiKey, AppUser.email)
        .outerjoin(AppUser, AppUser.id == ApiKey.user_id)
        .where(ApiKey.workspace_id == workspace_id)
        .order_by(ApiKey.created_at.desc())
    )
    return tuple(_row(key, owner) for key, owner in found)


def revoke(session: Session, workspace_id: UUID, key_id: UUID, *, now: dt.datetime) -> KeyRow:
    """Make a key worthless at once.

    Raises:
        NotFoundError: no such key in the workspace.
    """
    key = session.scalar(
        select(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.workspace_id == workspace_id)
        .with_for_update()
    )
    if key is None:
        raise NotFoundError("There is no such key in this workspace.")
    key.revoked_at = key.revoked_at or now
    session.flush()
    return _row(key, None)


def _present_role(session: Session, key: ApiKey) -> Role | None:
    """The smaller of the key's role and what its person may do today."""
    if key.user_id is None:
        return Role(key.role)
    theirs = session.scalar(
        select(Membership.role).where(
            Membership.user_id == key.user_id,
            Membership.workspace_id == key.workspace_id,
            Membership.active,
        )
    )
    return None if theirs is None else Role(min(theirs, key.role))


def _row(key: ApiKey, owner: str | None) -> KeyRow:
    return KeyRow(
        id=key.id,
        name=key.name,
        prefix=f"{MARK}_{key.prefix}",
        role=Role(key.role),
        owner_id=key.user_id,
        owner=owner,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )
