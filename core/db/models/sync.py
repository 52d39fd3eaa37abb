"""Schedules, what they fired, and how far each mapping of an org pair has been synced."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import (
    Base,
    Identified,
    JsonObject,
    Timestamped,
    WorkspaceScoped,
    flag,
    json_object,
)


class Schedule(Identified, WorkspaceScoped, Timestamped, Base):
    """An operation to launch again and again: cron in a time zone, with a policy for being late."""

    __tablename__ = "schedule"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name"),
        CheckConstraint("late_policy IN ('run_once','skip')", name="late_policy"),
        CheckConstraint("overlap_policy IN ('skip','queue')", name="overlap_policy"),
        CheckConstraint("version_policy IN ('latest','pinned')", name="version_policy"),
    )

    name: Mapped[str]
    plan_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("migration_plan.id", ondelete="CASCADE"), index=True
    )
    #: latest: the newest version at firing time; pinned: always plan_version_id
    version_policy: Mapped[str] = mapped_column(server_default="latest")
    plan_version_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("plan_version.id", ondelete="SET NULL"), index=True
    )
    operation: Mapped[str] = mapped_column(server_default="migrate_data")
    options: Mapped[JsonObject] = json_object()
    cron: Mapped[str]
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    late_policy: Mapped[str] = mapped_column(server_default="run_once")
    overlap_policy: Mapped[str] = mapped_column(server_default="skip")
    enabled: Mapped[bool] = flag(default=True)
    next_due_at: Mapped[dt.datetime | None] = mapped_column(index=True)
    last_due_at: Mapped[dt.datetime | None]
    created_by: Mapped[str]


class ScheduleFiring(WorkspaceScoped, Base):
    """That a schedule fired for a due time; its key makes a second firing impossible."""

    __tablename__ = "schedule_firing"

    schedule_id: Mapped[UUID] = mapped_column(
        ForeignKey("schedule.id", ondelete="CASCADE"), primary_key=True
    )
    due_at: Mapped[dt.datetime] = mapped_column(primary_key=True)
    fired_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    #: fired | late | skipped | launched (an operation) | refused
    outcome: Mapped[str] = mapped_column(server_default="fired")
    #: why it was refused
    reason: Mapped[str | None]
    run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("data_migration.id", ondelete="SET NULL"), index=True
    )


class SyncState(Identified, WorkspaceScoped, Timestamped, Base):
    """How far one mapping of an org pair is in step: the anchor of the next delta."""

    __tablename__ = "sync_state"
    __table_args__ = (UniqueConstraint("workspace_id", "org_pair", "mapping_name"),)

    org_pair: Mapped[str]
    mapping_name: Mapped[str]
    plan_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("migration_plan.id", ondelete="SET NULL"), index=True
    )
    source_object: Mapped[str]
    #: changed rows were read up to here, by the source org's clock
    watermark: Mapped[dt.datetime | None]
    #: deleted rows were read up to here
    deleted_watermark: Mapped[dt.datetime | None]
    #: hash of mapping, map tables and formulas: another one asks for a full compare
    mapping_digest: Mapped[str | None]
    last_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("data_migration.id", ondelete="SET NULL"), index=True
    )
    passes: Mapped[int] = mapped_column(server_default=text("0"))
    details: Mapped[JsonObject] = json_object()
