"""Orgs of a workspace: connect, test, reconnect, rename, guard, describe, remove.

    ConnectRequest ─▶ token flow ─▶ identity, limits, permissions ─▶ encrypted row ─▶ client
    browser sign-in: start_oauth keeps the request here; the callback calls finish_oauth

Nothing is saved before the org itself has answered which org it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core import notices
from core.access import audit, connections, describing, roles
from core.db import describing as describe_rows
from core.db import orgs as registry
from core.db.describing import DescribeState, Progress
from core.db.orgs import OrgRow
from core.domain import names
from core.domain.describe import SObject
from core.domain.roles import Actor, Role
from core.errors import (
    ConflictError,
    NotFoundError,
    OrgbridgeError,
    SessionLostError,
    TransientError,
    UserError,
)
from core.jobs import queue
from core.notices import Notice, NoticeEvent
from core.services import connecting
from core.services.connecting import ConnectionReport, ConnectRequest

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge

__all__ = [
    "ConnectRequest",
    "ConnectionReport",
    "DescribeState",
    "ObjectRow",
    "OrgCard",
    "Progress",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OrgCard:
    """An org as the pages show it."""

    id: UUID
    name: str
    #: production | sandbox | scratch | developer | trial | practice
    environment: str
    organization_id: str | None
    organization_name: str | None
    organization_type: str | None
    username: str | None
    instance_url: str
    api_version: str | None
    #: connected | session_expired | unreachable | revoked
    status: str
    status_reason: str | None
    #: calls of the last 24 hours: as the org told at `usage_at`, and those of runs begun since
    api_used: int | None
    api_allowed: int | None
    usage_at: dt.datetime | None
    described_at: dt.datetime | None
    tested_at: dt.datetime | None
    read_only: bool
    protected: bool
    auth_kind: str
    login_url: str | None
    #: set when links to this org are not trusted: another Organization Id answered on reconnect
    ledger_suspended_at: dt.datetime | None
    plans_using: tuple[str, ...]
    #: how far the reading of its objects is
    describing: Progress


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object of an org."""

    name: str
    label: str
    key_prefix: str | None
    custom: bool
    queryable: bool
    createable: bool
    updateable: bool
    deletable: bool
    #: None until the object is described
    fields: int | None
    #: why it could not be described, when that was tried last
    fault: str = ""


def orgs(bridge: Orgbridge, actor: Actor) -> tuple[OrgCard, ...]:
    """Every org of the workspace, by name."""
    roles.require(actor, Role.VIEWER, to="see orgs")
    with bridge.session(actor.workspace_id) as session:
        uses = registry.plans_by_org(session)
        return _cards(bridge, session, registry.org_rows(session), uses=uses)


def sources(bridge: Orgbridge, actor: Actor) -> tuple[OrgCard, ...]:
    """What plans may read from: every org and every set of files, by name."""
    roles.require(actor, Role.VIEWER, to="see orgs")
    with bridge.session(actor.workspace_id) as session:
        return _cards(bridge, session, registry.org_rows(session, with_files=True), uses={})


def org(bridge: Orgbridge, actor: Actor, org_id: UUID | str) -> OrgCard:
    """One org.

    Raises:
        NotFoundError: no such org in the workspace.
    """
    roles.require(actor, Role.VIEWER, to="see orgs")
    with bridge.session(actor.workspace_id) as session:
        row = registry.org_row(session, _uuid(org_id))
        return _cards(bridge, session, [row], uses=registry.plans_by_org(session))[0]


def org_named(bridge: Orgbridge, actor: Actor, name: str) -> OrgCard:
    """The org of that name, whatever its case.

    Raises:
        NotFoundError: no org is called so.
    """
    roles.require(actor, Role.VIEWER, to="see orgs")
    with bridge.session(actor.workspace_id) as session:
        row = registry.org_named(session, name)
        if row is None:
            known = ", ".join(each.name for each in registry.org_rows(session)) or "none yet"
            raise NotFoundError(
                f"There is no org named “{name}”.", next_step=f"Orgs here: {known}."
            )
        return _cards(bridge, session, [row], uses=registry.plans_by_org(session))[0]


