"""Runs all checks of a plan and weighs what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from core.domain.findings import Finding, Severity, by_weight, is_ready
from core.domain.ordering import LoadOrder, load_order
from core.domain.plan import RuleBase
from core.migration.preflight import automation, keys, objects, orgs, values
from core.migration.preflight.inputs import PreflightInput

#: rows of one collections call
_CALL_ROWS = 200
#: from here on an object travels in bulk jobs, about this many calls each of 100,000 rows
_BULK_ROWS = 2_000
_BULK_CALLS = 12

#: schema-only checks over one input, and what every rule of a mapping is
SchemaCheck = Callable[[PreflightInput, LoadOrder], Iterable[Finding]]
RulesOf = Callable[[PreflightInput], Mapping[str, Mapping[str, RuleBase]]]


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """Everything that was found, the worst first."""

    findings: tuple[Finding, ...]
    order: LoadOrder
    #: rows in scope by mapping; mappings whose filter was refused are missing
    rows: Mapping[str, int] = field(default_factory=dict)
    #: API calls of the target, estimated
    api_calls: int = 0

    @property
    def is_ready(self) -> bool:
        """Nothing keeps the plan from being launched."""
        return is_ready(self.findings)

    def count(self, severity: Severity) -> int:
        """How many findings of that weight there are."""
        return sum(finding.severity is severity for finding in self.findings)


def preflight(
    given: PreflightInput, *, schema_checks: SchemaCheck, rules_of: RulesOf
) -> PreflightReport:
    """Every check; reads only.

    Args:
        schema_checks: the pure checks of one schema against the other.
        rules_of: every rule that will be applied by mapping, auto-map included.

    Cost: about 10 calls, two per keyed mapping and side, one per copied picklist, and one per
    twelve lookups.
    """
    described, missing = objects.with_describes(given)
    targets = {entry.target: sides.target for entry, sides in described.described()}
    order = load_order(described.plan.objects, targets)
    rows = objects.row_counts(described)
    calls = sum(map(_calls_for, rows.values()))
    found = [
        *missing,
        *objects.object_findings(described),
        *objects.count_findings(described, rows),
        *schema_checks(described, order),
        *keys.key_findings(described),
        *values.picklist_findings(described, rules_of(described)),
        *values.lookup_findings(described),
        *automation.automation_findings(described),
        *orgs.org_findings(described, rows=sum(rows.values()), calls=calls),
    ]
    return PreflightReport(by_weight(found), order=order, rows=rows, api_calls=calls)


def _calls_for(rows: int) -> int:
    if rows < _BULK_ROWS:
        return -(-rows // _CALL_ROWS)
    return _BULK_CALLS * -(-rows // 100_000)
