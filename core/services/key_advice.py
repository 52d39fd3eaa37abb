"""By what the rows of one object mapping can be recognised, with the figures of both orgs.

advice(plan, mapping) ─▶ rows of both sides, up to a limit ─▶ core.plans.key_advisor ─▶ best first
use_key(…) ─▶ the mapping's key, as one saved edit
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl

from core.access import roles
from core.domain.describe import SObject
from core.domain.plan import KeySpec, Plan
from core.domain.roles import Role
from core.errors import UserError
from core.plans import editing
from core.plans.key_advisor import KeyAssessment, KeyKind, advise, columns_to_read
from core.services import editor, plans

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor
    from core.salesforce.client import OrgClient
    from core.salesforce.source import RowSource

__all__ = ["KeyAdvice", "KeyAssessment", "KeyKind"]

#: rows read of each side; with more the figures are those of a sample and say so
ROWS_READ = 10_000


@dataclass(frozen=True, slots=True)
class KeyAdvice:
    """What was found for one object mapping."""

    mapping: str
    now: KeySpec
    #: the best first
    candidates: tuple[KeyAssessment, ...]
    #: rows in scope of the source, and of the whole target object
    source_rows: int
    target_rows: int
    is_sampled: bool

    @property
    def migration_key(self) -> KeyAssessment | None:
        """The external id of the target into which source ids can be stamped (rule 2.1)."""
        stamps = (one for one in self.candidates if one.kind is KeyKind.STAMP)
        return next(stamps, None)


def advice(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, mapping: str) -> KeyAdvice:
    """Figures of every candidate key of one object mapping.

    Cost: a count and a read of at most 10,000 rows in either org.

    Raises:
        UserError: an org of the plan is not connected.
        RefusedError: an org does not have the object, or refuses the filter.
    """
    roles.require(actor, Role.VIEWER)
    view = plans.plan(bridge, actor, plan_id)
    both = editor.sides(bridge, actor, plan_id, mapping=mapping)
    entry = view.plan.mapping(mapping)
    source, target = _clients(bridge, actor, view)
    ours, theirs = columns_to_read(both.source, both.target)
    in_source = _count(source, both.source, entry.where)
    in_target = _count(target, both.target, None)
    is_sampled = max(in_source, in_target) > ROWS_READ
    found = advise(
        both.source,
        both.target,
        source_rows=_read(source, both.source, ours, where=entry.where),
        target_rows=_read(target, both.target, theirs, where=None),
        is_sampled=is_sampled,
    )
    return KeyAdvice(mapping, entry.key, found, in_source, in_target, is_sampled)


def with_key(plan: Plan, *, mapping: str, key: KeySpec) -> Plan:
    """The plan with that key; a field that a key fills by itself needs no rule any more."""
    stamped = {name.lower() for name in key.target} if key.value else set()
    kept = {
        name: rule
        for name, rule in plan.mapping(mapping).fields.items()
        if name.lower() not in stamped
    }
    return editing.change_object(
        plan, mapping, lambda entry: entry.model_copy(update={"key": key, "fields": kept})
    )


def _clients(bridge: Orgbridge, actor: Actor, view: plans.PlanView) -> tuple[RowSource, OrgClient]:
    ids = (view.row.source_org_id, view.row.target_org_id)
    if ids[0] is None or ids[1] is None:
        name = view.plan.source if ids[0] is None else view.plan.target
        raise UserError(
            f"The org {name} is not connected.", next_step="Connect it under Orgs with this name."
        )
    workspace = actor.workspace_id
    return bridge.row_source(workspace, ids[0]), bridge.org_client(workspace, ids[1])


def _count(client: RowSource, sobject: SObject, where: str | None) -> int:
    condition = f" WHERE {where}" if where else ""
    return client.count(f"SELECT COUNT() FROM {sobject.name}{condition}")  # noqa: S608 the org reads the filter and refuses what is no filter


def _read(
    client: RowSource, sobject: SObject, columns: tuple[str, ...], *, where: str | None
) -> pl.DataFrame:
    condition = f" WHERE {where}" if where else ""
    soql = f"SELECT {', '.join(columns)} FROM {sobject.name}{condition} LIMIT {ROWS_READ}"  # noqa: S608 as above
    frames = list(client.query_frames(soql, api="rest"))
    return pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
