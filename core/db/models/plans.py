"""Plans: the draft that autosaves, the versions cut from it, and approvals asked for them."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import (
    Base,
    Identified,
    JsonObject,
    Timestamped,
    WorkspaceScoped,
    json_object,
)


class MigrationPlan(Identified, WorkspaceScoped, Timestamped, Base):
    """A named set of object mappings; `draft` is the document being edited."""

    __tablename__ = "migration_plan"
    __table_args__ = (
        Index(
            "uq_migration_plan_workspace_id_name_live",
            "workspace_id",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    source_org_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("registered_org.id", ondelete="SET NULL"), index=True
    )
    target_org_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("registered_org.id", ondelete="SET NULL"), index=True
    )
    #: same schema as the YAML file
    draft: Mapped[JsonObject] = json_object()
    #: optimistic lock: a save names the revision it read
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[str]
    updated_by: Mapped[str]
    #: removed from lists; its versions stay while runs refer to them
    deleted_at: Mapped[dt.datetime | None]


class PlanVersion(Identified, WorkspaceScoped, Base):
    """An immutable copy of a plan's document; the database refuses UPDATE."""

    __tablename__ = "plan_version"
    __table_args__ = (
        UniqueConstraint("plan_id", "number"),
        CheckConstraint("cut_for IN ('name','approval','launch','restore')", name="cut_for"),
    )

    plan_id: Mapped[UUID] = mapped_column(ForeignKey("migration_plan.id", ondelete="CASCADE"))
    number: Mapped[int]
    document: Mapped[JsonObject] = json_object()
    #: sha-256 of the canonical document: equal documents share a version
    digest: Mapped[str]
    cut_for: Mapped[str]
    label: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Approval(Identified, WorkspaceScoped, Base):
    """A request that another person lets a launch into a protected org happen."""

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("status IN ('asked','approved','rejected','withdrawn')", name="status"),
        CheckConstraint(
            "decided_by_id IS DISTINCT FROM asked_by_id OR decided_by_id IS NULL"
            " OR status = 'withdrawn'",
            name="another_person",
        ),
        Index("ix_approval_workspace_id_status", "workspace_id", "status"),
    )

    plan_version_id: Mapped[UUID] = mapped_column(
        ForeignKey("plan_version.id", ondelete="CASCADE"), index=True
    )
    run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("data_migration.id", ondelete="CASCADE"), index=True
    )
    target_org_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("registered_org.id", ondelete="SET NULL"), index=True
    )
    #: full | delta | canary | undo …: an approval counts for the mode it was asked for
    mode: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="asked")
    #: what the approver sees: rows, creates, updates, deletes, warnings
    facts: Mapped[JsonObject] = json_object()
    asked_by_id: Mapped[UUID | None]
    asked_by: Mapped[str]
    asked_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    reason: Mapped[str | None]
    decided_by_id: Mapped[UUID | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[dt.datetime | None]
    decision_reason: Mapped[str | None]
    expires_at: Mapped[dt.datetime | None]
    #: set when a run used it: one approval lets one launch happen
    used_at: Mapped[dt.datetime | None]
