"""Real rows of the source through the rules of a mapping, before anything is launched.

    preview  five rows before and after, with a verdict each
    values   what a source field holds, with counts: what a value map has to answer
    matching how many rows a filter lets through

Everything is read live and nothing is kept. Lookups are left out: which record of the target one
becomes is settled when the run knows it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl

from core.access import roles
from core.domain.describe import Field
from core.domain.plan import ObjectMapping
from core.domain.roles import Role
from core.domain.rules import CompiledMapping, Transformed, compile_mapping
from core.errors import UserError
from core.plans.verdicts import OK, objections, verdicts
from core.services import editor, plans

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor
    from core.salesforce.source import RowSource

#: rows looked at to find five that are random, or that have issues
LOOKED_AT = 200
#: distinct values of a field that are listed
VALUES_MAX = 500


class Pick(StrEnum):
    """Which rows are shown."""

    RANDOM = "random"
    FIRST = "first"
    ISSUES = "issues"  # those that would not arrive as they are


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One row before and after."""

    source_id: str
    #: source values by path; None is blank
    before: Mapping[str, str | None]
    #: target values by field
    after: Mapping[str, str | None]
    #: OK, or what the target would say
    verdict: str
    #: the target field meant, or ''
    field: str


@dataclass(frozen=True, slots=True)
class Preview:
    """Rows of one mapping."""

    #: (source path or '', target field), in the describe's order
    columns: tuple[tuple[str, str], ...]
    rows: tuple[PreviewRow, ...]
    #: rows that were looked at, and how many of them had an issue
    looked_at: int
    with_issues: int
    #: by target field: what speaks against its values, and in how many of the rows looked at
    issues: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class ValueCount:
    """One value of a source field."""

    value: str
    rows: int


def preview(
    bridge: Orgbridge,
    actor: Actor,
    plan_id: UUID,
    *,
    mapping: str,
    pick: Pick = Pick.FIRST,
    rows: int = 5,
) -> Preview:
    """A few real rows through the saved rules of a mapping.

    Cost: one query of at most 200 rows.

    Raises:
        UserError: a rule or the filter is wrong; the sentence says which.
    """
    roles.require(actor, Role.VIEWER)
    view = plans.plan(bridge, actor, plan_id)
    both = editor.sides(bridge, actor, plan_id, mapping=mapping)
    entry = editor.as_launched(bridge, actor, plan_id, mapping=mapping)
    compiled = compile_mapping(_applied(entry), both.source, both.target)
    client = _source(bridge, actor, view)
    page = _page(client, entry, compiled.source_columns)
    made = compiled.apply(page)
    judged = _judged(page, made, compiled.target_fields)
    chosen = _chosen(judged, pick, rows)
    return Preview(
        columns=_columns(entry, compiled),
        rows=tuple(_row(page, made.frame, judged=judged, number=number) for number in chosen),
        looked_at=page.height,
        with_issues=int((judged.get_column("verdict") != OK).sum()),
        issues=_issues(made, compiled.target_fields),
    )


def values(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, *, mapping: str, field: str
) -> tuple[ValueCount, ...]:
    """The values of a source field within the mapping's filter, the most frequent first.

    Cost: one grouping query; for fields that cannot be grouped one query of a sample.
    """
    roles.require(actor, Role.VIEWER)
    view = plans.plan(bridge, actor, plan_id)
    entry = view.plan.mapping(mapping)
    client = _source(bridge, actor, view)
    described = client.describe(entry.source)
    if field not in described.fields:
        raise UserError(
            f"{entry.source} has no field {field}.", next_step="Choose one of its fields."
        )
    name = described.fields[field].name
    if described.fields[field].groupable:
        soql = (
            f"SELECT {name}, COUNT(Id) n FROM {entry.source} {_where(entry, f'{name} != null')} "  # noqa: S608 names of the describe
            f"GROUP BY {name} ORDER BY COUNT(Id) DESC LIMIT {VALUES_MAX}"
        )
        return tuple(ValueCount(str(r[name]), int(r["n"])) for r in client.query(soql))
    page = _page(client, entry, ("Id", name))
    counted = page.drop_nulls(name).get_column(name).value_counts(sort=True).head(VALUES_MAX)
    return tuple(ValueCount(str(value), int(count)) for value, count in counted.iter_rows())


