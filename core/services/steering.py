"""Steering a run that exists: pause, cancel, resume, and the answer to what it asks.

A run that somebody carries is asked by its row and stops at the next safe place; any other is dealt
with at once. Every act is in the audit trail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.access import audit, roles
from core.db import runs
from core.db.run_lease import LEASE_S
from core.domain.roles import Actor, Role
from core.domain.states import CARRIED_RUNS, FINISHED_RUNS, RunState
from core.errors import ConflictError
from core.jobs import queue
from core.services import approvals

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge


def pause(bridge: Orgbridge, actor: Actor, name: str) -> None:
    """Asks a run to stop after what is on its way; it can be resumed."""
    _wish(bridge, actor, name, "pause")


def cancel(bridge: Orgbridge, actor: Actor, name: str) -> RunState:
    """Stops a run for good; rows sent until then stay and are in the ledger.

    Returns:
        The state it was in: one that was carried is asked to stop, any other is over at once.
    """
    roles.require(actor, Role.ANALYST, to="cancel runs")
    with bridge.session(actor.workspace_id) as session:
        run = runs.run_named(session, name)
        _refuse_over(run, next_step="`runs undo` takes its writes back.")
        if run.status in CARRIED_RUNS:
            runs.ask(session, run, "cancel")
        else:
            runs.set_status(session, run, RunState.CANCELLED, over=True)
        _note(session, actor, run, "run.cancel")
        if run.status is RunState.WAITING_APPROVAL:
            approvals.withdraw_of_run(bridge, actor, run.id, within=session)
        return run.status


def resume(bridge: Orgbridge, actor: Actor, name: str, *, enqueue: bool = True) -> None:
    """Lets a paused, failed or abandoned run go on from where it stands."""
    roles.require(actor, Role.ANALYST, to="resume runs")
    with bridge.session(actor.workspace_id) as session:
        run = runs.run_named(session, name)
        _refuse_over(run, next_step="Launch the plan again, or `runs retry`.")
        if run.status in (RunState.WAITING_APPROVAL, RunState.WAITING_DECISION):
            raise ConflictError(
                f"The run {name} is {run.status.value.lower()}.",
                next_step="`runs decide`, or ask an approver.",
            )
        runs.forget_wish(session, run.id)
        _note(session, actor, run, "run.resume")
        if enqueue and not queue.is_queued(session, run.id):
            _defer(session, actor, run)


def decide(
    bridge: Orgbridge, actor: Actor, name: str, *, go_on: bool, enqueue: bool = True
) -> None:
    """Answers a run that waits for a decision: the rest is loaded, or the run ends here, once the
    rows that are there have the lookups that waited, and their proof."""
    roles.require(actor, Role.ANALYST, to="decide")
    with bridge.session(actor.workspace_id) as session:
        run = runs.run_named(session, name)
        if run.status is not RunState.WAITING_DECISION:
            raise ConflictError(
                f"The run {name} does not wait for a decision; it is {run.status.value.lower()}.",
                next_step="`runs show` tells where it stands.",
            )
        about = run.summary.get("waits_for", "canary")
        runs.merge_options(session, run.id, {f"decided_{about}": "continue" if go_on else "stop"})
        _note(session, actor, run, "run.decide", go_on=go_on)
        runs.forget_wish(session, run.id)
        grace_s = 0.0 if enqueue else LEASE_S
        runs.set_status(session, run, RunState.RUNNING, grace_s=grace_s)
        if enqueue:
            _defer(session, actor, run)


def _refuse_over(run: runs.RunRow, *, next_step: str) -> None:
    """A run that failed can go on; any other end is one."""
    if run.status in FINISHED_RUNS - {RunState.FAILED}:
        raise ConflictError(
            f"The run {run.name} is over ({run.status.value.lower()}).", next_step=next_step
        )


def _wish(bridge: Orgbridge, actor: Actor, name: str, wish: str) -> None:
    roles.require(actor, Role.ANALYST, to=f"{wish} runs")
    with bridge.session(actor.workspace_id) as session:
        run = runs.run_named(session, name)
        runs.ask(session, run, wish)
        _note(session, actor, run, f"run.{wish}")


def _note(session: Any, actor: Actor, run: runs.RunRow, action: str, **after: Any) -> None:
    audit.record(
        session,
        actor,
        action,
        subject_kind="run",
        subject_id=run.id,
        subject_name=run.name,
        after=after or None,
        run_id=run.id,
    )


def _defer(session: Any, actor: Actor, run: runs.RunRow) -> None:
    queue.defer_run(
        session,
        workspace_id=actor.workspace_id,
        run_id=run.id,
        target=run.target_organization_id or "",
    )
