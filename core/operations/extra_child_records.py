"""Extra child records: children in the target whose source parent has none such."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from core.db import record_links
from core.domain.describe import SObject
from core.domain.plan import ObjectMapping, Plan, objects_named
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
    found = [
        one.finding() for one in looked_at(context, plan, parameters.parents) if one.rows.height
    ]
    total = sum(int(item["rows"]) for item in found)
    result = {
        "plan": plan.name,
        "target": plan.target,
        "looked_at": context.clock().isoformat(),
        "children": found,
    }
    return Report(result, f"{total:,} extra children under {_lookups(len(found))}.")


@dataclass(frozen=True, slots=True)
class Look:
    """The extra children under one lookup."""

    parent: ObjectMapping
    child: ObjectMapping
    lookup: str
    #: ``id``, ``parent``, ``created``, ``name`` (empty where the object has none)
    rows: pl.DataFrame

    def finding(self) -> Mapping[str, Any]:
        """What the log row keeps of it."""
        return {
            "parent": self.parent.name,
            "parent_object": self.parent.target,
            "child": self.child.name,
            "child_object": self.child.target,
            "lookup": self.lookup,
            "rows": self.rows.height,
            "newest": self.rows["created"].max(),
            "ids": self.rows["id"].head(KEPT_ROWS).to_list(),
            "names": self.rows["name"].head(KEPT_ROWS).to_list(),
            "parents": self.rows["parent"].head(KEPT_ROWS).to_list(),
        }


def looked_at(
    context: OperationContext,
    plan: Plan,
    parents: Sequence[str] = (),
    *,
    only: tuple[str, str] | None = None,
) -> Iterator[Look]:
    """Every lookup of a plan to parents that it migrated, with its extra children.

    Args:
        parents: mapping names; empty for all.
        only: child and lookup, when one is meant; the child by its mapping or as the target calls
            it.
    """
    source, target = context.org(plan.source), context.org(plan.target)
    pair = f"{source.organization_id}:{target.organization_id}"
    described = {
        one.name.lower(): one
        for one in target.client.describe_many(sorted({item.target for item in plan.objects}))
    }
    for parent in _parents(plan, parents):
        with context.session() as session:
            migrated = record_links.links_of(session, org_pair=pair, mapping_name=parent.name)
        for child in plan.objects:
            known = described.get(child.target.lower())
            if known is None:
                continue
            for lookup in known.references:
                if parent.target not in lookup.reference_to or migrated.is_empty():
                    continue
                if only is not None and not _is_meant(only, child, lookup.name):
                    continue
                context.progress(f"Looking at {child.target}.{lookup.name}.")
                with context.session() as session:
                    links = record_links.links_of(session, org_pair=pair, mapping_name=child.name)
                children = _children(target, known, lookup.name)
                rows = extra_children(children, parents=migrated, links=links)
                yield Look(parent, child, lookup.name, rows)


def extra_children(
    children: pl.DataFrame, *, parents: pl.DataFrame, links: pl.DataFrame
) -> pl.DataFrame:
    """Children under migrated parents that no link names; pure.

    Args:
        children: ``id``, ``parent`` and more, of the target.
        parents, links: ``target_id`` and more, of the parent's and of the child's mapping.
    """
    under = children.join(parents, left_on="parent", right_on="target_id", how="semi")
    return under.join(links, left_on="id", right_on="target_id", how="anti").sort("parent", "id")


def _is_meant(only: tuple[str, str], child: ObjectMapping, lookup: str) -> bool:
    named, by = (word.lower() for word in only)
    return by == lookup.lower() and named in (child.name.lower(), child.target.lower())


def _lookups(number: int) -> str:
    return "one lookup" if number == 1 else f"{number} lookups"


def _parents(plan: Plan, wanted: Sequence[str]) -> list[ObjectMapping]:
    return objects_named(plan, wanted) if wanted else list(plan.objects)


def _children(target: OrgAccess, child: SObject, lookup: str) -> pl.DataFrame:
    named = next((one.name for one in child.fields.values() if one.name_field), None)
    columns = ("Id", lookup, "CreatedDate", *([named] if named else []))
    soql = f"SELECT {', '.join(columns)} FROM {child.name} WHERE {lookup} != null"  # noqa: S608 described names
    names = ("id", "parent", "created", "name")
    frames = list(target.client.query_frames(soql))
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    found = pl.concat(frames).rename(dict(zip(columns, names, strict=False)))
    return found if named else found.with_columns(pl.lit("").alias("name"))


OPERATION = Operation(
    kind="extra_child_records",
    title="Extra child records",
    purpose="Find children in the target that the source's parents do not have.",
    parameters=ExtraChildParameters,
    carry=carry,
    log_table="extra_child_records_log",
)
