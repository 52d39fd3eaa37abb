"""Runs all checks of a plan and weighs what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from core.domain.findings import Finding, Fix, Severity, by_weight, is_ready
from core.domain.ordering import LoadOrder, load_order
from core.domain.plan import Operation
from core.errors import UserError, sentences
from core.migration.chunks import estimate
from core.migration.preflight import (
    automation,
    keys,
    objects,
    orgs,
    people,
    platform,
    samples,
    values,
)
from core.migration.preflight.inputs import PreflightInput, at_once
from core.migration.preflight.names import name_findings
from core.migration.resolve import Resolved, resolve
from core.plans.row_tests import row_test_findings

#: rows of one collections call
_CALL_ROWS = 200
#: from here on an object travels in bulk jobs, about this many calls each of 100,000 rows
_BULK_ROWS = 2_000
_BULK_CALLS = 12

#: checks of one schema against the other, that ask no org
SchemaChecks = Callable[[PreflightInput, Resolved], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """Everything that was found, the worst first."""

    findings: tuple[Finding, ...]
    order: LoadOrder
    #: rows in scope by mapping; mappings whose filter was refused are missing
    rows: Mapping[str, int] = field(default_factory=dict)
    #: API calls of the target, estimated
    api_calls: int = 0
    #: by mapping, the API that its rows would travel by and the requests or jobs it takes
    loads: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        """Nothing keeps the plan from being launched."""
        return is_ready(self.findings)

    def count(self, severity: Severity) -> int:
        """How many findings of that weight there are."""
        return sum(finding.severity is severity for finding in self.findings)


def preflight(given: PreflightInput, *, schema_checks: SchemaChecks) -> PreflightReport:
    """Every check; reads only.

    Args:
        schema_checks: the pure checks of one schema against the other.

    Cost: about 10 calls, two per keyed mapping and side, one per copied picklist and per lookup
    that leads out of the plan, one per twelve lookups inside it, and one reading of at most
    `scan_rows` rows per mapping.
    """
    described, missing = objects.with_describes(given)
    targets = {entry.target: sides.target for entry, sides in described.described()}
    if any(finding.code == objects.NO_ANSWER for finding in missing):
        return PreflightReport(by_weight(missing), load_order(described.plan.objects, targets))
    rows = objects.row_counts(described)
    calls = sum(map(_calls_for, rows.values()))
    resolved, wrong = _resolved(described) if not missing else (None, ())
    checks: list[Callable[[], Iterable[Finding]]] = [
        partial(objects.object_findings, described),
        partial(objects.count_findings, described, rows),
        *(_rule_checks(described, resolved, schema_checks, rows=rows) if resolved else ()),
        partial(keys.key_findings, described, rows),
        partial(values.lookup_findings, described),
        partial(automation.automation_findings, described),
        partial(orgs.org_findings, described, rows=rows, calls=calls),
    ]
    found = [*missing, *wrong, *at_once(checks)]
    return PreflightReport(
        by_weight(found),
        order=load_order(described.plan.objects, targets),
        rows=rows,
        api_calls=calls,
        loads=_loads(resolved, rows) if resolved else {},
    )


def _loads(resolved: Resolved, rows: Mapping[str, int]) -> dict[str, tuple[str, int]]:
    """The choice by cost, as if every row in scope were new."""
    writing = [step for step in resolved.steps if step.operation is not Operation.PRESERVE]
    return {s.name: estimate(s, rows[s.name]) for s in writing if rows.get(s.name)}


def _resolved(given: PreflightInput) -> tuple[Resolved | None, tuple[Finding, ...]]:
    """The plan with everything said, or why it cannot be."""
    sources = {entry.source.lower(): sides.source for entry, sides in given.described()}
    targets = {entry.target.lower(): sides.target for entry, sides in given.described()}
    try:
        return resolve(given.plan, sources, targets), ()
    except UserError as error:
        sentence = sentences(error.happened, error.next_step)
        return None, (Finding(Severity.BLOCKER, "plan_wrong", sentence, fix=Fix.FIELD),)


def _rule_checks(
    given: PreflightInput,
    resolved: Resolved,
    schema_checks: SchemaChecks,
    *,
    rows: Mapping[str, int],
) -> list[Callable[[], Iterable[Finding]]]:
    """Checks of the rules as they will be applied."""
    rules = {step.name: step.rules for step in resolved.steps}
    return [
        partial(_plan_findings, given, resolved, schema_checks),
        partial(values.picklist_findings, given, rules),
        partial(platform.platform_findings, given, resolved),
        partial(people.people_findings, given, resolved),
        partial(samples.sample_findings, given, resolved, rows),
    ]


def _plan_findings(
    given: PreflightInput, resolved: Resolved, schema_checks: SchemaChecks
) -> Iterable[Finding]:
    """Checks that ask no org."""
    cycles = [
        Finding(Severity.BLOCKER, "cycle", cycle.sentence, mapping=cycle.names[0], fix=Fix.OBJECTS)
        for cycle in resolved.cycles
    ]
    tests = (
        finding
        for step in resolved.steps
        for finding in row_test_findings(step.mapping, step.source, step.target)
    )
    return [*cycles, *name_findings(given, resolved), *schema_checks(given, resolved), *tests]


def _calls_for(rows: int) -> int:
    if rows < _BULK_ROWS:
        return -(-rows // _CALL_ROWS)
    return _BULK_CALLS * -(-rows // 100_000)
