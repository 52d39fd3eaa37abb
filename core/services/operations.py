"""Launching operations and reading what came of them: one set of verbs for all kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import ValidationError

from core.access import audit, roles
from core.db import operation_logs, orgs
from core.db.operation_logs import LogEntry
from core.domain.roles import Role
from core.errors import UserError
from core.jobs import queue
from core.operations import registry
from core.operations.carrying import carry
from core.operations.protocol import Operation, Parameters

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor

__all__ = ["LogEntry", "OperationCard", "enqueue", "entries", "launch", "offered", "shown"]


@dataclass(frozen=True, slots=True)
class OperationCard:
    """What a form, a command or a route is made from."""

    kind: str
    title: str
    purpose: str
    #: JSON schema of the parameters
    schema: Mapping[str, Any]
    role: Role
    writes: bool


def offered(actor: Actor) -> tuple[OperationCard, ...]:
    """The operations that the actor may launch."""
    cards = []
    for kind in registry.kinds():
        found = registry.operation(kind)
        if actor.role >= found.role:
            schema = found.parameters.model_json_schema()
            cards.append(
                OperationCard(kind, found.title, found.purpose, schema, found.role, found.writes)
            )
    return tuple(cards)


def launch(bridge: Orgbridge, actor: Actor, kind: str, *, given: Mapping[str, Any]) -> LogEntry:
    """Launch an operation and wait for its end; the log entry with its result.

    Raises:
        UserError: a parameter is wrong; the sentence names it. Nothing was launched.
        OrgbridgeError: why it failed; the entry says so as well.
    """
    log_id = lay(bridge, actor, kind, given=given)
    carry(bridge, actor.workspace_id, log_id, kind=kind)
    return shown(bridge, actor, kind, log_id=log_id)


def lay(bridge: Orgbridge, actor: Actor, kind: str, *, given: Mapping[str, Any]) -> UUID:
    """Write the log entry of a launch without carrying it (a job does, by the entry's id)."""
    operation = registry.operation(kind)
    roles.require(actor, operation.role, to=f"launch {operation.title.lower()}")
    parameters = _parsed(operation, given)
    with bridge.session(actor.workspace_id) as session:
        log_id = operation_logs.add(
            session,
            operation.log_table,
            {
                "requested_by": actor.name,
                "parameters": parameters.model_dump(mode="json"),
                "source_org_id": _org_id(session, parameters, "source", "org"),
                "target_org_id": _org_id(session, parameters, "target"),
            },
        )
        audit.record(
            session,
            actor,
            f"operation.{kind}",
            subject_kind="operation",
            subject_id=log_id,
            subject_name=operation.title,
            after=parameters.model_dump(mode="json"),
        )
    return log_id


def enqueue(bridge: Orgbridge, actor: Actor, kind: str, *, given: Mapping[str, Any]) -> UUID:
    """Launch an operation in a worker; id of its log entry, to be watched with ``shown``.

    Raises:
        UserError: a parameter is wrong; the sentence names it. Nothing was launched.
    """
    log_id = lay(bridge, actor, kind, given=given)
    with bridge.session(actor.workspace_id) as session:
        queue.defer_operation(session, workspace_id=actor.workspace_id, kind=kind, log_id=log_id)
    return log_id


def shown(bridge: Orgbridge, actor: Actor, kind: str, *, log_id: UUID) -> LogEntry:
    """One launch as it stands."""
    roles.require(actor, Role.VIEWER)
    table = registry.operation(kind).log_table
    with bridge.session(actor.workspace_id) as session:
        return operation_logs.entry(session, table, log_id=log_id)


def entries(
    bridge: Orgbridge,
    actor: Actor,
    kind: str,
    *,
    source_org_id: UUID | None = None,
    target_org_id: UUID | None = None,
    limit: int = 50,
) -> tuple[LogEntry, ...]:
    """Launches of one kind, newest first, of an org pair if given."""
    roles.require(actor, Role.VIEWER)
    table = registry.operation(kind).log_table
    with bridge.session(actor.workspace_id) as session:
        return operation_logs.entries(
            session,
            table,
            source_org_id=source_org_id,
            target_org_id=target_org_id,
            limit=limit,
        )


def _parsed(operation: Operation, given: Mapping[str, Any]) -> Parameters:
    try:
        return operation.parameters.model_validate(given)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "parameters"
        raise UserError(
            f"{operation.title}: {place}: {first['msg'].removeprefix('Value error, ')}.",
            state="Nothing was launched.",
            next_step="Correct it and launch again.",
        ) from exc


def _org_id(session: Session, parameters: Parameters, *names: str) -> UUID | None:
    for name in names:
        given = getattr(parameters, name, None)
        if given:
            found = orgs.org_named(session, str(given))
            return found.id if found else None
    return None
