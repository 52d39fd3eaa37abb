"""Names that a plan reads by or recognises rows by, against the describes.

A field that a rule copies is named by `core.migration.preflight.schema`; here is the rest: keys of
both sides, expressions, lookups, and what orders or narrows the rows. No org is asked. Of a path
(``Parent__r.Code__c``) the first step is looked up, since the parent's describe is not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from core.domain.describe import SObject
from core.domain.findings import Finding, Fix, Severity
from core.errors import UserError
from core.migration.preflight.inputs import PreflightInput
from core.migration.resolve import Resolved
from core.migration.spec import Step
from core.migration.transform import StepRules

#: what names a field, as a sentence begins with it
_WHO = {
    "key": "The key",
    "scope": "The scope",
    "load": "The order of loading",
    "lookup": "A lookup",
    "skip": "What is skipped",
}
_FIXES = {
    "key": Fix.KEY,
    "scope": Fix.FILTER,
    "load": Fix.LOAD,
    "lookup": Fix.LOOKUP,
    "skip": Fix.FIELD,
}


def name_findings(given: PreflightInput, resolved: Resolved) -> Iterator[Finding]:
    """A blocker for every name that no org has: the run would end at it. A field to skip that is
    not there is a warning: perhaps another one was meant, which is written now."""
    source, target = given.plan.source, given.plan.target
    for step in resolved.steps:
        mapping = step.mapping
        here, there = (step.source, source), (step.target, target)
        if mapping.key.value is None:
            yield from _missing(step, "key", mapping.key.source, of=here)
        yield from _missing(step, "key", mapping.key.target, of=there)
        yield from _missing(step, "scope", mapping.scope.within if mapping.scope else (), of=here)
        order = [mapping.load.order_by] if mapping.load.order_by else []
        yield from _missing(step, "load", order, of=here)
        yield from _missing(step, "lookup", [each.source for each in step.lookups], of=here)
        yield from _missing(step, "lookup", mapping.lookups, of=there)
        for finding in _missing(step, "skip", mapping.skip, of=there):
            yield replace(finding, severity=Severity.WARNING)
        yield from _rules(step)


def is_known(sobject: SObject, path: str) -> bool:
    """Whether a record has the field, or the relationship that the path begins with."""
    first, _, rest = path.partition(".")
    return first.lower() in sobject.by_relationship if rest else path in sobject.fields


def _missing(
    step: Step, what: str, paths: Iterable[str], *, of: tuple[SObject, str]
) -> Iterator[Finding]:
    sobject, org = of
    for path in paths:
        if not is_known(sobject, path):
            noun = "relationship" if "." in path else "field"
            yield Finding(
                Severity.BLOCKER,
                f"{what}_missing",
                f"{_WHO[what]} names {path.split('.')[0]}, a {noun} that {sobject.name} of {org} "
                "does not have, or that the connected user may not see.",
                mapping=step.name,
                field=path if what == "lookup" else None,
                fix=_FIXES[what],
            )


def _rules(step: Step) -> Iterator[Finding]:
    """A rule that does not hold over these describes, such as an expression over no field."""
    copied = (getattr(rule, "source", "") for rule in step.rules.values())
    plain = [path for path in copied if path and "." not in path]
    if any(path not in step.source.fields for path in plain):
        return  # named field by field
    if not all(is_known(step.source, lookup.source) for lookup in step.lookups):
        return
    try:
        StepRules(step, salt=b"preflight")
    except UserError as error:
        yield Finding(
            Severity.BLOCKER, "rule_wrong", error.happened, mapping=step.name, fix=Fix.FIELD
        )