def test_connection(bridge: Orgbridge, actor: Actor, request: ConnectRequest) -> ConnectionReport:
    """Sign in and ask the org who it is; saves nothing. Cost: about six calls.

    Raises:
        UserError, RefusedError, TransientError: why it cannot be connected, precisely.
    """
    roles.require(actor, Role.ADMIN, to="connect orgs")
    return connecting.tried(bridge, connecting.credentials(request)).report


def connect(bridge: Orgbridge, actor: Actor, request: ConnectRequest) -> UUID:
    """Test and register an org; production is protected from the start.

    Raises:
        ConflictError: name or address is registered. Otherwise as `test_connection`.
    """
    roles.require(actor, Role.ADMIN, to="connect orgs")
    _check_free(bridge, actor, request.name)
    tried = connecting.tried(bridge, connecting.credentials(request))
    return _register(bridge, actor, request=request, tried=tried)


def reconnect(  # bridge and actor come first everywhere
    bridge: Orgbridge, actor: Actor, org_id: UUID, request: ConnectRequest
) -> None:
    """Give an org new credentials, after testing them.

    When another Organization Id answers (a refreshed sandbox), the ledger of the org is suspended
    and its describes are dropped: its links point at records that may no longer exist.
    """
    roles.require(actor, Role.ADMIN, to="reconnect orgs")
    with bridge.session(actor.workspace_id) as session:
        registry.org_row(session, org_id)
    tried = connecting.tried(bridge, connecting.credentials(request))
    _renew(bridge, actor, org_id=org_id, tried=tried)


def start_oauth(
    bridge: Orgbridge,
    actor: Actor,
    request: ConnectRequest,
    *,
    redirect_uri: str,
    again: UUID | None = None,
) -> str:
    """Begin a browser sign-in; the URL to send the browser to.

    Args:
        again: the org to reconnect; None registers a new one.
    """
    roles.require(actor, Role.ADMIN, to="connect orgs")
    if again is None:
        _check_free(bridge, actor, request.name)
    with bridge.session(actor.workspace_id) as session:
        if again is not None:
            registry.org_row(session, again)
        return connecting.began(
            bridge, session, actor, request=request, redirect_uri=redirect_uri, again=again
        )


def finish_oauth(bridge: Orgbridge, *, state: str, code: str, refusal: str = "") -> UUID:
    """Finish a browser sign-in and register (or reconnect) the org; its id.

    The state is used up first, so that a repeated callback does nothing.

    Raises:
        UserError: unknown, used or old state. Otherwise as `connect`.
    """
    trip = connecting.came_back(bridge, state)
    roles.require(trip.actor, Role.ADMIN, to="connect orgs")
    tried = connecting.exchanged(bridge, trip, code=code, refusal=refusal)
    if trip.again is None:
        return _register(bridge, trip.actor, request=trip.request, tried=tried)
    _renew(bridge, trip.actor, org_id=trip.again, tried=tried)
    return trip.again


def check_health(bridge: Orgbridge, actor: Actor, org_id: UUID) -> OrgCard:
    """Ask the org who it is and what is left of its limits; remember the answer.

    Raises:
        SessionLostError, TransientError: the org does not let us in; remembered as well.
    """
    roles.require(actor, Role.ANALYST, to="test an org")
    held = connections.credentials_of(bridge, actor.workspace_id, org_id)
    bridge.forget_org(actor.workspace_id, org_id)
    client = bridge.org_client(actor.workspace_id, org_id)
    try:
        tried = connecting.asked(client, held)
    except (SessionLostError, TransientError) as problem:
        _remember_trouble(bridge, actor, org_id, problem=problem)
        raise
    with bridge.session(actor.workspace_id) as session:
        known = registry.org_row(session, org_id)
        values = connecting.identity_values(bridge, tried) | _moved(bridge, known, tried)
        registry.change_org(session, org_id, values | connecting.newly_protected(known, tried))
        audit.record_on(session, actor, "org.tested", on=_as_subject(known))
        notices.tell(session, _budget_notice(bridge, known, tried))
    return org(bridge, actor, org_id)


