"""What is done to extra child records: listed, written to a file, tagged, deleted.

Tagging and deleting are runs like any other: the ids become a set of files, a plan names the field
or the delete, and the engine chunks, verifies, keeps what was there before, and undoes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from core.access import roles
from core.db import orgs as org_rows
from core.domain.csv import people_csv
from core.domain.plan import Plan, plan_from_document
from core.domain.roles import Role
from core.errors import ConflictError, UserError
from core.operations.carrying import BridgeContext
from core.operations.extra_child_records import Look, looked_at
from core.services import files, launching, operations, plans
from core.services.confirming import Confirmation, check_confirmation
from core.services.files import Upload
from core.services.launching import LaunchRequest

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor

ID_COLUMN = "Target_Id"
TABLE = "Extra"
TAG_MAX = 255


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
    found = records(bridge, actor, place)
    first = True
    for page in found.iter_slices(20_000) if found.height else [found]:
        content = people_csv(page, bom=first)
        yield content if first else content.split(b"\r\n", 1)[1]
        first = False


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
    target = plans.plan(bridge, actor, name=place.plan).plan.target
    _confirm(bridge, actor, target, act)
    name = _free_name(bridge, actor, look)
    document = _plan(name, target, look, act)
    _keep(bridge, actor, name, look)
    plan_id = plans.create(bridge, actor, document)
    request = LaunchRequest(
        confirm=act.confirm,
        reason=act.reason or f"{act.count:,} extra children of {look.parent.name}",
    )
    return launching.launch(bridge, actor, plan_id, request, enqueue=enqueue)


def _look(bridge: Orgbridge, actor: Actor, place: Place) -> Look:
    plan = plans.plan(bridge, actor, name=place.plan).plan
    context = BridgeContext.reading(bridge, actor.workspace_id)
    looks = list(looked_at(context, plan, only=(place.child, place.lookup)))
    if not looks:
        raise UserError(
            f"The plan {place.plan} moves no parents of {place.child} by {place.lookup}.",
            next_step="Look at the extra children again.",
        )
    rows = pl.concat([look.rows for look in looks]).unique("id", maintain_order=True)
    return Look(looks[0].parent, looks[0].child, looks[0].lookup, rows)


def _confirm(bridge: Orgbridge, actor: Actor, target: str, act: Act) -> None:
    """What the launch will ask for, asked before anything is kept for it."""
    with bridge.session(actor.workspace_id) as session:
        org = org_rows.org_named(session, target)
    if org is None:
        raise UserError(f"The org {target} is not connected.", state="Nothing was sent.")
    given = Confirmation(act.confirm, act.reason)
    check_confirmation(org, given, deletes=act.is_delete)


def _keep(bridge: Orgbridge, actor: Actor, name: str, look: Look) -> None:
    """The ids as a set of files, read at once."""
    ids = "\n".join([ID_COLUMN, *look.rows["id"].to_list(), ""]).encode()
    row = files.keep(bridge, actor, name=name, uploads=[Upload(f"{TABLE}.csv", [ids])])
    given = [spec.model_copy(update={"key": (ID_COLUMN,)}) for spec in files.tables(row)]
    files.describe_tables(bridge, actor, row.id, given)
    operations.launch(bridge, actor, "read_files", given={"files": name})


def _plan(name: str, target: str, look: Look, act: Act) -> Plan:
    entry: dict[str, Any] = {
        "as": look.child.name,
        "source": TABLE,
        "target": look.child.target,
        "operation": "delete" if act.is_delete else "update",
        "key": {"source": [ID_COLUMN], "target": ["Id"]},
        "auto_map": False,
    }
    if not act.is_delete:
        entry["fields"] = {act.field: {"constant": act.value[:TAG_MAX]}}
    return plan_from_document(
        {"orgbridge": 1, "name": name, "source": name, "target": target, "objects": [entry]}
    )


def _free_name(bridge: Orgbridge, actor: Actor, look: Look) -> str:
    stamp = bridge.clock().strftime("%Y-%m-%d %H.%M.%S.%f")[:-3]
    return f"extra {look.child.name} {look.lookup} of {stamp} UTC"
