"""What will fire in the target when rows arrive: validation and duplicate rules, triggers, flows.

Cost: four queries in all, whatever the number of objects. An org that hides one of the tables gives
an *unknown* for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from core.domain.findings import Finding, Fix, Severity
from core.errors import OrgbridgeError
from core.migration.preflight.inputs import PreflightInput, unknown

#: names listed in a sentence
NAMES_SHOWN = 4

Query = Callable[[str], Iterator[dict[str, Any]]]

_VALIDATION = (
    "SELECT ValidationName, EntityDefinition.QualifiedApiName FROM ValidationRule"
    " WHERE Active = true"
)
_TRIGGERS = "SELECT Name, TableEnumOrId FROM ApexTrigger WHERE Status = 'Active'"
_DUPLICATES = "SELECT DeveloperName, SobjectType FROM DuplicateRule WHERE IsActive = true"
_FLOWS = (
    "SELECT ApiName, TriggerObjectOrEvent.QualifiedApiName FROM FlowDefinitionView"
    " WHERE IsActive = true AND TriggerType IN ('RecordBeforeSave', 'RecordAfterSave')"
)


def automation_findings(given: PreflightInput) -> Iterator[Finding]:
    """One warning per object and kind of automation that is active on it."""
    client = given.target
    tooling, plain = client.tooling_query, client.query
    checks: tuple[tuple[str, str, Query, str, str, str], ...] = (
        ("validation_rules", "validation rule", tooling, _VALIDATION, "ValidationName",
         "EntityDefinition"),
        ("triggers", "Apex trigger", tooling, _TRIGGERS, "Name", "TableEnumOrId"),
        ("duplicate_rules", "duplicate rule", plain, _DUPLICATES, "DeveloperName", "SobjectType"),
        ("flows", "record-triggered flow", plain, _FLOWS, "ApiName", "TriggerObjectOrEvent"),
    )  # fmt: skip
    for code, word, ask, soql, name_field, object_field in checks:
        try:
            rows = list(ask(soql))
        except OrgbridgeError as error:
            yield unknown(code, f"Active {word}s of the target", error)
            continue
        active = _names_by_object(rows, name_field, object_field)
        yield from _present(given, code=code, word=word, active=active)


def _present(
    given: PreflightInput, *, code: str, word: str, active: Mapping[str, list[str]]
) -> Iterator[Finding]:
    for entry in given.plan.objects:
        names = active.get(entry.target.lower(), [])
        if not names:
            continue
        shown = ", ".join(names[:NAMES_SHOWN]) + ("…" if len(names) > NAMES_SHOWN else "")
        plural = "s" if len(names) > 1 else ""
        yield Finding(
            Severity.WARNING,
            code,
            f"{len(names)} active {word}{plural} on {entry.target} will see every row: {shown}.",
            mapping=entry.name,
            fix=Fix.ORG,
        )


def _names_by_object(
    rows: list[dict[str, Any]], name_field: str, object_field: str
) -> dict[str, list[str]]:
    pairs = sorted((_object_of(row.get(object_field)), str(row.get(name_field))) for row in rows)
    return {key: [name for _, name in group] for key, group in groupby(pairs, lambda p: p[0])}


def _object_of(value: Any) -> str:
    """The object's name, whether it came as a text or inside a parent record."""
    name = value.get("QualifiedApiName") if isinstance(value, dict) else value
    return str(name or "").lower()
