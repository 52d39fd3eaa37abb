"""Runs that operations ask for: the ids become a set of files, a plan says what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from core.access import api_keys, roles
from core.access import people as accounts
from core.db import runs
from core.domain.roles import Actor, Role
from core.services import files, launching, plans
from core.services.files import Upload
from core.services.launching import LaunchRequest

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.operations.protocol import PlannedRun


def start(
    bridge: Orgbridge, workspace_id: UUID, log_id: UUID, *, by: str, run: PlannedRun
) -> tuple[UUID, str]:
    """Makes and queues the run that a log entry's operation asks for, once; its id and name.

    Raises:
        UserError: the confirmation that the target asks for is missing. Nothing was sent.
    """
    actor = _actor(bridge, workspace_id, by)
    name = launch(bridge, actor, run, idempotency_key=f"operation:{log_id}")
    with bridge.session(workspace_id) as session:
        return runs.run_named(session, name).id, name


def launch(
    bridge: Orgbridge,
    actor: Actor,
    run: PlannedRun,
    *,
    idempotency_key: str | None = None,
    enqueue: bool = True,
) -> str:
    """Keeps the ids and the plan, and launches it; the run's name. Errors as a launch's."""
    from core.services import operations  # which launches what asks for runs

    roles.require(actor, Role.ANALYST, to="change or delete records")
    ids = "\n".join([run.column, *run.ids, ""]).encode()
    row = files.keep(bridge, actor, name=run.name, uploads=[Upload(f"{run.table}.csv", [ids])])
    given = [spec.model_copy(update={"key": (run.column,)}) for spec in files.tables(row)]
    files.describe_tables(bridge, actor, row.id, given)
    operations.launch(bridge, actor, "read_files", given={"files": run.name})
    plan_id = plans.create(bridge, actor, run.plan)
    request = LaunchRequest(confirm=run.confirm, reason=run.reason)
    return launching.launch(
        bridge, actor, plan_id, request, idempotency_key=idempotency_key, enqueue=enqueue
    )


def _actor(bridge: Orgbridge, workspace_id: UUID, name: str) -> Actor:
    """Who asked, by the name in the log: a person with their own id, also where their API key
    asked, so that nobody approves what they asked for themselves."""
    with bridge.session(workspace_id) as session:
        if name.startswith(api_keys.ACTOR):
            known = api_keys.keys(session, workspace_id)
            own = next((k.owner_id for k in known if api_keys.ACTOR + k.name == name), None)
        else:
            person = accounts.by_email(session, name)
            own = person.id if person and accounts.is_member(session, person.id) else None
    return Actor(workspace_id, own, name, Role.ANALYST, "operation")
