"""What every check is given: the plan, both orgs, and what is known of them already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from core.domain.describe import SObject
from core.domain.findings import Finding, Fix, Severity
from core.domain.plan import ObjectMapping, Plan
from core.errors import OrgbridgeError
from core.salesforce.client import OrgClient
from core.salesforce.source import RowSource

#: rows of one object that the checks of a plan look at; beyond, they say that they saw a part
SCAN_ROWS = 50_000
#: the same when a run checks itself: what the plan's check found is not looked for at length again
RUN_SCAN_ROWS = 2_000
#: rows that fall to one owner or parent: more of them wait for each other (rule 3.12)
CROWD_ROWS = 10_000
#: checks that wait for an org's answer side by side; a check that asks for several mappings asks
#: for as many of them at once
CHECKS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Sides:
    """Both describes of one object mapping."""

    source: SObject
    target: SObject
    #: fields that came or went since the describes were last read
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PreflightInput:
    """A plan and the orgs it is about."""

    plan: Plan
    source: RowSource
    target: OrgClient
    #: by mapping name; mappings whose describes failed are missing and have a finding of their own
    sides: Mapping[str, Sides] = field(default_factory=dict)
    #: ids of other unfinished runs that write to the same target org
    other_runs: tuple[str, ...] = ()
    #: runs that stopped and would insert, when resumed, what this plan inserts too
    stopped_runs: tuple[str, ...] = ()
    #: the target refuses writes by a switch of ours
    is_read_only: bool = False
    scan_rows: int = RUN_SCAN_ROWS
    #: rows below one parent or owner from which on it is named
    crowd_rows: int = CROWD_ROWS
    #: describes are asked for anew, and what changed in them is told
    refresh: bool = False

    def described(self) -> tuple[tuple[ObjectMapping, Sides], ...]:
        """The object mappings that can be checked, with their describes."""
        return tuple(
            (entry, self.sides[entry.name])
            for entry in self.plan.objects
            if entry.name in self.sides
        )


def at_once(checks: Iterable[Callable[[], Iterable[Finding]]]) -> list[Finding]:
    """What the checks find, in their order; they wait for the orgs side by side."""

    def findings(check: Callable[[], Iterable[Finding]]) -> list[Finding]:
        return list(check())

    with ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="check") as pool:
        return [finding for found in pool.map(findings, checks) for finding in found]


def unknown(code: str, what: str, error: OrgbridgeError, *, mapping: str | None = None) -> Finding:
    """The finding of a check that could not run."""
    return Finding(
        Severity.UNKNOWN,
        code,
        f"{what} could not be checked: {error.happened}",
        mapping=mapping,
        fix=Fix.ORG,
    )