def describe_soon(bridge: Orgbridge, actor: Actor, org_id: UUID) -> None:
    """Let a worker ask the org for its objects and fields again; the card tells how far it is."""
    roles.require(actor, Role.ANALYST, to="refresh an org's metadata")
    with bridge.session(actor.workspace_id) as session:
        row = registry.org_row(session, org_id)
        _queue_describe(session, row)
        audit.record_on(session, actor, "org.metadata_refreshed", on=_as_subject(row))


def refresh_metadata(bridge: Orgbridge, actor: Actor, org_id: UUID) -> int:
    """Ask the org for its objects and fields now; how many objects were described.

    One conditional call for each object described before; which others are asked for, see
    `core.access.describing`. What waits in the queue for a worker is taken over.
    """
    roles.require(actor, Role.ANALYST, to="refresh an org's metadata")
    with bridge.session(actor.workspace_id) as session:
        registry.org_row(session, org_id)
        queue.take_describe(session, org_id)
    count = describing.describe_org(bridge, actor.workspace_id, org_id) or 0
    with bridge.session(actor.workspace_id) as session:
        row = registry.org_row(session, org_id)
        audit.record_on(
            session, actor, "org.metadata_refreshed", on=_as_subject(row), after={"objects": count}
        )
    return count


def described(
    bridge: Orgbridge, actor: Actor, org_id: UUID, *, names: Sequence[str]
) -> Iterator[SObject]:
    """Objects with their fields as the org's answers arrive (any order), asked in parallel."""
    roles.require(actor, Role.VIEWER, to="see an org's objects")
    return bridge.org_client(actor.workspace_id, org_id).describe_many(names)


def objects(bridge: Orgbridge, actor: Actor, org_id: UUID) -> tuple[ObjectRow, ...]:
    """Every object that the org's user may see, by name; from the cache while it is fresh."""
    roles.require(actor, Role.VIEWER, to="see an org's objects")
    listed = bridge.org_client(actor.workspace_id, org_id).describe_global()
    with bridge.session(actor.workspace_id) as session:
        counts = registry.field_counts(session, org_id)
        faults = describe_rows.kept(session, org_id).get("faults", {})
    return tuple(
        ObjectRow(
            name=each.name,
            label=each.label,
            key_prefix=each.key_prefix,
            custom=each.custom,
            queryable=each.queryable,
            createable=each.createable,
            updateable=each.updateable,
            deletable=each.deletable,
            fields=counts.get(each.name.lower()),
            fault=faults.get(each.name, ""),
        )
        for each in sorted(listed, key=lambda each: each.name)
    )


def fields(  # bridge and actor come first everywhere
    bridge: Orgbridge, actor: Actor, org_id: UUID, sobject: str
) -> SObject:
    """One object with its fields, from the cache while it is fresh.

    Raises:
        RefusedError: no such object, or hidden from the org's user.
    """
    roles.require(actor, Role.VIEWER, to="see an org's objects")
    return bridge.org_client(actor.workspace_id, org_id).describe(sobject)


def rename(bridge: Orgbridge, actor: Actor, org_id: UUID, *, name: str) -> None:
    """Give an org another name; the drafts of plans that name it follow.

    Raises:
        UserError: no name. ConflictError: another org is called so.
    """
    roles.require(actor, Role.ADMIN, to="rename orgs")
    new = names.fitting(name, of="An org")
    if not new:
        raise UserError("The name is empty.", next_step="Write a name.")
    with bridge.session(actor.workspace_id) as session:
        known = registry.org_row(session, org_id)
        if known.name == new:
            return
        registry.change_org(session, org_id, {"name": new})
        plans = registry.rename_in_plans(session, org_id, old=known.name, new=new)
        after = {"name": new, "plans_changed": len(plans)}
        audit.record_on(
            session,
            actor,
            "org.renamed",
            on=_as_subject(known),
            before={"name": known.name},
            after=after,
        )
        for plan_id, plan_name, side in plans:  # each revision of a draft has its entry
            audit.record(
                session,
                actor,
                "plan.edit",
                subject_kind="plan",
                subject_id=plan_id,
                subject_name=plan_name,
                before={side: known.name},
                after={side: new},
            )


def set_read_only(bridge: Orgbridge, actor: Actor, org_id: UUID, *, on: bool) -> None:
    """Refuse (or allow again) every write into an org."""
    _change(bridge, actor, org_id, action="org.read_only_set", values={"read_only": on})


