"""Values of the source against what the target takes: picklists and lookups.

Cost: one grouping query per copied picklist, two counts (25 to a call) per lookup between mappings
of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from core.domain.describe import Field, SObject
from core.domain.findings import Finding, Fix, Severity
from core.domain.ordering import lookup_targets
from core.domain.plan import CopyRule, ObjectMapping, RuleBase, ValueMapRule
from core.errors import OrgbridgeError
from core.migration.preflight.inputs import PreflightInput, Sides, at_once, unknown

#: values shown in a sentence; all are counted
VALUES_SHOWN = 3
#: distinct values asked for: a picklist has at most 1,000 active ones
VALUES_MAX = 2_000

Rules = Mapping[str, RuleBase]


def picklist_findings(given: PreflightInput, rules: Mapping[str, Rules]) -> list[Finding]:
    """Values that would arrive in a picklist of the target that does not list them.

    Args:
        rules: by mapping name, every rule that will be applied, auto-map included.
    """
    return at_once(
        partial(_picklist, given, entry, sides, field=field, rule=rule)
        for entry, sides in given.described()
        for name, rule in rules.get(entry.name, {}).items()
        if (field := sides.target.fields.get(name)) and field.picklist_values and _is_copied(rule)
    )


def _picklist(
    given: PreflightInput, entry: ObjectMapping, sides: Sides, *, field: Field, rule: RuleBase
) -> Iterator[Finding]:
    try:
        counted = _value_counts(given, entry, source=sides.source, rule=rule)
    except OrgbridgeError as error:
        what = f"Values of {entry.target}.{field.name}"
        yield unknown("picklist", what, error, mapping=entry.name)
        return
    yield from _missing_values(entry, field, rule=rule, counted=counted)


def lookup_findings(given: PreflightInput) -> Iterator[Finding]:
    """How many lookups of each mapping point at rows that the plan moves too."""
    asked = list(_lookup_counts(given))
    answers = given.source.counts([soql for item in asked for soql in (item.filled, item.within)])
    for number, item in enumerate(asked):
        filled, within = answers[2 * number], answers[2 * number + 1]
        if isinstance(filled, OrgbridgeError):
            yield unknown("lookup", f"Coverage of {item.place}", filled, mapping=item.mapping)
        elif isinstance(within, OrgbridgeError):
            yield unknown("lookup", f"Coverage of {item.place}", within, mapping=item.mapping)
        elif filled > within:
            yield item.finding(outside=filled - within, filled=filled)
        elif filled:
            yield Finding(
                Severity.PASSED,
                "lookup",
                f"All {filled:,} filled {item.place} point at rows of this plan.",
                mapping=item.mapping,
                field=item.field,
            )


def _is_copied(rule: RuleBase) -> bool:
    return isinstance(rule, CopyRule | ValueMapRule) and "." not in rule.source


def _value_counts(
    given: PreflightInput, entry: ObjectMapping, *, source: SObject, rule: RuleBase
) -> dict[str, int]:
    """Rows by value; a multi-select value counts once for each of its parts."""
    name = getattr(rule, "source", "")
    described = source.fields.get(name)
    if described is None or not described.groupable:
        return {}
    where = f"({entry.where}) AND " if entry.where else ""
    soql = (
        f"SELECT {described.name}, COUNT(Id) n FROM {source.name} "
        f"WHERE {where}{described.name} != null GROUP BY {described.name} LIMIT {VALUES_MAX}"
    )
    return {str(row[described.name]): int(row["n"]) for row in given.source.query(soql)}


def _missing_values(
    entry: ObjectMapping, field: Field, *, rule: RuleBase, counted: Mapping[str, int]
) -> Iterator[Finding]:
    arriving = ((_arriving(rule, value), rows) for value, rows in counted.items())
    missing = {
        value: rows
        for value, rows in arriving
        if value is not None and not _parts(field, value) <= field.active_values
    }
    if not missing:
        return
    rows = sum(missing.values())
    named = ", ".join(sorted(missing, key=lambda v: -missing[v])[:VALUES_SHOWN])
    more = f" and {len(missing) - VALUES_SHOWN} more" if len(missing) > VALUES_SHOWN else ""
    if field.restricted_picklist:
        effect = "the org refuses them"
    else:
        effect = "the org takes them although its list does not have them"
    yield Finding(
        Severity.WARNING if field.restricted_picklist else Severity.NOTE,
        "picklist_values_missing",
        f"{entry.target}.{field.name} does not list {named}{more} ({rows:,} rows): {effect}.",
        mapping=entry.name,
        field=field.name,
        rows=rows,
        fix=Fix.FIELD,
    )


def _arriving(rule: RuleBase, value: str) -> str | None:
    """What the rule makes of a value; None where it makes a blank or refuses the row."""
    if not isinstance(rule, ValueMapRule):
        return value
    if value in rule.values:
        return rule.values[value]
    if rule.otherwise == "keep":
        return value
    return None if rule.otherwise in ("blank", "reject") else rule.otherwise


def _parts(field: Field, value: str) -> frozenset[str]:
    parts = value.split(";") if field.type == "multipicklist" else [value]
    return frozenset(part.strip() for part in parts)


@dataclass(frozen=True, slots=True)
class _LookupCount:
    """Two counts about one lookup: filled at all, and filled with rows in scope."""

    mapping: str
    field: str
    place: str
    parent: str
    missing: str
    filled: str
    within: str

    def finding(self, *, outside: int, filled: int) -> Finding:
        effect = {
            "reject": "those rows are blocked",
            "blank": "it is left blank there",
            "running_user": "the connected user takes their place",
        }.get(self.missing, f"{self.missing} takes their place")
        return Finding(
            Severity.WARNING if self.missing == "reject" else Severity.NOTE,
            "lookup_outside",
            f"{outside:,} of {filled:,} filled {self.place} point at {self.parent} rows that this "
            f"plan does not move; unless an earlier run moved them {effect}.",
            mapping=self.mapping,
            field=self.field,
            rows=outside,
            fix=Fix.LOOKUP,
        )


def _lookup_counts(given: PreflightInput) -> Iterator[_LookupCount]:
    for entry, sides in given.described():
        for field in sides.target.references:
            policy = entry.lookup(field.name)
            path = policy.source or field.name
            parents = lookup_targets(entry, field, given.plan.objects)
            if len(parents) != 1 or path not in sides.source.fields or not field.is_writeable:
                continue
            parent = parents[0]
            base = f"({entry.where}) AND " if entry.where else ""
            scope = f" WHERE {parent.where}" if parent.where else ""
            count = f"SELECT COUNT() FROM {sides.source.name} WHERE {base}{path}"
            yield _LookupCount(
                mapping=entry.name,
                field=field.name,
                place=f"{entry.source}.{path}",
                parent=parent.source,
                missing=policy.missing,
                filled=f"{count} != null",
                within=f"{count} IN (SELECT Id FROM {parent.source}{scope})",
            )
