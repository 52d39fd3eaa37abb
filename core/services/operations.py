"""Launching operations and reading what came of them: one set of verbs for all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import ValidationError

from core.access import audit, roles
from core.db import kept_files, operation_logs, orgs, plans
from core.db.kept_files import KeptFileRow
from core.db.operation_logs import LogEntry
from core.domain.roles import Role
from core.errors import ConflictError, NotFoundError, UserError
from core.files.archive import kept_pieces
from core.jobs import queue
from core.operations import registry
from core.operations.carrying import carry
from core.operations.protocol import Operation, Parameters
from core.services.confirming import Confirmation, check_confirmation

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor

__all__ = [
    "KeptFileRow",
    "LogEntry",
    "OperationCard",
    "enqueue",
    "entries",
    "launch",
    "offered",
    "shown",
]
#: files that a list shows at most
FILES_SHOWN = 50
#: what a launch says between the click and the place where it stops
STOPPING = "Stopping: what an org was asked for last is waited for."


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
    #: a launch leaves a file to be fetched
    keeps_file: bool


def offered(actor: Actor) -> tuple[OperationCard, ...]:
    """The operations that the actor may launch."""
    cards = []
    for kind in registry.kinds():
        found = registry.operation(kind)
        if actor.role >= found.role:
            cards.append(
                OperationCard(
                    kind,
                    found.title,
                    found.purpose,
                    found.parameters.model_json_schema(),
                    found.role,
                    found.writes,
                    found.keeps_file,
                )
            )
    return tuple(cards)


def parsed(kind: str, words: Mapping[str, str]) -> dict[str, Any]:
    """Parameters of texts, as forms and command lines give them; blank ones are left out.

    Lists are separated by commas, yes and no are ``true`` and ``false``, the rest is as the
    operation's own schema says.

    Raises:
        UserError: no such parameter, or no number where one should be.
    """
    operation = registry.operation(kind)
    known = operation.parameters.model_json_schema()["properties"]
    unknown = [name for name in words if name not in known]
    if unknown:
        raise UserError(
            f"{operation.title} has no parameter {unknown[0][:80]!r}.",
            state="Nothing was launched.",
            next_step=f"It has: {', '.join(known)}.",
        )
    return {
        name: _value(known[name], text.strip(), f"{operation.title}: {name}")
        for name, text in words.items()
        if text.strip()
    }


def checked(actor: Actor, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with every default said, as a launch would take them.

    Raises:
        UserError: a parameter is wrong. NotAllowedError: the role may not launch it.
    """
    operation = registry.operation(kind)
    roles.require(actor, operation.role, to=f"launch {operation.title.lower()}")
    return _parsed(operation, given).model_dump(mode="json")


def check_guard(session: Session, kind: str, given: Mapping[str, Any], *, act: str) -> None:
    """Passes unless the operation changes an org and was not confirmed as that org asks for.

    Raises:
        UserError: the target is read-only, its name was not typed, or the reason is missing.
    """
    operation = registry.operation(kind)
    if operation.writes:
        _guard(session, operation, _parsed(operation, given), act=act)


def launch(bridge: Orgbridge, actor: Actor, kind: str, *, given: Mapping[str, Any]) -> LogEntry:
    """Launch an operation and wait for its end; the log entry with its result.

    Raises:
        UserError: a parameter is wrong; the sentence names it. Nothing was launched.
        OrgbridgeError: why it failed; the entry says so as well.
    """
    from core.services import planned_runs  # which launches operations itself

    log_id = lay(bridge, actor, kind, given=given)
    carry(bridge, actor.workspace_id, log_id, kind=kind, start=planned_runs.start)
    return shown(bridge, actor, kind, log_id=log_id)


def lay(bridge: Orgbridge, actor: Actor, kind: str, *, given: Mapping[str, Any]) -> UUID:
    """Write the log entry of a launch without carrying it (a job does, by the entry's id)."""
    with bridge.session(actor.workspace_id) as session:
        return _laid(session, actor, kind, given=given)


