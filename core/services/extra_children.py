"""What is done to extra child records: listed, written to a file, tagged, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from core.access import roles
from core.db import orgs as org_rows
from core.domain.roles import Role
from core.errors import ConflictError, UserError
from core.operations import export_extra_children, extra_child_acts
from core.operations.carrying import BridgeContext
from core.operations.extra_child_acts import ChildrenParameters
from core.operations.extra_child_records import Look
from core.services import planned_runs, plans
from core.services.confirming import Confirmation, check_confirmation

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor


@dataclass(frozen=True, slots=True)
class Place:
    """The children under one lookup."""

    plan: str
    #: mapping name of the child
    child: str
    #: field of the target
    lookup: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is to be done to them, with what a person typed."""

    #: how many records the person typed
    count: int
    #: name of the target org as typed, where it is asked for
    confirm: str = ""
    reason: str = ""
    #: field and value to be written; none deletes
    field: str = ""
    value: str = ""

    @property
    def is_delete(self) -> bool:
        """The records go to the recycle bin."""
        return not self.field


def records(bridge: Orgbridge, actor: Actor, place: Place) -> pl.DataFrame:
    """``id``, ``parent``, ``created`` of the extra children as they are now.

    Raises:
        UserError: the plan has no such child or lookup.
    """
    roles.require(actor, Role.VIEWER)
    return _look(bridge, actor, place).rows


def records_csv(bridge: Orgbridge, actor: Actor, place: Place) -> Iterator[bytes]:
    """All of them for a spreadsheet."""
    roles.require(actor, Role.ANALYST, to="export records")
    pieces = export_extra_children.pieces(records(bridge, actor, place))
    return (content for content, _ in pieces)


def launch(bridge: Orgbridge, actor: Actor, place: Place, act: Act, *, enqueue: bool = True) -> str:
    """Launches the run that deletes or tags them; its name.

    Raises:
        ConflictError: there are not as many as was typed. UserError: no such field, or the
            confirmation that the target asks for is missing. Nothing was sent.
    """
    roles.require(actor, Role.ANALYST, to="change or delete records")
    look = _look(bridge, actor, place)
    if look.rows.height != act.count:
        raise ConflictError(
            f"There are {look.rows.height:,} extra {look.child.target} records now, not "
            f"{act.count:,}.",
            state="Nothing was sent.",
            next_step="Look at them again and type their number.",
        )
    if not act.count:
        raise UserError("There is nothing to do.", state="Nothing was sent.")
    field = "" if act.is_delete else _field(bridge, actor, place, look, act.field)
    target = plans.plan(bridge, actor, name=place.plan).plan.target
    _confirm(bridge, actor, target, act)
    stamp = bridge.clock().strftime("%Y-%m-%d %H.%M.%S.%f")[:-3]
    run = extra_child_acts.planned(
        look,
        name=f"extra {look.child.name} {look.lookup} of {stamp} UTC",
        target=target,
        tag=None if act.is_delete else (field, act.value),
        said=(act.confirm, act.reason),
    )
    return planned_runs.launch(bridge, actor, run, enqueue=enqueue)


def _look(bridge: Orgbridge, actor: Actor, place: Place) -> Look:
    context = BridgeContext.reading(bridge, actor.workspace_id)
    return extra_child_acts.extra_children_of(context, _given(place))


def _field(bridge: Orgbridge, actor: Actor, place: Place, look: Look, wanted: str) -> str:
    context = BridgeContext.reading(bridge, actor.workspace_id)
    return extra_child_acts.tagged(context, _given(place), look, field=wanted)


def _given(place: Place) -> ChildrenParameters:
    return ChildrenParameters(plan=place.plan, child=place.child, lookup=place.lookup)


def _confirm(bridge: Orgbridge, actor: Actor, target: str, act: Act) -> None:
    """What the launch will ask for, asked before anything is kept for it."""
    with bridge.session(actor.workspace_id) as session:
        org = org_rows.org_named(session, target)
    if org is None:
        raise UserError(f"The org {target} is not connected.", state="Nothing was sent.")
    given = Confirmation(act.confirm, act.reason)
    check_confirmation(org, given, deletes=act.is_delete)
