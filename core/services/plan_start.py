"""A new plan from the names of its objects: looked up in both orgs, kept, matched by name.

Nothing is kept before both orgs have shown every object, so that a name that was misspelt leaves no
plan behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import roles
from core.db import plans as rows
from core.domain.names import meant
from core.domain.plan import Plan, plan_from_document
from core.domain.roles import Role
from core.errors import OrgbridgeError, UserError
from core.services import editor, plans

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor

_NOTHING = "Nothing was saved."
_API_NAME = re.compile(r"\w+", re.ASCII)


def document(
    name: str, objects: Sequence[str], *, source: str, target: str, adopts_owners: bool
) -> Plan:
    """A plan as somebody fills it in.

    Args:
        objects: API names; blank ones and repeated ones are left out.
        adopts_owners: owners whom the target does not know become the connected user.

    Raises:
        UserError: there is no name, no object, or one of them is wrong.
    """
    wanted = list({each.strip().lower(): each.strip() for each in objects if each.strip()}.values())
    kept = plans.named(name)
    if not wanted:
        raise UserError("A plan has at least one object.", state=_NOTHING)
    for each in wanted:
        if not _API_NAME.fullmatch(each):
            hint = "API names hold letters, digits and underscores; commas stand between them."
            raise UserError(f"{each[:80]} is no API name.", state=_NOTHING, next_step=hint)
    users = {"users": {"missing": "running_user"}} if adopts_owners else {}
    head = {"orgbridge": 1, "name": kept, "source": source, "target": target, **users}
    return plan_from_document({**head, "objects": [{"source": each} for each in wanted]})


def start(bridge: Orgbridge, actor: Actor, document: Plan) -> UUID:
    """Keeps a new plan with the objects spelt as their org spells them, and auto-maps it.

    Cost: the list of objects of both orgs and a describe per object and org, from the cache when
    fresh; a query of sample rows per object.

    Raises:
        UserError: a plan of that name exists, an org is not connected or has no such object;
            nothing was saved.
    """
    roles.require(actor, Role.ANALYST)
    with bridge.session(actor.workspace_id) as session:
        rows.refuse_taken_name(session, document.name)
    sources, targets = (
        _objects_of(bridge, actor, name, role=role)
        for name, role in ((document.source, "source"), (document.target, "target"))
    )
    entries = []
    for entry in document.objects:
        source = _spelt(entry.source, sources, org=document.source)
        target = _spelt(entry.target, targets, org=document.target, beside=sources)
        entries.append(entry.model_copy(update={"source": source, "target": target}))
    plan_id = plans.create(bridge, actor, document.model_copy(update={"objects": tuple(entries)}))
    try:
        revision = plans.plan(bridge, actor, plan_id).row.revision
        editor.suggest(bridge, actor, plan_id, revision=revision)
    except OrgbridgeError:  # an org went away in between: the name must be free for another try
        plans.remove(bridge, actor, plan_id, confirm=document.name)
        raise
    return plan_id


def _objects_of(bridge: Orgbridge, actor: Actor, name: str, *, role: str) -> dict[str, str]:
    """The objects that an org lists, by name in small letters."""
    with bridge.session(actor.workspace_id) as session:
        org_id = rows.org_id_by_name(session, name)
    if org_id is None:
        raise UserError(
            f"The {role} org {name} is not connected.",
            state=_NOTHING,
            next_step="Connect it under Orgs with this name.",
        )
    listed = bridge.row_source(actor.workspace_id, org_id).describe_global()
    return {summary.name.lower(): summary.name for summary in listed}


def _spelt(name: str, known: dict[str, str], *, org: str, beside: Iterable[str] = ()) -> str:
    """The object as its org spells it.

    Args:
        beside: objects that the other org has, in small letters; such a one is no misspelling.
    """
    found = known.get(name.lower())
    if found is not None:
        return found
    if name.lower() in beside:
        hint = "Leave it out, and add it in the editor under the object it becomes there."
    else:
        said = meant(name, known.values())
        hint = f"{said}Check the API name and what the connected user may see."
    raise UserError(f"{org} has no object {name}.", state=_NOTHING, next_step=hint)