def set_protected(bridge: Orgbridge, actor: Actor, org_id: UUID, *, on: bool) -> None:
    """Ask (or no longer ask) for the typed name and an approval before writes into an org."""
    _change(bridge, actor, org_id, action="org.protected_set", values={"protected": on})


def users_of(bridge: Orgbridge, actor: Actor, org_id: UUID) -> registry.OrgUsers:
    """What refers to an org: plans, schedules, notification rules, running runs."""
    roles.require(actor, Role.VIEWER, to="see orgs")
    with bridge.session(actor.workspace_id) as session:
        registry.org_row(session, org_id)
        return registry.users_of(session, org_id)


def remove(bridge: Orgbridge, actor: Actor, org_id: UUID, *, confirm: str) -> None:
    """Revoke an org's tokens and forget it; runs and logs stay, its field mappings go.

    Args:
        confirm: the org's name as typed by the person.

    Raises:
        UserError: the typed name differs. ConflictError: a run on it has not ended.
    """
    roles.require(actor, Role.ADMIN, to="remove orgs")
    with bridge.session(actor.workspace_id) as session:
        row = registry.org_row(session, org_id)
        used_by = registry.users_of(session, org_id)
    if confirm.strip() != row.name:
        raise UserError(
            f"To remove the org, type its name: {row.name}.", state="Nothing was removed."
        )
    if used_by.runs:
        raise ConflictError(
            f"A run on this org has not ended: {', '.join(used_by.runs)}.",
            state="Nothing was removed.",
            next_step="Cancel it or wait for it.",
        )
    revoked = _revoke(bridge, actor, org_id)
    with bridge.session(actor.workspace_id) as session:
        registry.remove_org(session, org_id)
        before = {**asdict(used_by), "revoked_at_org": revoked}
        audit.record_on(session, actor, "org.removed", on=_as_subject(row), before=before)
    bridge.forget_org(actor.workspace_id, org_id)


def _register(
    bridge: Orgbridge, actor: Actor, *, request: ConnectRequest, tried: connecting.Tried
) -> UUID:
    values = connecting.new_org_values(bridge, actor, request=request, answered=tried)
    with bridge.session(actor.workspace_id) as session:
        row = registry.add_org(session, values)
        registry.adopt_plans(session, row.id, name=row.name)
        _queue_describe(session, row)
        audit.record_on(session, actor, "org.connected", on=_as_subject(row), after=_facts(row))
    return row.id


def _renew(bridge: Orgbridge, actor: Actor, *, org_id: UUID, tried: connecting.Tried) -> None:
    values = connecting.identity_values(bridge, tried)
    values |= connecting.secret_values(bridge, tried)
    with bridge.session(actor.workspace_id) as session:
        known = registry.org_row(session, org_id)
        moved = _moved(bridge, known, tried)
        if moved:
            registry.forget_describes(session, org_id)
        values |= moved | connecting.newly_protected(known, tried)
        row = registry.change_org(session, org_id, values)
        _queue_describe(session, row)
        audit.record_on(
            session,
            actor,
            "org.reconnected",
            on=_as_subject(row),
            before=_facts(known),
            after=_facts(row),
        )
    bridge.forget_org(actor.workspace_id, org_id)


def _queue_describe(session: Session, row: OrgRow) -> None:
    """In the transaction of the act that makes it necessary."""
    if queue.defer_describe(session, workspace_id=row.workspace_id, org_id=row.id):
        describe_rows.wait(session, row.id)


def _budget_notice(bridge: Orgbridge, known: OrgRow, tried: connecting.Tried) -> Notice:
    """How much of the day's calls is used; the rules' thresholds decide who hears of it."""
    report = tried.report
    used_percent = 100 * report.calls_used / report.calls_allowed if report.calls_allowed else 0.0
    return Notice(
        event=NoticeEvent.API_BUDGET,
        subject=f"{known.id}:{bridge.clock():%Y-%m-%d}",
        title=f"API calls of {known.name}: {used_percent:.0f} % used",
        body=f"{report.calls_used:,} of {report.calls_allowed:,} calls of the day are used.",
        org_ids=(known.id,),
        figures={"api_used_percent": used_percent},
    )


