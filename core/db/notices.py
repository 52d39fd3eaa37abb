"""Reads and writes of notification rules and of the messages made by them (an outbox)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from core.db.models import MigrationPlan, NotificationLog, NotificationRule, RegisteredOrg
from core.errors import ConflictError, NotFoundError


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule; its address is not shown, it may hold a password."""

    id: UUID
    name: str
    events: tuple[str, ...]
    channel: str
    plan_id: UUID | None
    plan_name: str | None
    registered_org_id: UUID | None
    org_name: str | None
    thresholds: Mapping[str, float]
    enabled: bool
    created_by: str
    created_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One message and what became of it."""

    id: UUID
    rule_name: str | None
    event: str
    title: str
    body: str
    #: pending | sent | failed
    status: str
    attempts: int
    error_message: str | None
    created_at: dt.datetime
    sent_at: dt.datetime | None
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent now; the address is ciphertext."""

    id: UUID
    workspace_id: UUID
    address: str
    title: str
    body: str
    attempts: int


def rules(session: Session, *, only_enabled: bool = False) -> tuple[RuleRow, ...]:
    """Rules of the workspace, by name."""
    statement = (
        select(NotificationRule, MigrationPlan.name, RegisteredOrg.name)
        .outerjoin(MigrationPlan, MigrationPlan.id == NotificationRule.plan_id)
        .outerjoin(RegisteredOrg, RegisteredOrg.id == NotificationRule.registered_org_id)
        .order_by(func.lower(NotificationRule.name))
    )
    if only_enabled:
        statement = statement.where(NotificationRule.enabled)
    return tuple(_rule(rule, plan, org) for rule, plan, org in session.execute(statement))


def rule(session: Session, rule_id: UUID) -> RuleRow:
    """One rule.

    Raises:
        NotFoundError: no such rule in this workspace.
    """
    for each in rules(session):
        if each.id == rule_id:
            return each
    raise NotFoundError("There is no such notification rule in this workspace.")


def add_rule(session: Session, values: Mapping[str, Any]) -> UUID:
    """A new rule from column values.

    Raises:
        ConflictError: the name is taken.
    """
    made = NotificationRule(**values)
    session.add(made)
    _flush(session, str(values["name"]))
    return made.id


def change_rule(session: Session, rule_id: UUID, values: Mapping[str, Any]) -> None:
    """Change columns of a rule.

    Raises:
        NotFoundError: no such rule. ConflictError: the new name is taken.
    """
    found = session.get(NotificationRule, rule_id)
    if found is None:
        raise NotFoundError("There is no such notification rule in this workspace.")
    for name, value in values.items():
        setattr(found, name, value)
    _flush(session, found.name)


def remove_rule(session: Session, rule_id: UUID) -> None:
    """Delete a rule; its delivery log stays."""
    found = session.get(NotificationRule, rule_id)
    if found is not None:
        session.delete(found)
        session.flush()


def put_out(session: Session, messages: Sequence[Mapping[str, Any]]) -> int:
    """Put messages into the outbox, each once by its dedupe key; how many were new."""
    count = 0
    for message in messages:
        made = session.execute(
            insert(NotificationLog)
            .values(id=uuid7(), **message)
            .on_conflict_do_nothing(index_elements=["workspace_id", "dedupe_key"])
            .returning(NotificationLog.id)
        )
        count += len(made.all())
    return count


def take_due(session: Session, *, now: dt.datetime, hold_until: dt.datetime) -> Outgoing | None:
    """The next message that is due in any workspace, held for this process; the owner's session.

    Until `hold_until` no other process takes it; one that dies meanwhile loses nothing but time.
    """
    row = session.execute(
        select(NotificationLog, NotificationRule.address)
        .join(NotificationRule, NotificationRule.id == NotificationLog.rule_id)
        .where(NotificationLog.status == "pending", NotificationLog.next_attempt_at <= now)
        .order_by(NotificationLog.next_attempt_at)
        .limit(1)
        .with_for_update(of=NotificationLog, skip_locked=True)
    ).first()
    if row is None:
        return None
    message, address = row
    message.next_attempt_at = hold_until
    message.attempts += 1
    session.flush()
    return Outgoing(
        id=message.id,
        workspace_id=message.workspace_id,
        address=address,
        title=message.title,
        body=message.body,
        attempts=message.attempts,
    )


def settle(session: Session, message_id: UUID, values: Mapping[str, Any]) -> None:
    """Write what became of a message."""
    session.execute(
        update(NotificationLog).where(NotificationLog.id == message_id).values(dict(values))
    )


def deliveries(session: Session, *, offset: int, limit: int) -> tuple[list[DeliveryRow], int]:
    """A page of the delivery log, the newest first, and how many rows there are."""
    total = session.scalar(select(func.count()).select_from(NotificationLog)) or 0
    found = session.execute(
        select(NotificationLog, NotificationRule.name)
        .outerjoin(NotificationRule, NotificationRule.id == NotificationLog.rule_id)
        .order_by(NotificationLog.created_at.desc(), NotificationLog.id.desc())
        .offset(offset)
        .limit(limit)
    )
    names = [each.name for each in fields(DeliveryRow) if each.name != "rule_name"]
    return [
        DeliveryRow(rule_name=name, **{each: getattr(message, each) for each in names})
        for message, name in found
    ], total


def _rule(found: NotificationRule, plan: str | None, org: str | None) -> RuleRow:
    return RuleRow(
        id=found.id,
        name=found.name,
        events=tuple(found.events),
        channel=found.channel,
        plan_id=found.plan_id,
        plan_name=plan,
        registered_org_id=found.registered_org_id,
        org_name=org,
        thresholds=found.thresholds,
        enabled=found.enabled,
        created_by=found.created_by,
        created_at=found.created_at,
    )


def _flush(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(
            f"There is a rule named “{name}” already.", next_step="Choose another name."
        ) from error
