"""Checks on the objects of a plan: there, readable, writeable by the operation, and how many rows.

Cost: one describe per object and side (cached), one counting call per 25 objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from core.domain.describe import SObject
from core.domain.findings import Finding, Fix, Severity
from core.domain.plan import ObjectMapping, Operation, Rows
from core.domain.soql import all_of
from core.errors import (
    DailyLimitError,
    LostError,
    OrgbridgeError,
    SessionLostError,
    TransientError,
)
from core.migration.preflight.inputs import PreflightInput, Sides
from core.salesforce.source import RowSource

#: describes asked of one org at the same time
DESCRIBES_AT_ONCE = 6
#: code of the finding that an org does not answer: nothing else can be asked of it
NO_ANSWER = "org_does_not_answer"
#: the org itself does not answer, whatever it is asked for
_OF_THE_ORG = (TransientError, LostError, SessionLostError, DailyLimitError)


def with_describes(given: PreflightInput) -> tuple[PreflightInput, tuple[Finding, ...]]:
    """The input with the describes of every object, and a blocker for each that is missing, or one
    (`NO_ANSWER`) for an org that does not answer."""
    with ThreadPoolExecutor(DESCRIBES_AT_ONCE) as pool:
        answers = list(pool.map(lambda entry: _described(given, entry), given.plan.objects))
    sides: dict[str, Sides] = {}
    findings: list[Finding] = []
    for entry, answer in zip(given.plan.objects, answers, strict=True):
        if isinstance(answer, Sides):
            sides[entry.name] = answer
        else:
            findings.append(answer)
    return replace(given, sides=sides), tuple(dict.fromkeys(findings))


def object_findings(given: PreflightInput) -> Iterator[Finding]:
    """Whether the connected users may do to each object what its operation needs."""
    for entry, sides in given.described():
        if not sides.source.queryable:
            yield _refused(entry, f"{entry.source} cannot be queried in {given.plan.source}")
        yield from _operation_allowed(given, entry, sides.target)
        if sides.changed:
            yield Finding(
                Severity.NOTE,
                "describe_was_stale",
                f"Fields came or went since {entry.source} and {entry.target} were last described: "
                f"{', '.join(sides.changed[:4])}{'…' if len(sides.changed) > 4 else ''}. The plan "
                "was checked against the new ones.",
                mapping=entry.name,
                fix=Fix.FIELD,
            )


def row_counts(given: PreflightInput) -> dict[str, int]:
    """Rows in scope of each mapping by its filter; mappings that were refused are missing."""
    entries = [entry for entry, _ in given.described() if entry.rows is Rows.LIVE]
    answers = given.source.counts([_count_soql(entry) for entry in entries])
    found = {
        entry.name: answer
        for entry, answer in zip(entries, answers, strict=True)
        if not isinstance(answer, OrgbridgeError)
    }
    for entry, sides in given.described():
        if entry.rows is not Rows.LIVE:
            try:
                found[entry.name] = _count_archived(given, entry, sides.source)
            except OrgbridgeError:  # named by `count_findings`
                continue
    return found


def count_findings(given: PreflightInput, counts: dict[str, int]) -> Iterator[Finding]:
    """A blocker for a filter that the source refuses, a note for an object without rows."""
    for entry, sides in given.described():
        if entry.name not in counts:
            why = _refusal(given, entry, sides.source)
            yield Finding(
                Severity.BLOCKER,
                "filter_refused",
                f"{given.plan.source} refuses to count {entry.source}"
                + (f" with the filter {entry.where}" if entry.where else "")
                + f": {why}",
                mapping=entry.name,
                fix=Fix.FILTER,
            )
        elif counts[entry.name] == 0:
            yield Finding(
                Severity.NOTE,
                "no_rows",
                f"{entry.source} has no rows in scope.",
                mapping=entry.name,
                rows=0,
                fix=Fix.FILTER,
            )


def _refusal(given: PreflightInput, entry: ObjectMapping, source: SObject) -> str:
    """What the source says against counting; it is asked once more, since nobody kept it."""
    try:
        if entry.rows is not Rows.LIVE:
            _count_archived(given, entry, source)
            return "it did so a moment ago."
        (answer,) = given.source.counts([_count_soql(entry)])
    except OrgbridgeError as refused:
        return refused.happened
    return answer.happened if isinstance(answer, OrgbridgeError) else "it did so a moment ago."


def _described(given: PreflightInput, entry: ObjectMapping) -> Sides | Finding:
    found: list[SObject] = []
    changed: list[str] = []
    asked: tuple[tuple[RowSource, str, str], ...] = (
        (given.source, entry.source, given.plan.source),
        (given.target, entry.target, given.plan.target),
    )
    for client, sobject, org in asked:
        try:
            known = client.describe(sobject)
            now = client.describe(sobject, refresh=True) if given.refresh else known
            changed += [f"{org}.{name}" for name in sorted(set(known.fields) ^ set(now.fields))]
            found.append(now)
        except _OF_THE_ORG as error:
            sentence = f"{org} could not be asked: {error.happened}"
            return Finding(Severity.BLOCKER, NO_ANSWER, sentence, fix=Fix.ORG)
        except OrgbridgeError as error:
            return Finding(
                Severity.BLOCKER,
                "object_missing",
                f"{org} does not show {sobject} to the connected user: {error.happened}",
                mapping=entry.name,
                fix=Fix.OBJECTS,
            )
    return Sides(found[0], found[1], tuple(changed))


def _operation_allowed(
    given: PreflightInput, entry: ObjectMapping, target: SObject
) -> Iterator[Finding]:
    org = given.plan.target
    inserts = entry.operation in (Operation.INSERT, Operation.UPSERT)
    updates = entry.operation in (Operation.UPDATE, Operation.UPSERT)
    if inserts and not target.createable:
        yield _refused(entry, f"{target.name} cannot be created in {org} by the connected user")
    if updates and not target.updateable:
        severity = Severity.WARNING if inserts else Severity.BLOCKER
        yield replace(
            _refused(entry, f"{target.name} cannot be updated in {org}: matched rows stay as is"),
            severity=severity,
        )
    if entry.operation.is_delete and not target.deletable:
        yield _refused(entry, f"{target.name} cannot be deleted in {org} by the connected user")


def _refused(entry: ObjectMapping, sentence: str) -> Finding:
    return Finding(
        Severity.BLOCKER,
        "object_not_allowed",
        sentence + ".",
        mapping=entry.name,
        fix=Fix.OBJECTS,
    )


def _count_archived(given: PreflightInput, entry: ObjectMapping, source: SObject) -> int:
    """Rows by queryAll, which alone finds archived ones (rule 1.2)."""
    conditions = [entry.where or ""]
    if entry.rows is Rows.ARCHIVED:
        conditions.append("IsArchived = true")
    if "IsDeleted" in source.fields:
        conditions.append("IsDeleted = false")
    where = all_of(conditions)
    soql = f"SELECT COUNT(Id) n FROM {entry.source}" + (f" WHERE {where}" if where else "")
    return sum(int(row["n"]) for row in given.source.query(soql, all_rows=True))


def _count_soql(entry: ObjectMapping) -> str:
    where = f" WHERE {entry.where}" if entry.where else ""
    return f"SELECT COUNT() FROM {entry.source}{where}"
