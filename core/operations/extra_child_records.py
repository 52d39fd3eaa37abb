"""Extra child records: children in the target whose source parent has none such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from core.db import record_links
from core.domain.plan import ObjectMapping, Plan
from core.errors import UserError
from core.operations.protocol import Operation, OperationContext, OrgAccess, Parameters, Report

#: ids kept per pair of parent and child in the log row
KEPT_ROWS = 2_000


class ExtraChildParameters(Parameters):
    """Whose children are looked at."""

    plan: str
    #: mapping names of parents; empty: every parent in the plan
    parents: tuple[str, ...] = ()


def carry(context: OperationContext, parameters: ExtraChildParameters) -> Report:
    """List children that no link accounts for, under parents that the plan migrated.

    Cost: id and parent of every child in the target are read once per lookup.
    """
    plan = context.plan(parameters.plan)
    source, target = context.org(plan.source), context.org(plan.target)
    pair = f"{source.organization_id}:{target.organization_id}"
    described = {
        one.name.lower(): one
        for one in target.client.describe_many(sorted({item.target for item in plan.objects}))
    }
    found = []
    for parent in _parents(plan, parameters.parents):
        with context.session() as session:
            parents = record_links.links_of(session, org_pair=pair, mapping_name=parent.name)
        for child in plan.objects:
            known = described.get(child.target.lower())
            lookups = [] if known is None else known.references
            for lookup in lookups:
                if parent.target not in lookup.reference_to or parents.is_empty():
                    continue
                context.progress(f"Looking at {child.target}.{lookup.name}.")
                with context.session() as session:
                    links = record_links.links_of(session, org_pair=pair, mapping_name=child.name)
                rows = extra_children(
                    _children(target, child, lookup.name), parents=parents, links=links
                )
                found.append(_finding(parent, child, lookup.name, rows=rows))
    found = [item for item in found if item["rows"]]
    total = sum(int(item["rows"]) for item in found)
    result = {
        "plan": plan.name,
        "target": target.name,
        "looked_at": context.clock().isoformat(),
        "children": found,
    }
    return Report(result, f"{total:,} extra children under {len(found)} lookups.")


def extra_children(
    children: pl.DataFrame, *, parents: pl.DataFrame, links: pl.DataFrame
) -> pl.DataFrame:
    """Children under migrated parents that no link names; pure.

    Args:
        children: ``id``, ``parent``, ``created`` of the target.
        parents, links: ``target_id`` and more, of the parent's and of the child's mapping.
    """
    under = children.join(parents, left_on="parent", right_on="target_id", how="semi")
    return under.join(links, left_on="id", right_on="target_id", how="anti").sort("parent", "id")


def _parents(plan: Plan, wanted: Sequence[str]) -> list[ObjectMapping]:
    if not wanted:
        return list(plan.objects)
    by_name = {item.name: item for item in plan.objects}
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise UserError(
            f"The plan {plan.name} has no object mapping {unknown[0]!r}.",
            next_step=f"It has: {', '.join(by_name)}.",
        )
    return [by_name[name] for name in wanted]


def _children(target: OrgAccess, child: ObjectMapping, lookup: str) -> pl.DataFrame:
    soql = (
        f"SELECT Id, {lookup}, CreatedDate FROM {child.target} "  # noqa: S608 described names
        f"WHERE {lookup} != null"
    )
    frames = list(target.client.query_frames(soql))
    names = ("id", "parent", "created")
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    return pl.concat(frames).rename(dict(zip(frames[0].columns, names, strict=True)))


def _finding(
    parent: ObjectMapping, child: ObjectMapping, lookup: str, *, rows: pl.DataFrame
) -> Mapping[str, Any]:
    return {
        "parent": parent.name,
        "parent_object": parent.target,
        "child": child.name,
        "child_object": child.target,
        "lookup": lookup,
        "rows": rows.height,
        "newest": rows["created"].max(),
        "ids": rows["id"].head(KEPT_ROWS).to_list(),
        "parents": rows["parent"].head(KEPT_ROWS).to_list(),
    }


OPERATION = Operation(
    kind="extra_child_records",
    title="Extra child records",
    purpose="Find children in the target that the source's parents do not have.",
    parameters=ExtraChildParameters,
    carry=carry,
    log_table="extra_child_records_log",
)