def enqueue(
    bridge: Orgbridge,
    actor: Actor,
    kind: str,
    *,
    given: Mapping[str, Any],
    noting: Callable[[Session], None] | None = None,
) -> UUID:
    """Launch an operation in a worker; id of its log entry, to be watched with ``shown``.

    Args:
        noting: what else is to be written in the transaction of the launch.

    Raises:
        UserError: a parameter is wrong; the sentence names it. Nothing was launched.
    """
    with bridge.session(actor.workspace_id) as session:
        log_id = _laid(session, actor, kind, given=given)
        queue.defer_operation(session, workspace_id=actor.workspace_id, kind=kind, log_id=log_id)
        if noting is not None:
            noting(session)
    return log_id


def shown(bridge: Orgbridge, actor: Actor, kind: str, *, log_id: UUID) -> LogEntry:
    """One launch as it stands.

    Raises:
        NotFoundError: no such launch of this kind.
    """
    roles.require(actor, Role.VIEWER)
    table = registry.operation(kind).log_table
    with bridge.session(actor.workspace_id) as session:
        found = operation_logs.entry(session, table, log_id=log_id)
    if not _is_of(found, kind):
        raise NotFoundError("There is no such log entry of this kind.")
    return found


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
    operation = registry.operation(kind)
    with bridge.session(actor.workspace_id) as session:
        return operation_logs.entries(
            session,
            operation.log_table,
            source_org_id=source_org_id,
            target_org_id=target_org_id,
            names=_names(operation),
            limit=limit,
        )


def latest(
    bridge: Orgbridge,
    actor: Actor,
    kind: str,
    *,
    given: Mapping[str, Any],
    with_result: bool = True,
) -> LogEntry | None:
    """The newest launch of one kind with these parameters.

    Args:
        with_result: leaves out what is under way, failed or was stopped.
    """
    roles.require(actor, Role.VIEWER)
    operation = registry.operation(kind)
    with bridge.session(actor.workspace_id) as session:
        return operation_logs.latest(
            session,
            operation.log_table,
            given=given,
            names=_names(operation),
            with_result=with_result,
        )


def stop(bridge: Orgbridge, actor: Actor, kind: str, *, log_id: UUID) -> None:
    """Take a launch out of the queue, or ask whoever carries it to stop.

    Raises:
        ConflictError: it has ended.
    """
    operation = registry.operation(kind)
    roles.require(actor, operation.role, to=f"stop {operation.title.lower()}")
    table = operation.log_table
    with bridge.session(actor.workspace_id) as session:
        if operation_logs.entry(session, table, log_id=log_id).finished_at:
            raise ConflictError("It has ended already.", state="Nothing was stopped.")
        # who is asked by a job ends its row; a terminal finds it ended when it tells how far it is
        asked = queue.abort_operation(session, log_id)
        states = ("pending",) if asked else ("pending", "running")
        if not operation_logs.cancel(
            session, table, log_id=log_id, now=bridge.clock(), states=states
        ):
            operation_logs.note(session, table, log_id=log_id, message=STOPPING)
        audit.record(
            session,
            actor,
            "operation.stopped",
            subject_kind="operation",
            subject_id=log_id,
            subject_name=operation.title,
        )


def kept(bridge: Orgbridge, actor: Actor) -> tuple[KeptFileRow, ...]:
    """Files that operations wrote and that can be fetched, the newest first."""
    roles.require(actor, Role.ANALYST, to="fetch files")
    with bridge.session(actor.workspace_id) as session:
        return kept_files.kept_files(session, limit=FILES_SHOWN)


def written(
    bridge: Orgbridge, actor: Actor, log_id: UUID, *, kind: str | None = None
) -> tuple[KeptFileRow, Iterator[bytes]]:
    """The file that a launch wrote, with its bytes piece by piece.

    Args:
        kind: the operation that is said to have written it.

    Raises:
        NotFoundError: it wrote none, writes it still, or its time is over; another kind did.
    """
    with bridge.session(actor.workspace_id) as session:
        row = kept_files.kept_file(session, log_id)
        if kind not in (None, row.kind):
            raise NotFoundError(f"No launch of {kind!r:.80} wrote this file.")
        roles.require(actor, registry.operation(row.kind).role, to="fetch files")
        audit.record(
            session,
            actor,
            "file.fetched",
            subject_kind="operation",
            subject_id=row.id,
            subject_name=row.file_name,
        )
    spool = bridge.spool.run(row.id, row.wrapped_key)
    return row, kept_pieces(spool, row.pieces)


