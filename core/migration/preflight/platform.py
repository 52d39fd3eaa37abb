"""What the platform itself does with these objects: the object book, persons, currencies, audit.

Cost: one count per object that may hold persons, one grouping query per object whose currencies
would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.domain.findings import Finding, Fix, Severity
from core.domain.object_book import object_book
from core.domain.ordering import EdgeKind
from core.domain.plan import Operation
from core.errors import OrgbridgeError
from core.migration.preflight.inputs import PreflightInput, unknown
from core.migration.resolve import Resolved
from core.migration.spec import Step

_AUDIT = frozenset({"createddate", "createdbyid", "lastmodifieddate", "lastmodifiedbyid"})
_CURRENCY = "CurrencyIsoCode"


def platform_findings(given: PreflightInput, resolved: Resolved) -> Iterator[Finding]:
    """All checks of this module."""
    yield from _by_the_book(resolved)
    for step in resolved.steps:
        if step.operation.is_delete or step.operation is Operation.PRESERVE:
            continue
        yield from _never_copied(step)
        yield from _audit_and_second_pass(step)
        try:
            yield from _persons(given, step)
            yield from _currencies(given, step)
        except OrgbridgeError as error:
            yield unknown("platform", f"Rows of {step.source.name}", error, mapping=step.name)


def _by_the_book(resolved: Resolved) -> Iterator[Finding]:
    """What the object book changed or ordered, with its reason (rule 4.2)."""
    for note in resolved.notes:
        yield Finding(
            Severity.NOTE, "object_book", note.sentence, mapping=note.mapping, field=note.field
        )
    for edge in resolved.order.edges:
        if edge.kind is EdgeKind.BOOK:
            yield Finding(
                Severity.NOTE,
                "object_book",
                f"{edge.child} loads after {edge.parent}: {edge.reason}.",
                mapping=edge.child,
            )


def _never_copied(step: Step) -> Iterator[Finding]:
    reason = object_book().reason_never_copied(step.target.name)
    if reason is not None:
        yield Finding(
            Severity.WARNING,
            "never_copied",
            f"{step.target.name} is not moved as data: {reason}.",
            mapping=step.name,
            fix=Fix.OBJECTS,
        )


def _audit_and_second_pass(step: Step) -> Iterator[Finding]:
    """A second pass is an update, and writes who changed the row last (rule 3.9)."""
    sets = [name for name in step.columns if name.lower() in _AUDIT]
    waits = [k.field.name for k in step.lookups if k.deferred or k.own]
    if sets and (waits or step.mapping.final_fields):
        later = [*waits, *step.mapping.final_fields]
        yield Finding(
            Severity.WARNING,
            "audit_second_pass",
            f"{step.target.name} sets {', '.join(sets)}, and {', '.join(later)} may be filled by "
            "an update afterwards: it changes when and by whom the row was last modified.",
            mapping=step.name,
            field=later[0],
            fix=Fix.LOOKUP,
        )


def _persons(given: PreflightInput, step: Step) -> Iterator[Finding]:
    source, target = step.source, step.target
    if not source.is_person_account_enabled or target.is_person_account_enabled:
        return
    if source.name.lower() != "account":
        return
    rows = given.source.count("SELECT COUNT() FROM Account WHERE IsPersonAccount = true")
    if not rows:
        return
    yield Finding(
        Severity.WARNING,
        "persons_become_businesses",
        f"{rows:,} accounts of the source are persons and the target has no person accounts: they "
        "become business accounts, their contacts plain contacts.",
        mapping=step.name,
        rows=rows,
        fix=Fix.ORG,
    )


def _currencies(given: PreflightInput, step: Step) -> Iterator[Finding]:
    """Amounts whose currency the target cannot hold."""
    source, target = step.source, step.target
    amounts = [n for n in step.rules if target.fields[n].type == "currency"]
    if _CURRENCY not in source.fields or not amounts:
        return
    if _CURRENCY in target.fields:
        if _CURRENCY not in step.rules:
            yield Finding(
                Severity.WARNING,
                "currency_unmapped",
                f"{target.name}.{_CURRENCY} is not mapped: amounts get the user's own currency.",
                mapping=step.name,
                field=_CURRENCY,
                fix=Fix.FIELD,
            )
        return
    if not source.fields[_CURRENCY].groupable:
        return
    soql = f"SELECT {_CURRENCY}, COUNT(Id) n FROM {source.name} GROUP BY {_CURRENCY}"
    counts = {str(row[_CURRENCY]): int(row["n"]) for row in given.source.query(soql)}
    if len(counts) > 1:
        named = ", ".join(f"{code} {n:,}" for code, n in sorted(counts.items()))
        yield Finding(
            Severity.WARNING,
            "currency_lost",
            f"The target knows one currency; rows of {source.name} have several ({named}): "
            f"amounts such as {amounts[0]} keep their number and lose their currency.",
            mapping=step.name,
            field=amounts[0],
            rows=sum(counts.values()),
            fix=Fix.FIELD,
        )
