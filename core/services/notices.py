"""Notification rules and their delivery log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from core import notices
from core.access import audit, roles
from core.db import notices as rows
from core.db import orgs
from core.db.notices import DeliveryRow, RuleRow
from core.domain import names
from core.domain.roles import Actor, Role
from core.errors import RefusedError, UserError
from core.notices import Notice, NoticeEvent
from core.notices.rules import message
from core.notices.senders import CHANNELS, Sender, checked_address
from core.secret import Secret

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge

__all__ = ["CHANNELS", "DeliveryPage", "DeliveryRow", "NoticeEvent", "RuleRequest", "RuleRow"]

#: what a rule can be told to wait for, with the greatest sensible value
THRESHOLDS = {"failed_percent": 100.0, "failed_rows": 1e12, "api_used_percent": 100.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRequest:
    """A rule as a person fills it in."""

    name: str
    events: tuple[str, ...]
    channel: str
    #: an Apprise URL; empty on a change keeps the one that is there
    address: Secret = field(default_factory=lambda: Secret(""))
    plan_id: UUID | None = None
    org_id: UUID | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of the delivery log, newest first."""

    rows: tuple[DeliveryRow, ...]
    total: int


def rules(bridge: Orgbridge, actor: Actor) -> tuple[RuleRow, ...]:
    """Rules of the workspace, by name; without addresses."""
    roles.require(actor, Role.ADMIN, to="see notification rules")
    with bridge.session(actor.workspace_id) as session:
        return rows.rules(session)


def add_rule(bridge: Orgbridge, actor: Actor, request: RuleRequest) -> UUID:
    """Make a rule.

    Raises:
        UserError: an event, threshold or address that cannot be used. ConflictError: name taken.
    """
    roles.require(actor, Role.ADMIN, to="make notification rules")
    allowed = bridge.settings.private_hosts
    address = checked_address(request.channel, request.address, allowed=allowed)
    with bridge.session(actor.workspace_id) as session:
        values = _values(session, request) | {
            "address": bridge.vault.encrypt(address.reveal()),
            "created_by": actor.name,
        }
        rule_id = rows.add_rule(session, values)
        _record(session, actor, "notification.rule_made", on=rows.rule(session, rule_id))
    return rule_id


def change_rule(bridge: Orgbridge, actor: Actor, rule_id: UUID, *, request: RuleRequest) -> None:
    """Change a rule as a whole; an empty address keeps the stored one.

    Raises:
        NotFoundError: no such rule. Otherwise as `add_rule`.
    """
    roles.require(actor, Role.ADMIN, to="change notification rules")
    with bridge.session(actor.workspace_id) as session:
        known = rows.rule(session, rule_id)
        values = _values(session, request)
        if request.address:
            allowed = bridge.settings.private_hosts
            address = checked_address(request.channel, request.address, allowed=allowed)
            values["address"] = bridge.vault.encrypt(address.reveal())
        elif request.channel != known.channel:
            raise UserError("Another channel needs its own address.", state="Nothing was saved.")
        rows.change_rule(session, rule_id, values)
        changed = rows.rule(session, rule_id)
        _record(session, actor, "notification.rule_changed", on=changed, before=known)


def remove_rule(bridge: Orgbridge, actor: Actor, rule_id: UUID) -> None:
    """Delete a rule; what it delivered stays listed."""
    roles.require(actor, Role.ADMIN, to="remove notification rules")
    with bridge.session(actor.workspace_id) as session:
        known = rows.rule(session, rule_id)
        rows.remove_rule(session, rule_id)
        _record(session, actor, "notification.rule_removed", on=known, before=known)


def send_test(
    bridge: Orgbridge, actor: Actor, rule_id: UUID, *, sender: Sender | None = None
) -> None:
    """Send a test message by a rule now.

    Raises:
        RefusedError: it was not delivered; the delivery log says why and tries again.
    """
    roles.require(actor, Role.ADMIN, to="send test messages")
    stamp = bridge.clock()
    notice = Notice(
        event=NoticeEvent.TEST,
        subject=str(uuid4()),
        title="Orgbridge test",
        body=f"{actor.name} sent this at {stamp:%H:%M} UTC to see whether it arrives.",
    )
    with bridge.session(actor.workspace_id) as session:
        known = rows.rule(session, rule_id)
        rows.put_out(session, [message(known, notice) | {"next_attempt_at": stamp}])
        _record(session, actor, "notification.test_sent", on=known)
    notices.deliver(bridge, sender=sender)
    with bridge.session(actor.workspace_id) as session:
        found, _ = rows.deliveries(session, offset=0, limit=20)
    mine = next(each for each in found if each.event == "test" and each.rule_name == known.name)
    if mine.status != "sent":
        raise RefusedError(
            f"The test message was not delivered: {mine.error_message or 'it is still waiting'}",
            next_step="Check the address of the rule.",
        )


def log(bridge: Orgbridge, actor: Actor, *, page: int = 1, page_rows: int = 200) -> DeliveryPage:
    """A page of the delivery log; pages count from 1."""
    roles.require(actor, Role.ADMIN, to="see the delivery log")
    with bridge.session(actor.workspace_id) as session:
        found, total = rows.deliveries(
            session, offset=(max(page, 1) - 1) * page_rows, limit=page_rows
        )
        return DeliveryPage(tuple(found), total)


def _values(session: Session, request: RuleRequest) -> dict[str, Any]:
    """Checked column values, without the address."""
    request = replace(request, name=names.fitting(request.name, of="A rule"))
    if not request.name:
        raise UserError("The rule has no name.", next_step="Name it after whom it tells.")
    unknown = set(request.events) - {str(event) for event in NoticeEvent}
    if unknown:
        raise UserError(f"There is no event {', '.join(sorted(unknown))}.")
    if not request.events:
        told = "Choose what has to happen."
        raise UserError("The rule waits for nothing.", state="Nothing was saved.", next_step=told)
    for name, least in request.thresholds.items():
        if name not in THRESHOLDS or not 0 <= least <= THRESHOLDS[name]:
            raise UserError(f"The threshold {name} = {least} cannot be used.")
    if request.org_id is not None:
        orgs.org_row(session, request.org_id)
    return {
        "name": request.name,
        "events": sorted(set(request.events)),
        "channel": request.channel,
        "plan_id": request.plan_id,
        "registered_org_id": request.org_id,
        "thresholds": dict(request.thresholds),
        "enabled": request.enabled,
    }


def _record(
    session: Session, actor: Actor, action: str, *, on: RuleRow, before: object = None
) -> None:
    audit.record(
        session,
        actor,
        action,
        subject_kind="notification_rule",
        subject_id=on.id,
        subject_name=on.name,
        before=before,
        after=on,
    )