def _laid(session: Session, actor: Actor, kind: str, *, given: Mapping[str, Any]) -> UUID:
    operation = registry.operation(kind)
    roles.require(actor, operation.role, to=f"launch {operation.title.lower()}")
    parameters = _parsed(operation, given)
    plain = parameters.model_dump(mode="json")
    source, target = _orgs(session, parameters)
    if operation.writes:
        _guard(session, operation, parameters, act="write to")
    values = {
        "requested_by": actor.name,
        "parameters": plain,
        "source_org_id": source,
        "target_org_id": target,
    }
    log_id = operation_logs.add(session, operation.log_table, values)
    audit.record(
        session,
        actor,
        f"operation.{kind}",
        subject_kind="operation",
        subject_id=log_id,
        subject_name=operation.title,
        after=plain,
    )
    return log_id


def _guard(session: Session, operation: Operation, parameters: Parameters, *, act: str) -> None:
    """What the run will ask for, asked before anything is laid for it."""
    given = parameters.model_dump()
    row = plans.plan_row(session, name=given["plan"])
    if row.target_org_id is None:
        raise UserError(
            f"The target org of the plan {row.name} is not connected.",
            state="Nothing was launched.",
            next_step="Connect it under Orgs first.",
        )
    said = Confirmation(given["confirm"], given["reason"])
    target = orgs.org_row(session, row.target_org_id)
    check_confirmation(target, said, deletes=operation.deletes, act=act)


def _names(operation: Operation) -> tuple[str, ...]:
    """Its parameters, by which its entries are told from others of the same table."""
    return tuple(operation.parameters.model_fields)


def _is_of(entry: LogEntry, kind: str) -> bool:
    """Whether no other kind that shares the log table takes parameters more like the entry's.

    Entries of an earlier version may lack a few.
    """
    table = registry.operation(kind).log_table

    def apart(other: str) -> int:
        return len(set(_names(registry.operation(other))) ^ set(entry.parameters))

    sharing = (each for each in registry.kinds() if registry.operation(each).log_table == table)
    return apart(kind) == min(apart(each) for each in sharing)


def _value(schema: Mapping[str, Any], text: str, place: str) -> Any:
    """One text as the kind of value that its parameter takes."""
    kind = type_of(schema)
    if kind == "array":
        return [word.strip() for word in text.split(",") if word.strip()]
    if kind == "boolean":
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    if kind in ("number", "integer"):
        try:
            return float(text) if kind == "number" else int(text)
        except ValueError as wrong:
            raise UserError(
                f"{place}: {text[:40]!r} is no number.", state="Nothing was launched."
            ) from wrong
    return text


def type_of(schema: Mapping[str, Any]) -> str:
    """The JSON type of a parameter's schema; that of what may also be null."""
    for option in schema.get("anyOf", (schema,)):
        if option.get("type") != "null":
            return str(option.get("type", "string"))
    return "string"


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


def _orgs(session: Session, parameters: Parameters) -> tuple[UUID | None, UUID | None]:
    """The orgs that a launch concerns: those it names, else its plan's."""
    source = _org_id(session, parameters, "source", "org")
    target = _org_id(session, parameters, "target", "across")
    plan = getattr(parameters, "plan", None)
    if not plan or (source and target):
        return source, target
    try:
        row = plans.plan_row(session, name=plan)
    except NotFoundError:
        return source, target  # carrying it says so
    return source or row.source_org_id, target or row.target_org_id


def _org_id(session: Session, parameters: Parameters, *names: str) -> UUID | None:
    for name in names:
        given = getattr(parameters, name, None)
        if given:
            found = orgs.org_named(session, str(given))
            return found.id if found else None
    return None
