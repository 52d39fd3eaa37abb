"""Field differences: what differs between two orgs, and what it would do to a migration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from core.domain.describe import SObject
from core.domain.plan import CopyRule, ObjectMapping
from core.errors import UserError
from core.operations.counting import pairs_of
from core.operations.differences import (
    FieldDifference,
    Kind,
    ObjectDifference,
    ObjectPair,
    compare,
    usage_queries,
    with_usage,
)
from core.operations.field_checks import Severity
from core.operations.protocol import Operation, OperationContext, OrgAccess, Parameters, Report


class DifferenceParameters(Parameters):
    """What to compare with what."""

    source: str
    target: str
    #: ``Account`` or ``Account=Target_Account__c``; empty: every object that holds data on a side
    objects: tuple[str, ...] = ()
    #: only the objects and fields of this plan, renamed ones with each other
    plan: str | None = None
    custom_only: bool = False
    #: count the source rows that a difference concerns (one call per such field)
    usage: bool = True
    #: describe both orgs anew instead of taking what is known
    refresh: bool = False


def carry(context: OperationContext, parameters: DifferenceParameters) -> Report:
    """Describe both orgs and compare; nothing is written to either."""
    source, target = context.org(parameters.source), context.org(parameters.target)
    pairs = _pairs(context, parameters, orgs=(source, target))
    context.progress(f"Comparing {len(pairs)} objects.")
    found = compare(pairs)
    if parameters.custom_only:
        found = [_custom_only(item) for item in found]
    if parameters.usage:
        found = _counted(context, source, found)
    result = {
        "source": source.name,
        "target": target.name,
        "compared_at": context.clock().isoformat(),
        "objects": [object_document(item) for item in found],
    }
    return Report(result, _sentence(found), columns={"differences": result})


def object_document(item: ObjectDifference) -> dict[str, Any]:
    """An object's differences as JSON; fields that are the same are only counted."""
    return {
        "source_object": item.source_object,
        "target_object": item.target_object,
        "kind": str(item.kind),
        "severity": item.severity.name.lower(),
        "counts": {str(kind): number for kind, number in item.counts.items()},
        "properties": [_property(one) for one in item.properties],
        "fields": [_field(one) for one in item.fields if one.kind is not Kind.SAME],
    }


def _pairs(
    context: OperationContext,
    parameters: DifferenceParameters,
    *,
    orgs: tuple[OrgAccess, OrgAccess],
) -> list[ObjectPair]:
    source, target = orgs
    if parameters.plan is not None:
        mappings = context.plan(parameters.plan).objects
        wanted = [(one.source, one.target) for one in mappings]
    else:
        mappings = ()
        items = pairs_of(parameters.objects or _data_objects(source, target))
        wanted = [(item.source_object, item.target_object) for item in items]
    context.progress(f"Describing {len(wanted)} objects in {source.name} and {target.name}.")
    with ThreadPoolExecutor(2) as pool:
        names = [{name for name, _ in wanted}, {name for _, name in wanted}]
        left = pool.submit(_described, source, names[0], refresh=parameters.refresh)
        right = pool.submit(_described, target, names[1], refresh=parameters.refresh)
        mine, theirs = left.result(), right.result()
    pairs = [ObjectPair(mine.get(a.lower()), theirs.get(b.lower())) for a, b in wanted]
    if parameters.objects:
        _check_known(wanted, pairs)
    for at, mapping in enumerate(mappings):
        if pairs[at].source is not None and pairs[at].target is not None:
            scope = _scope(mapping, pairs[at])
            pairs[at] = replace(pairs[at], fields=scope, filled=_filled(mapping))
    return [pair for pair in pairs if pair.source is not None or pair.target is not None]


def _check_known(wanted: Sequence[tuple[str, str]], pairs: Sequence[ObjectPair]) -> None:
    nowhere = [
        name if name == other else f"{name}={other}"
        for (name, other), pair in zip(wanted, pairs, strict=True)
        if pair.source is None and pair.target is None
    ]
    if nowhere:
        raise UserError(
            f"Neither org has {', '.join(nowhere)[:200]}.",
            next_step="Check the API names, and what the connected users may see.",
        )


