"""What a check found: one sentence with its weight, its size and the way to its mend.

Checks over schemas, data and orgs all answer with findings; a report is a list of them. A blocker
keeps a plan from being launched, a warning does not, a note is worth knowing, and a passed check is
listed so that people see what was looked at. A check that could not run says so (unknown) and
weighs as a warning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

#: ids shown with a finding; the rest are counted
SAMPLE_IDS_MAX = 5


class Severity(StrEnum):
    """How much a finding weighs."""

    BLOCKER = "blocker"  # not launched before it is mended
    WARNING = "warning"  # launched all the same, with this effect
    UNKNOWN = "unknown"  # the check could not run
    NOTE = "note"  # worth knowing
    PASSED = "passed"  # looked at and found well


_ORDER = {severity: place for place, severity in enumerate(Severity)}


class Fix(StrEnum):
    """Where a finding is mended."""

    FIELD = "field"  # the field's row in the plan editor
    LOOKUP = "lookup"  # the lookup's policy in the plan editor
    KEY = "key"  # the object's key
    FILTER = "filter"  # the object's filter
    LOAD = "load"  # the object's load options
    OBJECTS = "objects"  # the plan's list of objects
    ORG = "org"  # the org's page, or the org itself
    DATA = "data"  # rows of the source or the target
    RUN = "run"  # another run, or when to start


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check."""

    severity: Severity
    #: stable word for tests, filters and help: ``required_unmapped``
    code: str
    #: what is the case, and its effect, as an analyst would say it
    sentence: str
    #: name of the object mapping (`as`), None for the plan or an org as a whole
    mapping: str | None = None
    #: target field, when one is meant
    field: str | None = None
    #: rows it touches; None when it was not counted or rows are not meant
    rows: int | None = None
    #: some source ids, at most SAMPLE_IDS_MAX
    sample_ids: tuple[str, ...] = ()
    #: rows were looked at in part; `rows` counts only those
    is_sampled: bool = False
    fix: Fix | None = None

    @property
    def place(self) -> str:
        """Mapping and field as a plan file names them; empty for the whole plan."""
        return ".".join(part for part in (self.mapping, self.field) if part)


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Blockers first, then by mapping and field; the order within a weight is stable.

    >>> note = Finding(Severity.NOTE, "a", "…")
    >>> stop = Finding(Severity.BLOCKER, "b", "…")
    >>> [finding.code for finding in by_weight([note, stop])]
    ['b', 'a']
    """
    return tuple(sorted(findings, key=lambda f: (_ORDER[f.severity], f.mapping or "")))


def is_ready(findings: Iterable[Finding]) -> bool:
    """No finding keeps the plan from being launched."""
    return all(finding.severity is not Severity.BLOCKER for finding in findings)
