"""Keys against the real data: filled, and unique, on both sides (rules 2.2 and 2.3).

Cost: per keyed mapping one grouping query and one count a side. Fields that an org cannot group by
are answered with *unknown*: the run itself blocks repeated keys all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from core.domain.describe import SObject
from core.domain.findings import SAMPLE_IDS_MAX, Finding, Fix, Severity
from core.domain.plan import ObjectMapping
from core.errors import OrgbridgeError
from core.migration.preflight.inputs import PreflightInput, Sides, at_once, unknown
from core.migration.preflight.names import is_known
from core.salesforce.source import RowSource

#: groups of repeated keys that are counted exactly; with more the figure is a floor
GROUPS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class _Side:
    """One object of one org with the paths of its key."""

    word: str
    org: str
    client: RowSource
    sobject: SObject
    paths: tuple[str, ...]
    where: str | None


def key_findings(given: PreflightInput, rows: Mapping[str, int]) -> list[Finding]:
    """Blank and repeated keys per mapping, and keys that the org does not hold to be unique.

    Args:
        rows: rows in scope by mapping.
    """
    keyed = [one for one in given.described() if not one[0].key.is_ledger]
    return at_once(partial(_findings_of, given, *one, rows) for one in keyed)


def _findings_of(
    given: PreflightInput, entry: ObjectMapping, sides: Sides, rows: Mapping[str, int]
) -> Iterator[Finding]:
    plan = given.plan
    target = _Side("target", plan.target, given.target, sides.target, tuple(entry.key.target), None)
    source = _Side(
        "source", plan.source, given.source, sides.source, tuple(entry.key.source), entry.where
    )
    yield from _uniqueness_by_describe(entry, sides.target)
    # a key made by an expression is not a field of the source: its parts need not be unique
    checked = (target,) if entry.key.value else (source, target)
    for side in checked:
        for finding in _side_findings(entry, side):
            yield _blocking(entry, finding, rows.get(entry.name, 0))


def _uniqueness_by_describe(entry: ObjectMapping, target: SObject) -> Iterator[Finding]:
    name = entry.key.target[0]
    if entry.key.is_composite or name not in target.fields:
        return
    field = target.fields[name]
    if not field.unique and field.type != "id":
        yield Finding(
            Severity.WARNING,
            "key_not_unique_field",
            f"{target.name}.{field.name} is not held to be unique by the org: an answer that is "
            "lost on the way costs a query before anything is sent again.",
            mapping=entry.name,
            field=field.name,
            fix=Fix.KEY,
        )


def _side_findings(entry: ObjectMapping, side: _Side) -> Iterator[Finding]:
    what = f"The key of {side.sobject.name} in {side.org}"
    if not all(is_known(side.sobject, path) for path in side.paths):
        return  # a blocker names it
    if not all(_is_groupable(side.sobject, path) for path in side.paths):
        yield Finding(
            Severity.UNKNOWN,
            f"key_{side.word}",
            f"{what} cannot be grouped by the org; repeated keys are found when rows are read.",
            mapping=entry.name,
            fix=Fix.KEY,
        )
        return
    try:
        blank = side.client.count(_blank_soql(side))
        groups = list(side.client.query(_groups_soql(side)))
    except OrgbridgeError as error:
        yield unknown(f"key_{side.word}", what, error, mapping=entry.name)
        return
    if blank:
        yield _blank_finding(entry, side, blank)
    if groups:
        yield _repeated_finding(entry, side, [int(group["n"]) for group in groups])
    if not blank and not groups:
        yield Finding(
            Severity.PASSED,
            f"key_{side.word}",
            f"{what} is filled and unique.",
            mapping=entry.name,
        )


def _blank_finding(entry: ObjectMapping, side: _Side, blank: int) -> Finding:
    parts = " or ".join(side.paths)
    if side.word == "target":
        sentence = f"{blank:,} rows of {side.sobject.name} in {side.org} have no {parts}."
        return Finding(Severity.NOTE, "key_blank_target", sentence, mapping=entry.name, rows=blank)
    effect = (
        "they are matched with that part blank"
        if entry.key.is_composite
        else "they cannot be recognised and are blocked"
    )
    return Finding(
        Severity.WARNING,
        "key_blank_source",
        f"{blank:,} rows of {side.sobject.name} have no {parts}: {effect}.",
        mapping=entry.name,
        rows=blank,
        sample_ids=_sample_ids(side),
        fix=Fix.KEY,
    )


def _repeated_finding(entry: ObjectMapping, side: _Side, sizes: list[int]) -> Finding:
    rows, is_floor = sum(sizes), len(sizes) >= GROUPS_MAX
    at_least = "at least " if is_floor else ""
    occur = "key of {} in {} occurs" if len(sizes) == 1 else "keys of {} in {} occur"
    return Finding(
        Severity.WARNING,
        f"key_repeated_{side.word}",
        f"{at_least}{len(sizes):,} {occur.format(side.sobject.name, side.org)} more than once "
        f"({at_least}{rows:,} rows): rows with such a key are blocked.",
        mapping=entry.name,
        rows=rows,
        is_sampled=is_floor,
        fix=Fix.KEY,
    )


def _blocking(entry: ObjectMapping, finding: Finding, rows: int) -> Finding:
    """Too large a share of repeated keys keeps the whole plan back (rule 2.3)."""
    limit = entry.duplicates.block_above
    share = (finding.rows or 0) / rows if rows else 0.0
    if finding.code != "key_repeated_source" or share <= limit:
        return finding
    sentence = f"{finding.sentence} That is {share:.1%}, more than the {limit:.1%} allowed."
    return replace(finding, severity=Severity.BLOCKER, sentence=sentence)


def _is_groupable(sobject: SObject, path: str) -> bool:
    """By the describe for a field of its own; a path is tried, since its describe is not here."""
    if "." in path:
        return True
    return path in sobject.fields and sobject.fields[path].groupable


def _blank_soql(side: _Side) -> str:
    blank = " OR ".join(f"{path} = null" for path in side.paths)
    return f"SELECT COUNT() FROM {side.sobject.name} WHERE {_and(side.where, f'({blank})')}"


def _groups_soql(side: _Side) -> str:
    named = ", ".join(side.paths)
    filled = " AND ".join(f"{path} != null" for path in side.paths[:1])
    return (
        f"SELECT {named}, COUNT(Id) n FROM {side.sobject.name} "
        f"WHERE {_and(side.where, filled)} GROUP BY {named} HAVING COUNT(Id) > 1 LIMIT {GROUPS_MAX}"
    )


def _sample_ids(side: _Side) -> tuple[str, ...]:
    blank = " OR ".join(f"{path} = null" for path in side.paths)
    soql = f"SELECT Id FROM {side.sobject.name} WHERE {_and(side.where, f'({blank})')}"
    found = side.client.query(f"{soql} LIMIT {SAMPLE_IDS_MAX}")
    return tuple(str(row["Id"]) for row in found)


def _and(where: str | None, condition: str) -> str:
    return f"({where}) AND {condition}" if where else condition