def _data_objects(source: OrgAccess, target: OrgAccess) -> list[str]:
    """Objects that hold data which people migrate, of either org."""
    names: dict[str, str] = {}
    for org in (source, target):
        for one in org.client.describe_global():
            if one.queryable and one.createable and not one.deprecated_and_hidden:
                names.setdefault(one.name.lower(), one.name)
    return sorted(names.values())


def _described(org: OrgAccess, names: Iterable[str], *, refresh: bool) -> dict[str, SObject]:
    known = {one.name.lower() for one in org.client.describe_global(refresh=refresh)}
    wanted = sorted(name for name in names if name.lower() in known)
    return {one.name.lower(): one for one in org.client.describe_many(wanted, refresh=refresh)}


def _scope(mapping: ObjectMapping, pair: ObjectPair) -> Mapping[str, str]:
    """Source field → target field of a mapping: its copies, and the auto-map's same names."""
    fields = {
        rule.source: target
        for target, rule in mapping.fields.items()
        if isinstance(rule, CopyRule) and rule.is_applied and "." not in rule.source
    }
    if mapping.auto_map and pair.source is not None and pair.target is not None:
        taken = {name.lower() for name in (*mapping.fields, *mapping.skip)}
        for name, field in pair.source.fields.items():
            if name.lower() not in taken and field.is_writeable and name in pair.target.fields:
                fields.setdefault(name, pair.target.fields[name].name)
    return fields


def _filled(mapping: ObjectMapping) -> set[str]:
    """Target fields that a plan fills by its rules, its key or what is set last."""
    applied = {name for name, rule in mapping.fields.items() if rule.is_applied}
    return applied | set(mapping.final_fields) | set(mapping.key.target)


def _custom_only(item: ObjectDifference) -> ObjectDifference:
    return replace(item, fields=tuple(one for one in item.fields if one.custom))


def _counted(
    context: OperationContext, source: OrgAccess, found: Sequence[ObjectDifference]
) -> list[ObjectDifference]:
    asked = usage_queries(found)
    if not asked:
        return list(found)
    context.progress(f"Counting the rows that {len(asked)} differences concern.")
    numbers = source.client.counts([one.soql for one in asked])
    rows = {
        (one.source_object, one.field): number
        for one, number in zip(asked, numbers, strict=True)
        if isinstance(number, int)
    }
    return with_usage(found, rows)


def _field(item: FieldDifference) -> dict[str, Any]:
    return {
        "field": item.field,
        "target_field": item.target_field,
        "label": item.label,
        "type": item.type,
        "custom": item.custom,
        "kind": str(item.kind),
        "severity": item.severity.name.lower(),
        "verdict": str(item.verdict),
        "source_summary": item.source_summary,
        "target_summary": item.target_summary,
        "rows_concerned": item.rows_concerned,
        "missing_values": list(item.missing_values),
        "properties": [_property(one) for one in item.properties],
    }


def _property(item: Any) -> dict[str, Any]:
    return {
        "name": item.name,
        "source": item.source,
        "target": item.target,
        "severity": item.severity.name.lower(),
        "effect": item.effect,
        "verdict": str(item.verdict),
    }


def _sentence(found: Sequence[ObjectDifference]) -> str:
    fields = [one for item in found for one in item.fields]
    by = {kind: sum(one.kind is kind for one in fields) for kind in Kind}
    grave = sum(one.severity >= Severity.REFUSAL for one in fields)
    missing = sum(item.kind is Kind.ONLY_SOURCE for item in found)
    objects = f" The target lacks {missing:,} of the objects." if missing else ""
    return (
        f"{by[Kind.DIFFERENT]:,} fields differ, {by[Kind.ONLY_SOURCE]:,} only in the source, "
        f"{by[Kind.ONLY_TARGET]:,} only in the target; {grave:,} would refuse or lose data."
        + objects
    )


OPERATION = Operation(
    kind="field_differences",
    title="Field differences",
    purpose="Compare objects and fields of two orgs and say what each difference does to data.",
    parameters=DifferenceParameters,
    carry=carry,
    log_table="field_difference_log",
)