def _moved(bridge: Orgbridge, known: OrgRow, tried: connecting.Tried) -> dict[str, object]:
    """What changes when another Organization Id answers than the one that was registered."""
    if known.org_id in (None, tried.identity.organization_id):
        return {}
    log.warning("another org answers", extra={"org": str(known.id)})
    return {"ledger_suspended_at": bridge.clock(), "previous_org_id": known.org_id}


def _change(
    bridge: Orgbridge, actor: Actor, org_id: UUID, *, action: str, values: dict[str, object]
) -> None:
    roles.require(actor, Role.ADMIN, to="change orgs")
    with bridge.session(actor.workspace_id) as session:
        known = registry.org_row(session, org_id)
        before = {name: getattr(known, name) for name in values}
        if before == values:
            return
        registry.change_org(session, org_id, values)
        audit.record_on(session, actor, action, on=_as_subject(known), before=before, after=values)


def _revoke(bridge: Orgbridge, actor: Actor, org_id: UUID) -> bool:
    """Make the tokens worthless at the org; one that is gone is forgotten all the same."""
    try:
        connecting.revoke(connections.credentials_of(bridge, actor.workspace_id, org_id))
    except OrgbridgeError as problem:
        log.warning("tokens not revoked", extra={"org": str(org_id), "reason": problem.happened})
        return False
    return True


def _remember_trouble(
    bridge: Orgbridge, actor: Actor, org_id: UUID, *, problem: OrgbridgeError
) -> None:
    status = "session_expired" if isinstance(problem, SessionLostError) else "unreachable"
    values = {"status": status, "status_reason": problem.happened, "tested_at": bridge.clock()}
    with bridge.session(actor.workspace_id) as session:
        registry.change_org(session, org_id, values)


def _check_free(bridge: Orgbridge, actor: Actor, name: str) -> None:
    """Refuse a taken name before the person signs in at the org for nothing."""
    names.fitting(name, of="An org")
    with bridge.session(actor.workspace_id) as session:
        if name.strip() and registry.org_named(session, name) is not None:
            raise ConflictError(
                f"An org named “{name.strip()}” is registered already.",
                next_step="Choose another name, or reconnect that org.",
            )


def _cards(
    bridge: Orgbridge,
    session: Session,
    rows: Sequence[OrgRow],
    *,
    uses: Mapping[UUID, tuple[str, ...]],
) -> tuple[OrgCard, ...]:
    calls = registry.calls_used(session, now=bridge.clock())
    return tuple(_card(session, row, uses.get(row.id, ()), calls=calls) for row in rows)


def _card(
    session: Session, row: OrgRow, plans: tuple[str, ...], *, calls: Mapping[UUID, int]
) -> OrgCard:
    return OrgCard(
        id=row.id,
        name=row.name,
        environment=row.environment,
        organization_id=row.org_id,
        organization_name=row.organization_name,
        organization_type=row.organization_type,
        username=row.user_name,
        instance_url=row.instance_url,
        api_version=row.api_version,
        status=row.status,
        status_reason=row.status_reason,
        api_used=calls.get(row.id),
        api_allowed=row.api_allowed,
        usage_at=row.usage_at,
        described_at=row.described_at,
        tested_at=row.tested_at,
        read_only=row.read_only,
        protected=row.protected,
        auth_kind=row.auth_kind,
        login_url=row.login_url,
        ledger_suspended_at=row.ledger_suspended_at,
        plans_using=plans,
        describing=describe_rows.progress_of(session, row.id, row.describing),
    )


def _facts(row: OrgRow) -> dict[str, object]:
    """What the audit trail tells of an org."""
    return {
        "instance_url": row.instance_url,
        "organization_id": row.org_id,
        "environment": row.environment,
        "user": row.user_name,
        "auth_kind": row.auth_kind,
        "protected": row.protected,
    }


def _as_subject(row: OrgRow) -> audit.Subject:
    return audit.Subject("org", row.id, row.name)


def _uuid(text: UUID | str) -> UUID:
    try:
        return text if isinstance(text, UUID) else UUID(text)
    except ValueError:
        raise NotFoundError("There is no such org in this workspace.") from None
