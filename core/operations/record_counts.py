"""Record counts: is everything there? Source against target, exact, with history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import model_validator

from core.db import record_links
from core.errors import OrgbridgeError, RefusedError
from core.operations.counting import CountItem, Verdict, items_of, pairs_of, verdict
from core.operations.missing_rows import explain_missing
from core.operations.protocol import (
    Operation,
    OperationContext,
    OrgAccess,
    Parameters,
    Report,
)

Number = int | OrgbridgeError


class CountParameters(Parameters):
    """What to count where."""

    #: names of registered orgs; a plan names its own
    source: str = ""
    target: str = ""
    #: ``Account`` or ``Account=Target_Account__c``
    objects: tuple[str, ...] = ()
    plan: str | None = None
    #: the plan's filters, or all rows of its objects
    baseline: Literal["filter", "all"] = "filter"
    #: mappings of the plan whose missing rows are listed with the reason
    explain: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _something_to_count(self) -> CountParameters:
        if self.plan is None and not (self.source and self.target and self.objects):
            raise ValueError("name a plan, or a source, a target and at least one object")
        return self


@dataclass(frozen=True, slots=True)
class _Counted:
    item: CountItem
    source: Number
    target: Number


def carry(context: OperationContext, parameters: CountParameters) -> Report:
    """Count every object in both orgs at once.

    Cost: one HTTP request per org for 25 objects; the org charges each count.
    """
    items, source, target = _what(context, parameters)
    context.progress(f"Counting {len(items)} objects in {source.name} and {target.name}.")
    before = {side.id: side.client.usage for side in (source, target)}
    counted = _count_both(items, source, target)
    with context.session() as session:
        migrated = record_links.linked_by_mapping(session, org_pair=_pair(source, target))
    rows = [_row(one, migrated) for one in counted]
    result: dict[str, Any] = {
        "source": source.name,
        "target": target.name,
        "counted_at": context.clock().isoformat(),
        "objects": rows,
        "api_calls": {
            name: side.client.usage.calls_made - before[side.id].calls_made
            for name, side in (("source", source), ("target", target))
        },
    }
    if parameters.plan and parameters.explain:
        plan = context.plan(parameters.plan)
        result["missing"] = {}
        for name in parameters.explain:
            context.progress(f"Listing the missing rows of {name}.")
            result["missing"][name] = explain_missing(context, plan, name, orgs=(source, target))
    return Report(
        result, _sentence(rows), partial=_unknown(rows), columns={"record_counts": result}
    )


def _what(
    context: OperationContext, parameters: CountParameters
) -> tuple[list[CountItem], OrgAccess, OrgAccess]:
    if parameters.plan is None:
        items = pairs_of(parameters.objects)
        return items, context.org(parameters.source), context.org(parameters.target)
    plan = context.plan(parameters.plan)
    items = items_of(plan, filtered=parameters.baseline == "filter")
    return (
        items,
        context.org(parameters.source or plan.source),
        context.org(parameters.target or plan.target),
    )


def _count_both(items: Sequence[CountItem], source: OrgAccess, target: OrgAccess) -> list[_Counted]:
    with ThreadPoolExecutor(2) as pool:
        left = pool.submit(_counts, source, items, [item.source_soql for item in items])
        right = pool.submit(_counts, target, items, [item.target_soql for item in items])
        counted = [_Counted(*one) for one in zip(items, left.result(), right.result(), strict=True)]
    return _without_filter(counted, target)


def _counts(org: OrgAccess, items: Sequence[CountItem], soqls: Sequence[str]) -> list[Number]:
    """Counts in order; live rows and all rows go in batches of their own."""
    found: list[Number] = [0] * len(items)
    for all_rows in (False, True):
        places = [at for at, item in enumerate(items) if item.all_rows is all_rows]
        numbers = org.client.counts([soqls[at] for at in places], all_rows=all_rows)
        for at, number in zip(places, numbers, strict=True):
            found[at] = number
    return found


def _without_filter(counted: Sequence[_Counted], target: OrgAccess) -> list[_Counted]:
    """Counts again, for all rows, where the target refused the translated filter."""
    again = [
        at
        for at, one in enumerate(counted)
        if isinstance(one.target, RefusedError) and one.item.target_where
    ]
    if not again:
        return list(counted)
    plain = [replace(counted[at].item, target_where="", note=_NOTE) for at in again]
    numbers = _counts(target, plain, [item.target_soql for item in plain])
    mended = list(counted)
    for at, item, number in zip(again, plain, numbers, strict=True):
        mended[at] = _Counted(item, counted[at].source, number)
    return mended


_NOTE = "The target does not know the filter's fields: all its rows are counted."


def _row(one: _Counted, migrated: Mapping[str, int]) -> dict[str, Any]:
    source, target = _number(one.source), _number(one.target)
    difference = None if source is None or target is None else target - source
    return {
        "name": one.item.name,
        "source_object": one.item.source_object,
        "target_object": one.item.target_object,
        "source": source,
        "target": target,
        "verdict": str(verdict(source, target)),
        # null where a side could not be counted: nobody knows
        "missing": None if difference is None else max(-difference, 0),
        "extra": None if difference is None else max(difference, 0),
        "migrated": migrated.get(one.item.name),
        "note": one.item.note,
        "source_error": _refusal(one.source),
        "target_error": _refusal(one.target),
    }


def _number(given: Number) -> int | None:
    return given if isinstance(given, int) else None


def _refusal(given: Number) -> str:
    return "" if isinstance(given, int) else given.happened


def _unknown(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row["verdict"] == Verdict.UNKNOWN for row in rows)


def _sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    by = {kind: sum(row["verdict"] == kind for row in rows) for kind in Verdict}
    parts = [f"{by[Verdict.MATCH]:,} of {len(rows):,} objects match"]
    if by[Verdict.MISSING]:
        missing = sum(row["missing"] or 0 for row in rows)
        parts.append(f"{missing:,} rows missing in {by[Verdict.MISSING]}")
    if by[Verdict.EXTRA]:
        parts.append(f"extra rows in {by[Verdict.EXTRA]}")
    if by[Verdict.UNKNOWN]:
        parts.append(f"{by[Verdict.UNKNOWN]} could not be counted")
    return ", ".join(parts) + "."


def _pair(source: OrgAccess, target: OrgAccess) -> str:
    return f"{source.organization_id}:{target.organization_id}"


OPERATION = Operation(
    kind="record_counts",
    title="Record counts",
    purpose="Count the records of objects in two orgs and say which are missing or extra.",
    parameters=CountParameters,
    carry=carry,
    log_table="record_count_log",
)
