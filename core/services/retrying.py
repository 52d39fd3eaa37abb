"""Trying again what did not arrive: a new run of the rows that failed, were blocked or not
processed.

The new run carries the plan as it stands now, since a failure is mostly mended there; it names the
run before as its parent, and notes on that run's failures which of them it brought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.access import roles
from core.db import retries, runs
from core.db.retries import RowChoice
from core.domain.roles import Actor, Role
from core.domain.states import FINISHED_RUNS, NOTHING_BROUGHT
from core.errors import ConflictError, UserError
from core.services import launching

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

__all__ = ["RetryChoice", "retry", "rows_left"]

#: Which rows are meant; everything that did not arrive when nothing is named.
RetryChoice = RowChoice


def rows_left(
    bridge: Orgbridge, actor: Actor, name: str, choice: RetryChoice | None = None
) -> dict[str, int]:
    """How many rows a retry would read again, by mapping; empty for none."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        run = runs.run_named(session, name)
        found = retries.rows_left(session, run.id, choice or RetryChoice())
    return {mapping: len(ids) for mapping, ids in found.items()}


def retry(
    bridge: Orgbridge,
    actor: Actor,
    name: str,
    choice: RetryChoice | None = None,
    *,
    confirm: str = "",
    reason: str = "",
    idempotency_key: str | None = None,
    enqueue: bool = True,
) -> str:
    """Launches a run of the rows that did not arrive; its name.

    Raises:
        ConflictError: the run has not ended, or nothing of it is left. UserError: the plan is gone
            or has no such mapping any more, or a confirmation is missing; nothing was made.
    """
    roles.require(actor, Role.ANALYST, to="retry rows")
    chosen = choice or RetryChoice()
    with bridge.session(actor.workspace_id) as session:
        run = runs.run_named(session, name)
        left = retries.rows_left(session, run.id, chosen)
    _check(run, left)
    if run.living_plan_id is None:
        raise UserError(
            f"The plan of {run.name} was deleted.",
            state="Nothing was launched.",
            next_step="Import the plan again and launch it: what arrived is recognised.",
        )
    request = launching.LaunchRequest(
        mode="retry",
        only=tuple(left),
        confirm=confirm,
        reason=reason,
        verify=bool(run.options.get("verify", True)),
        extra={"retry": chosen.document()},
    )
    return launching.make_run(
        bridge,
        actor,
        run.living_plan_id,
        request,
        idempotency_key=idempotency_key,
        enqueue=enqueue,
        parent_run_id=run.id,
    )


def _check(run: runs.RunRow, left: dict[str, list[str]]) -> None:
    if run.status not in FINISHED_RUNS:
        raise ConflictError(
            f"The run {run.name} is {run.status.value.lower()}.",
            state="Nothing was launched.",
            next_step="Let it end, or cancel it, before its rows are tried again.",
        )
    if run.mode in NOTHING_BROUGHT or not left:
        raise ConflictError(
            f"{run.name} has no rows to try again.",
            state="Nothing was launched.",
            next_step="`runs errors` lists what did not arrive.",
        )