def matching(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, *, mapping: str, where: str | None
) -> int:
    """How many source rows a filter lets through; the mapping's own is not used.

    Raises:
        RefusedError: the org does not understand the filter; its words say where.
    """
    roles.require(actor, Role.VIEWER)
    view = plans.plan(bridge, actor, plan_id)
    entry = view.plan.mapping(mapping).model_copy(update={"where": where or None})
    soql = f"SELECT COUNT() FROM {entry.source} {_where(entry)}"  # noqa: S608 the org reads the filter and refuses what is no filter
    return _source(bridge, actor, view).count(soql.strip())


def _applied(entry: ObjectMapping) -> ObjectMapping:
    return entry.model_copy(update={"fields": dict(entry.applied_fields), "auto_map": False})


def _source(bridge: Orgbridge, actor: Actor, view: plans.PlanView) -> RowSource:
    org_id = view.row.source_org_id
    if org_id is None:
        raise UserError(
            f"The source org {view.plan.source} is not connected.",
            next_step="Connect it under Orgs with this name.",
        )
    return bridge.row_source(actor.workspace_id, org_id)


def _page(client: RowSource, entry: ObjectMapping, columns: tuple[str, ...]) -> pl.DataFrame:
    soql = f"SELECT {', '.join(columns)} FROM {entry.source} {_where(entry)} LIMIT {LOOKED_AT}"  # noqa: S608 as above
    frames = list(client.query_frames(soql, api="rest"))
    if frames:
        return pl.concat(frames)
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def _where(entry: ObjectMapping, *more: str) -> str:
    parts = [*([f"({entry.where})"] if entry.where else []), *more]
    return f"WHERE {' AND '.join(parts)}" if parts else ""


def _judged(page: pl.DataFrame, made: Transformed, fields: tuple[Field, ...]) -> pl.DataFrame:
    """Verdict and field of every row; a rule that failed comes before what the org would say."""
    judged = verdicts(made.frame, fields) if made.frame.width else _all_ok(page.height)
    failed = made.failures.unique("row", keep="first", maintain_order=True)
    if failed.is_empty():
        return judged
    numbered = judged.with_row_index("row").join(
        failed.select(pl.col("row").cast(pl.UInt32), rule="message", at="field"),
        on="row",
        how="left",
        maintain_order="left",
    )
    return numbered.select(verdict=pl.coalesce("rule", "verdict"), field=pl.coalesce("at", "field"))


def _issues(made: Transformed, fields: tuple[Field, ...]) -> dict[str, tuple[str, int]]:
    """By field; a rule that failed comes before what the org would say."""
    told = objections(made.frame, fields) if made.frame.width else {}
    failed = made.failures.group_by("field").agg(
        pl.col("message").first(), pl.col("row").n_unique().alias("rows")
    )
    return told | {field: (message, rows) for field, message, rows in failed.iter_rows()}


def _all_ok(height: int) -> pl.DataFrame:
    return pl.DataFrame({"verdict": [OK] * height, "field": [None] * height}).cast(pl.String)


def _chosen(judged: pl.DataFrame, pick: Pick, rows: int) -> list[int]:
    numbers = list(range(judged.height))
    if pick is Pick.RANDOM:
        return sorted(random.sample(numbers, min(rows, len(numbers))))
    if pick is Pick.ISSUES:
        verdict = judged.get_column("verdict")
        numbers = [number for number in numbers if verdict[number] != OK]
    return numbers[:rows]


def _columns(entry: ObjectMapping, compiled: CompiledMapping) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(getattr(entry.applied_fields.get(field.name), "source", "")), field.name)
        for field in compiled.target_fields
    )


def _row(
    page: pl.DataFrame, after: pl.DataFrame, *, judged: pl.DataFrame, number: int
) -> PreviewRow:
    before = page.row(number, named=True)
    return PreviewRow(
        source_id=str(before.get("Id") or ""),
        before=before,
        after=after.row(number, named=True) if after.width else {},
        verdict=judged.get_column("verdict")[number],
        field=judged.get_column("field")[number] or "",
    )
