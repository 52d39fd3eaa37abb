"""What is done to the extra children of one lookup: which they are, and the run that does it.

Tagging and deleting are runs like any other: the ids become a set of files, a plan names the field
or the delete, and the engine chunks, verifies, keeps what was there before, and undoes.
"""

from __future__ import annotations

from typing import Any

import polars as pl
from pydantic import Field

from core.domain.plan import plan_from_document
from core.errors import UserError
from core.operations.extra_child_records import Look, looked_at
from core.operations.protocol import OperationContext, Parameters, PlannedRun, Report

ID_COLUMN = "Target_Id"
TABLE = "Extra"
TAG_MAX = 255


class ChildrenParameters(Parameters):
    """The children under one lookup."""

    plan: str
    #: the child by its mapping or as the target calls it, and its field that names the parent
    child: str
    lookup: str


class ChildActParameters(ChildrenParameters):
    """What is done to them, with what a person typed."""

    #: how many are expected; where there are more, nothing is sent
    at_most: int = Field(ge=1)
    #: name of the target org as typed, where it is asked for
    confirm: str = ""
    reason: str = ""


def extra_children_of(context: OperationContext, place: ChildrenParameters) -> Look:
    """The extra children of a lookup as they are now, each once.

    Raises:
        UserError: the plan moves no parents of such a child by such a lookup.
    """
    plan = context.plan(place.plan)
    looks = list(looked_at(context, plan, only=(place.child, place.lookup)))
    if not looks:
        raise UserError(
            f"The plan {place.plan} moves no parents of {place.child} by {place.lookup}.",
            next_step="Look at the extra children again.",
        )
    rows = pl.concat([look.rows for look in looks]).unique("id", maintain_order=True)
    return Look(looks[0].parent, looks[0].child, looks[0].lookup, rows)


def act(
    context: OperationContext, given: ChildActParameters, *, tag: tuple[str, str] | None
) -> Report:
    """Plans the run that tags or deletes them; there may be none, then nothing is planned.

    Args:
        tag: field and value; None deletes.
    Raises:
        UserError: there are more than were expected. Nothing was sent.
    """
    look = extra_children_of(context, given)
    found = look.rows.height
    if found > given.at_most:
        raise UserError(
            f"There are {found:,} extra {look.child.target} records now, more than "
            f"{given.at_most:,}.",
            state="Nothing was sent.",
            next_step="Look at them, then launch it with their number.",
        )
    told = {"child": look.child.name, "lookup": look.lookup, "records": found}
    if tag is not None:
        tag = (tagged(context, given, look, field=tag[0]), tag[1])
    if not found:
        return Report(told, f"There are no extra {look.child.target} records.")
    name = f"extra {look.child.name} {look.lookup} of {context.clock():%Y-%m-%d %H.%M.%S.%f} UTC"
    target = context.plan(given.plan).target
    run = planned(look, name=name, target=target, tag=tag, said=(given.confirm, given.reason))
    verb = "deleted" if tag is None else "tagged"
    return Report(told, f"{found:,} {look.child.target} records are to be {verb}.", run=run)


def tagged(context: OperationContext, place: ChildrenParameters, look: Look, *, field: str) -> str:
    """The field as the target spells it.

    Raises:
        UserError: the child has no such field, or nobody can write it.
    """
    target = context.org(context.plan(place.plan).target)
    fields = target.client.describe(look.child.target).fields.values()
    named = next((one for one in fields if one.name.lower() == field.lower()), None)
    if named is None or not named.updateable:
        raise UserError(
            f"{look.child.target} has no field {field!r:.80} that can be written.",
            state="Nothing was sent.",
            next_step=f"Name a field of {target.name} by its API name, such as Description.",
        )
    return named.name


def planned(
    look: Look, *, name: str, target: str, tag: tuple[str, str] | None, said: tuple[str, str]
) -> PlannedRun:
    """The run over the ids of a look; pure.

    Args:
        said: the confirmation and the reason as typed.
    """
    entry: dict[str, Any] = {
        "as": look.child.name,
        "source": TABLE,
        "target": look.child.target,
        "operation": "delete" if tag is None else "update",
        "key": {"source": [ID_COLUMN], "target": ["Id"]},
        "auto_map": False,
    }
    if tag is not None:
        field, value = tag
        entry["fields"] = {field: {"constant": value[:TAG_MAX]}}
    document = {"orgbridge": 1, "name": name, "source": name, "target": target, "objects": [entry]}
    confirm, reason = said
    return PlannedRun(
        name=name,
        plan=plan_from_document(document),
        table=TABLE,
        column=ID_COLUMN,
        ids=tuple(look.rows["id"].to_list()),
        confirm=confirm,
        reason=reason or f"{look.rows.height:,} extra children of {look.parent.name}",
    )
