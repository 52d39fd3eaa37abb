"""Registered Salesforce orgs, what was described of them, and matches reviewed for them."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    UniqueConstraint,
    func,
    text,
)
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


class RegisteredOrg(Identified, WorkspaceScoped, Timestamped, Base):
    """A connected org: address, identity, encrypted credentials, health."""

    __tablename__ = "registered_org"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        UniqueConstraint("workspace_id", "domain_name"),
        UniqueConstraint("workspace_id", "instance_url"),
        Index("ix_registered_org_domain_name", "domain_name"),
        Index("ix_registered_org_org_id", "org_id"),
        CheckConstraint(
            "status IN ('connected','session_expired','unreachable','revoked')", name="status"
        ),
        CheckConstraint(
            "environment IN ('production','sandbox','scratch','developer','trial','practice',"
            "'files')",
            name="environment",
        ),
    )

    #: what people and plan files call it
    name: Mapped[str]
    #: host (and port, for practice orgs) of the instance URL
    domain_name: Mapped[str]
    instance_url: Mapped[str]
    #: encrypted; never leaves core.access and core.services.orgs in clear
    access_token: Mapped[EncryptedText]
    refresh_token: Mapped[EncryptedText | None]
    #: Salesforce's 18-character Organization Id
    org_id: Mapped[str | None]
    user_id: Mapped[str | None]
    user_name: Mapped[str | None]
    user_email: Mapped[str | None]
    profile_id: Mapped[str | None]
    profile_name: Mapped[str | None]

    #: Organization.Name, OrganizationType (edition), IsSandbox and kin
    organization_name: Mapped[str | None]
    organization_type: Mapped[str | None]
    is_sandbox: Mapped[bool] = flag()
    is_practice: Mapped[bool] = flag()
    environment: Mapped[str]
    trial_expires_at: Mapped[dt.datetime | None]
    api_version: Mapped[str | None]
    login_url: Mapped[str | None]
    #: web | jwt | client_credentials | password | access_token | sfdx
    auth_kind: Mapped[str]
    #: encrypted JSON of what the token flow needs again (client id and secret, JWT key, username …)
    credentials: Mapped[EncryptedText | None]
    #: refuses every write
    read_only: Mapped[bool] = flag()
    #: asks for the typed name and, if the rule is on, approval before writes
    protected: Mapped[bool] = flag()
    status: Mapped[str] = mapped_column(server_default="connected")
    status_reason: Mapped[str | None]
    tested_at: Mapped[dt.datetime | None]
    described_at: Mapped[dt.datetime | None]
    api_used: Mapped[int | None]
    api_allowed: Mapped[int | None]
    usage_at: Mapped[dt.datetime | None]
    #: set when a reconnect met another Organization Id (a refreshed sandbox): links are not trusted
    ledger_suspended_at: Mapped[dt.datetime | None]
    previous_org_id: Mapped[str | None]
    connected_by: Mapped[str | None]
    #: how far the reading of the org's objects is: {} or core.db.describing.Progress as JSON
    describing: Mapped[JsonObject] = json_object()


class DescribeCache(Identified, WorkspaceScoped, Base):
    """One describe answer as the org gave it, with what a conditional request needs."""

    __tablename__ = "describe_cache"
    __table_args__ = (UniqueConstraint("registered_org_id", "sobject", "api_version"),)

    registered_org_id: Mapped[UUID] = mapped_column(
        ForeignKey("registered_org.id", ondelete="CASCADE")
    )
    #: API name, or '' for the list of all objects
    sobject: Mapped[str]
    api_version: Mapped[str]
    #: the JSON exactly as the org gave it, zlib
    body: Mapped[bytes] = mapped_column(LargeBinary)
    #: NULL for the list of objects
    field_count: Mapped[int | None]
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    #: when the document last changed, and when the org last confirmed it
    fetched_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    checked_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class FieldMapping(Identified, WorkspaceScoped, Timestamped, Base):
    """A field match that a person reviewed, remembered for later auto-maps of the org."""

    __tablename__ = "field_mapping"
    __table_args__ = (
        UniqueConstraint(
            "registered_org_id", "source_object", "source_field", "target_object", "target_field"
        ),
        CheckConstraint(
            "review_state IN ('suggested','approved','rejected','needs_clarification')",
            name="review_state",
        ),
    )

    #: the target org, whose fields are meant; deleted with it
    registered_org_id: Mapped[UUID] = mapped_column(
        ForeignKey("registered_org.id", ondelete="CASCADE"), index=True
    )
    source_org_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("registered_org.id", ondelete="CASCADE"), index=True
    )
    source_object: Mapped[str]
    source_field: Mapped[str]
    target_object: Mapped[str]
    target_field: Mapped[str]
    rule: Mapped[JsonObject] = json_object()
    confidence: Mapped[float | None] = mapped_column(Numeric(4, 3, asdecimal=False))
    review_state: Mapped[str] = mapped_column(server_default="suggested")
    reviewed_by: Mapped[str | None]
    reviewed_at: Mapped[dt.datetime | None]
    times_used: Mapped[int] = mapped_column(server_default=text("0"))


class AutomationSnapshot(Identified, WorkspaceScoped, Base):
    """The state of a rule, flow or trigger before we switched it, so that it can be put back."""

    __tablename__ = "automation_snapshot"

    registered_org_id: Mapped[UUID] = mapped_column(
        ForeignKey("registered_org.id", ondelete="CASCADE"), index=True
    )
    run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("data_migration.id", ondelete="SET NULL"), index=True
    )
    kind: Mapped[str]
    component: Mapped[str]
    before: Mapped[JsonObject] = json_object()
    after: Mapped[JsonObject] = json_object()
    switched_by: Mapped[str]
    switched_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    restored_at: Mapped[dt.datetime | None]
    restored_by: Mapped[str | None]


class DuplicateDecision(Identified, WorkspaceScoped, Timestamped, Base):
    """What a person decided about one cluster of likely duplicates."""

    __tablename__ = "duplicate_decision"
    __table_args__ = (
        UniqueConstraint("registered_org_id", "sobject", "cluster_key"),
        CheckConstraint("decision IN ('keep','not_duplicates','skip')", name="decision"),
    )

    registered_org_id: Mapped[UUID] = mapped_column(
        ForeignKey("registered_org.id", ondelete="CASCADE")
    )
    sobject: Mapped[str]
    #: stable hash of the sorted record ids
    cluster_key: Mapped[str]
    decision: Mapped[str]
    survivor_id: Mapped[str | None]
    #: record ids of the cluster, field choices, score
    details: Mapped[JsonObject] = json_object()
    decided_by: Mapped[str]
