"""Who may come in: workspaces, people, roles, sessions, keys, and the audit trail.

    workspace ─┬─< membership >─── app_user ──< user_session
               ├─< api_key
               ├─< oauth_state        (an org's or a person's round trip through a login page)
               └─< audit_log          (append-only; no foreign key to people: it outlives them)

workspace, app_user, user_session, api_key, oauth_state, sign_in_attempt and vault_canary are
read before a workspace is known and therefore are exempt from row-level security.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import (
    Base,
    EncryptedText,
    Identified,
    JsonObject,
    Timestamped,
    WorkspaceScoped,
    flag,
    json_object,
)


class Workspace(Identified, Timestamped, Base):
    """One team's rows; everything else hangs below it."""

    __tablename__ = "workspace"

    name: Mapped[str] = mapped_column(unique=True)
    #: what core.services.settings reads and writes; missing keys mean the defaults there
    settings: Mapped[JsonObject] = json_object()
    #: sha-256 of the one-time code that makes the first admin; NULL once used
    setup_code_hash: Mapped[str | None]
    setup_code_expires_at: Mapped[dt.datetime | None]


class AppUser(Identified, Timestamped, Base):
    """A person; may belong to several workspaces with a role in each."""

    __tablename__ = "app_user"
    __table_args__ = (
        Index("uq_app_user_email_lower", text("lower(email)"), unique=True),
        Index("uq_app_user_oidc_issuer_oidc_subject", "oidc_issuer", "oidc_subject", unique=True),
    )

    email: Mapped[str]
    full_name: Mapped[str] = mapped_column(server_default="")
    #: argon2id; NULL until an invitation is accepted, or for ever with single sign-on
    password_hash: Mapped[str | None]
    #: issuer and subject of single sign-on; set at the first sign-in through a provider
    oidc_issuer: Mapped[str | None]
    oidc_subject: Mapped[str | None]
    #: sha-256 of the invitation code
    invite_hash: Mapped[str | None] = mapped_column(unique=True)
    invite_expires_at: Mapped[dt.datetime | None]
    #: wrong passwords since the last right one
    failed_sign_ins: Mapped[int] = mapped_column(server_default=text("0"))
    locked_until: Mapped[dt.datetime | None]
    last_seen_at: Mapped[dt.datetime | None]
    preferences: Mapped[JsonObject] = json_object()


class Membership(WorkspaceScoped, Timestamped, Base):
    """A person's role in a workspace (core.domain.roles.Role)."""

    __tablename__ = "membership"
    __table_args__ = (CheckConstraint("role BETWEEN 1 AND 4", name="role"),)

    workspace_id: Mapped[UUID] = mapped_column(
        ForeignKey("workspace.id", ondelete="RESTRICT"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[int] = mapped_column(SmallInteger)
    #: switched off here; the person may still be a member elsewhere
    active: Mapped[bool] = flag(default=True)


class UserSession(Identified, Base):
    """A signed-in browser: server-side, revocable, found by the hash of its cookie token."""

    __tablename__ = "user_session"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspace.id", ondelete="RESTRICT"))
    #: sha-256 of 32 random bytes: a stolen table opens no session
    token_hash: Mapped[str] = mapped_column(unique=True)
    origin: Mapped[str] = mapped_column(server_default="")
    user_agent: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]


class SignInAttempt(Identified, Base):
    """One attempt to sign in, kept for the throttle; temporary data."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (
        Index("ix_sign_in_attempt_origin_at", "origin", "at"),
        Index("ix_sign_in_attempt_email_at", text("lower(email)"), "at"),
    )

    origin: Mapped[str]
    email: Mapped[str]
    succeeded: Mapped[bool]
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class ApiKey(Identified, Base):
    """A key for scripts: shown once, stored as an argon2 hash, found by its public prefix."""

    __tablename__ = "api_key"
    __table_args__ = (
        CheckConstraint("role BETWEEN 1 AND 4", name="role"),
        UniqueConstraint("workspace_id", "name"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspace.id", ondelete="RESTRICT"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[str]
    role: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[dt.datetime | None]
    expires_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]


class OauthState(Identified, Base):
    """One round trip to a login page; used once, then void."""

    __tablename__ = "oauth_state"

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspace.id", ondelete="RESTRICT"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    #: sha-256 of the `state` parameter
    state_hash: Mapped[str] = mapped_column(unique=True)
    #: encrypted JSON: PKCE verifier, client id and secret, login URL, redirect URI, name of the org
    payload: Mapped[EncryptedText]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]


class VaultCanary(Base):
    """A known word encrypted with the vault's key: tells a wrong key at start."""

    __tablename__ = "vault_canary"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    value: Mapped[EncryptedText]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class AuditLog(Identified, WorkspaceScoped, Base):
    """One act of a person, script or schedule. The database refuses UPDATE, DELETE and TRUNCATE."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_workspace_id_at", "workspace_id", "at"),
        Index("ix_audit_log_workspace_id_actor", "workspace_id", "actor"),
        Index("ix_audit_log_workspace_id_action", "workspace_id", "action"),
        Index("ix_audit_log_subject", "subject_kind", "subject_id"),
    )

    at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    #: no foreign key: the trail outlives the person
    user_id: Mapped[UUID | None]
    actor: Mapped[str]
    origin: Mapped[str] = mapped_column(server_default="")
    #: dotted verb: `org.connected`, `plan.saved`
    action: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[str | None]
    subject_name: Mapped[str] = mapped_column(server_default="")
    before: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    reason: Mapped[str | None]
    run_id: Mapped[UUID | None]
