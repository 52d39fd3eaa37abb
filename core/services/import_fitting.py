"""Imported plans compared with the orgs that they name, where these are connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.access import roles
from core.db import orgs as org_rows
from core.domain.describe import SObject
from core.domain.roles import Actor, Role
from core.errors import NotFoundError, OrgbridgeError, RefusedError
from core.plans.importers import Imported, Note
from core.plans.importers.fitting import LENIENT_TOOLS, fitted

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge


def fit_import(bridge: Orgbridge, actor: Actor, read: Imported) -> Imported:
    """The plan without rules that its orgs cannot follow; as it is while an org is not connected.

    Cost: describes of the plan's objects, cached.
    """
    roles.require(actor, Role.VIEWER)
    if read.tool not in LENIENT_TOOLS:
        return read
    plan = read.plan
    try:
        sources = _described(bridge, actor, plan.source, {entry.source for entry in plan.objects})
        targets = _described(bridge, actor, plan.target, {entry.target for entry in plan.objects})
    except OrgbridgeError as error:
        sentence = f"Fields were not compared with the orgs: {error.happened}"
        return Imported(plan, read.tool, (*read.notes, Note("orgs", sentence)))
    return fitted(read, sources, targets)


def _described(bridge: Orgbridge, actor: Actor, org: str, names: set[str]) -> dict[str, SObject]:
    """Objects by lower-case name; those that the org does not show are left out."""
    with bridge.session(actor.workspace_id) as session:
        row = org_rows.org_named(session, org)
    if row is None:
        raise NotFoundError(f"{org} is not connected.")
    client = bridge.row_source(actor.workspace_id, row.id)
    found = {}
    for name in sorted(names):
        try:
            found[name.lower()] = client.describe(name)
        except RefusedError as refused:
            if type(refused) is not RefusedError:  # credentials and limits concern all of them
                raise
    return found
