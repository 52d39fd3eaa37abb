"""What rows name outside the plan: owners and other users, queues, matched records, record types.

Cost: one grouping query per such lookup, one read of the users of either org, one query for the
target's inactive users.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, partial

from core.domain.findings import Finding, Fix, Severity
from core.domain.plan import Operation
from core.domain.soql import all_of
from core.errors import OrgbridgeError
from core.migration.lookups import record_types
from core.migration.match_tables import SEVERAL, MatchTables
from core.migration.preflight.inputs import CROWD_ROWS, PreflightInput, at_once, unknown
from core.migration.resolve import Resolved
from core.migration.spec import Lookup, Step

#: different ids that are asked for per lookup; with more the figures are floors
GROUPS_MAX = 2_000
#: values shown in a sentence
SHOWN = 3

Counts = Mapping[str, int]


def people_findings(given: PreflightInput, resolved: Resolved) -> list[Finding]:
    """Coverage of every lookup that leads out of the plan, inactive users, crowds of children."""
    checks = _Checks(given)
    writing = [
        step
        for step in resolved.steps
        if not step.operation.is_delete and step.operation is not Operation.PRESERVE
    ]
    return at_once(
        partial(_of_lookup, given, checks, step, lookup)
        for step in writing
        for lookup in step.lookups
        if lookup.source in step.source.fields
    )


def _of_lookup(
    given: PreflightInput, checks: _Checks, step: Step, lookup: Lookup
) -> Iterator[Finding]:
    try:
        yield from checks.of(step, lookup, _counts(given, step, lookup))
    except OrgbridgeError as error:
        if error.fact("code") == "INVALID_FIELD":  # the run's own query would be refused alike
            yield _no_match_field(step, lookup, error)
            return
        what = f"Coverage of {step.source.name}.{lookup.source}"
        yield unknown("lookup", what, error, mapping=step.name)


def _no_match_field(step: Step, lookup: Lookup, error: OrgbridgeError) -> Finding:
    return Finding(
        Severity.BLOCKER,
        "lookup_match_missing",
        f"{step.target.name}.{lookup.field.name} is matched by a field that is not there: "
        f"{error.happened}",
        mapping=step.name,
        field=lookup.field.name,
        fix=Fix.LOOKUP,
    )


class _Checks:
    """The checks of one preflight; tables of users are read once."""

    def __init__(self, given: PreflightInput) -> None:
        self._given = given
        self._tables = MatchTables(given.source, given.target)

    @cached_property
    def _inactive(self) -> frozenset[str]:
        rows = self._given.target.query("SELECT Id FROM User WHERE IsActive = false")
        return frozenset(str(row["Id"]) for row in rows)

    def of(self, step: Step, lookup: Lookup, counts: Counts) -> Iterator[Finding]:
        """All findings of one lookup."""
        yield from _crowds(step, lookup, counts, limit=self._given.crowd_rows)
        if lookup.is_record_type:
            yield from _record_types(step, lookup, counts)
            return
        if lookup.parents:
            return
        tables = list(self._tables.of(lookup))
        if not tables:
            return
        found: dict[str, str | None] = {}
        for source_id in counts:
            hits = (table.get(source_id[:15]) for table in tables)
            mapped = lookup.policy.map.get(source_id)
            found[source_id] = mapped or next((hit for hit in hits if hit is not None), None)
        yield from _missing(step, lookup, counts, found)
        yield from self._idle(step, lookup, counts, found)

    def _idle(
        self, step: Step, lookup: Lookup, counts: Counts, found: Mapping[str, str | None]
    ) -> Iterator[Finding]:
        if "User" not in lookup.field.reference_to or lookup.field.name.lower() != "ownerid":
            return
        rows = sum(n for one, n in counts.items() if (found[one] or "") in self._inactive)
        if not rows:
            return
        allowed = self._given.target.user_permissions().update_with_inactive_owner
        effect = (
            "the user may write them"
            if allowed
            else "the org refuses such rows (INACTIVE_OWNER_OR_USER)"
        )
        yield Finding(
            Severity.NOTE if allowed else Severity.WARNING,
            "inactive_owner",
            f"{rows:,} rows of {step.source.name} would belong to users that are inactive in the "
            f"target: {effect}.",
            mapping=step.name,
            field=lookup.field.name,
            rows=rows,
            fix=Fix.LOOKUP,
        )


def _counts(given: PreflightInput, step: Step, lookup: Lookup) -> dict[str, int]:
    """Rows by the id that the lookup names; empty where the org cannot group by it."""
    field = step.source.fields[lookup.source]
    if not field.groupable or not field.filterable:
        return {}
    conditions = [condition for condition in (step.mapping.where,) if condition]
    where = all_of([*conditions, f"{field.name} != null"])
    soql = (
        f"SELECT {field.name}, COUNT(Id) n FROM {step.source.name} WHERE {where}"
        f" GROUP BY {field.name} ORDER BY COUNT(Id) DESC LIMIT {GROUPS_MAX}"
    )
    return {str(row[field.name]): int(row["n"]) for row in given.source.query(soql)}


def _crowds(step: Step, lookup: Lookup, counts: Counts, *, limit: int) -> Iterator[Finding]:
    """More rows than an org carries well below one parent or owner (rule 3.12)."""
    for source_id, rows in counts.items():
        if rows > limit and not lookup.is_record_type:
            yield Finding(
                Severity.WARNING,
                "crowd",
                f"{rows:,} rows of {step.source.name} name one record by {lookup.source} "
                f"({source_id}): writes wait for each other's locks, sharing is computed again "
                "and again.",
                mapping=step.name,
                field=lookup.field.name,
                rows=rows,
                sample_ids=(source_id,),
                fix=Fix.LOAD,
            )


def _missing(
    step: Step, lookup: Lookup, counts: Counts, found: Mapping[str, str | None]
) -> Iterator[Finding]:
    lost = {one: n for one, n in counts.items() if found[one] is None}
    twice = {one: n for one, n in counts.items() if found[one] == SEVERAL}
    policy, place = lookup.policy, f"{step.source.name}.{lookup.source}"
    effect = {
        "reject": "those rows are blocked",
        "blank": "it is left blank there",
        "running_user": "the connected user takes their place",
    }.get(policy.missing, f"{policy.missing} takes their place")
    if lost:
        rows = sum(lost.values())
        crowd = rows > CROWD_ROWS and policy.missing not in ("reject", "blank")
        yield Finding(
            Severity.NOTE if policy.missing != "reject" and not crowd else Severity.WARNING,
            "lookup_unmatched",
            f"{len(lost):,} of {len(counts):,} records that {place} names have no counterpart in "
            f"the target ({rows:,} rows): {effect}.",
            mapping=step.name,
            field=lookup.field.name,
            rows=rows,
            sample_ids=tuple(list(lost)[:SHOWN]),
            is_sampled=len(counts) >= GROUPS_MAX,
            fix=Fix.LOOKUP,
        )
    if twice and policy.ambiguous != "first":
        rows = sum(twice.values())
        held = "blocked" if policy.ambiguous == "reject" else "left blank"
        yield Finding(
            Severity.WARNING,
            "lookup_ambiguous",
            f"{len(twice):,} records that {place} names match several records of the target "
            f"({rows:,} rows): {held}.",
            mapping=step.name,
            field=lookup.field.name,
            rows=rows,
            sample_ids=tuple(list(twice)[:SHOWN]),
            fix=Fix.LOOKUP,
        )
    if not lost and not twice and counts:
        yield Finding(
            Severity.PASSED,
            "lookup",
            f"All {len(counts):,} records that {place} names were found in the target.",
            mapping=step.name,
            field=lookup.field.name,
        )


def _record_types(step: Step, lookup: Lookup, counts: Counts) -> Iterator[Finding]:
    known = record_types(step, lookup)
    names = {kind.record_type_id[:15]: kind.developer_name for kind in step.source.record_types}
    for source_id, rows in counts.items():
        key = source_id[:15]
        kind = known.get(key)
        if key not in names or (kind is not None and kind.active):
            continue
        what = (
            f"Record type {names[key]} has no counterpart on {step.target.name}"
            if kind is None
            else f"Record type {kind.developer_name} of {step.target.name} is inactive"
        )
        blocked = "they are blocked" if lookup.policy.missing == "reject" else "it is left out"
        effect = blocked if kind is None else "the org refuses them"
        yield Finding(
            Severity.WARNING,
            "record_type_missing" if kind is None else "record_type_inactive",
            f"{what} ({rows:,} rows): {effect}.",
            mapping=step.name,
            field=lookup.field.name,
            rows=rows,
            fix=Fix.LOOKUP,
        )
