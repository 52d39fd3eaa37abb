"""Rows that the target does not have: why, all of them as a file, and a run of just those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from core.access import roles
from core.domain.csv import people_csv
from core.domain.names import object_name
from core.domain.plan import objects_named
from core.domain.roles import Role
from core.errors import ConflictError, UserError
from core.operations.carrying import BridgeContext
from core.operations.missing_rows import Reason, missing_rows
from core.services import launching, plans

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor

__all__ = ["Reason"]

#: rows that a run of their own takes by id; beyond, a run of the whole mapping is cheaper
ROWS_MAX = 50_000
#: reasons that another try can mend; the filter is the plan's word, a deletion is a person's
MENDABLE = (Reason.FAILED, Reason.BLOCKED, Reason.NOT_PROCESSED, Reason.NEVER_SENT)


def rows(bridge: Orgbridge, actor: Actor, *, plan: str, mapping: str) -> pl.DataFrame:
    """``source_id``, ``reason``, ``code``, ``message`` of every row that is not in the target.

    Cost: the ids of both objects are read.

    Raises:
        UserError: the plan has no such mapping.
    """
    roles.require(actor, Role.VIEWER)
    document = plans.plan(bridge, actor, name=plan).plan
    context = BridgeContext.reading(bridge, actor.workspace_id)
    pair = context.org(document.source), context.org(document.target)
    return missing_rows(context, document, mapping, orgs=pair)


def rows_csv(bridge: Orgbridge, actor: Actor, *, plan: str, mapping: str) -> Iterator[bytes]:
    """All of them for a spreadsheet, in pieces."""
    found = rows(bridge, actor, plan=plan, mapping=mapping)
    first = True
    for page in found.iter_slices(20_000) if found.height else [found]:
        content = people_csv(page, bom=first)
        yield content if first else content.split(b"\r\n", 1)[1]
        first = False


def launch(
    bridge: Orgbridge,
    actor: Actor,
    *,
    plan: str,
    mapping: str,
    reasons: Sequence[Reason] = MENDABLE,
    confirm: str = "",
    reason: str = "",
    enqueue: bool = True,
) -> str:
    """Launches a run of the rows of one mapping that are missing for these reasons; its name.

    Raises:
        ConflictError: there are none. UserError: there are too many, or a confirmation is missing.
            Nothing was launched.
    """
    roles.require(actor, Role.ANALYST, to="launch")
    found = rows(bridge, actor, plan=plan, mapping=mapping)
    shown = plans.plan(bridge, actor, name=plan)
    (entry,) = objects_named(shown.plan, [mapping])
    told = object_name(entry.name, entry.target)
    wanted = found.filter(pl.col("reason").is_in([str(one) for one in reasons]))
    if wanted.is_empty():
        raise ConflictError(
            f"No row of {told} is missing for these reasons.", state="Nothing was launched."
        )
    if wanted.height > ROWS_MAX:
        raise UserError(
            f"{wanted.height:,} rows are missing; at most {ROWS_MAX:,} are launched by name.",
            state="Nothing was launched.",
            next_step=f"Run the plan with only {told}: rows that are there stay as they are.",
        )
    request = launching.LaunchRequest(
        mode="retry",
        only=(entry.name,),
        confirm=confirm,
        reason=reason or f"{wanted.height:,} missing rows of {told}",
        extra={"rows": {entry.name: wanted["source_id"].to_list()}},
    )
    return launching.make_run(bridge, actor, shown.row.id, request, enqueue=enqueue)
