"""Notification rules and what was delivered by them."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import (
    Base,
    EncryptedText,
    Identified,
    JsonObject,
    TextList,
    Timestamped,
    WorkspaceScoped,
    flag,
    json_object,
)


class NotificationRule(Identified, WorkspaceScoped, Timestamped, Base):
    """When to tell whom: events, an optional plan or org, one address."""

    __tablename__ = "notification_rule"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    name: Mapped[str]
    events: Mapped[TextList]
    plan_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("migration_plan.id", ondelete="CASCADE"), index=True
    )
    registered_org_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("registered_org.id", ondelete="CASCADE"), index=True
    )
    #: email | slack | teams | webhook: what people see
    channel: Mapped[str]
    #: encrypted Apprise URL: it holds passwords and tokens
    address: Mapped[EncryptedText]
    #: percentages and counts the events need, such as {"failed_percent": 2}
    thresholds: Mapped[JsonObject] = json_object()
    enabled: Mapped[bool] = flag(default=True)
    created_by: Mapped[str]


class NotificationLog(Identified, WorkspaceScoped, Base):
    """One message by one rule and what became of it."""

    __tablename__ = "notification_log"
    __table_args__ = (
        CheckConstraint("status IN ('pending','sent','failed')", name="status"),
        UniqueConstraint("workspace_id", "dedupe_key"),
        Index("ix_notification_log_workspace_id_created_at", "workspace_id", "created_at"),
        Index(
            "ix_notification_log_pending",
            "next_attempt_at",
            postgresql_where=text("status = 'pending'"),
        ),
    )

    rule_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("notification_rule.id", ondelete="SET NULL"), index=True
    )
    run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("data_migration.id", ondelete="SET NULL"), index=True
    )
    event: Mapped[str]
    #: rule, event and subject: the same thing is told once
    dedupe_key: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    error_message: Mapped[str | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    #: not before this time; moves away with each failed attempt
    next_attempt_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[dt.datetime | None]
