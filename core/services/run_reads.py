"""What pages show of runs: lists with counts, one run with its progress, why rows failed.

Every figure comes from the step totals that the terminal prints as well.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import roles
from core.db import brought_later, orgs, retries, run_reads, runs
from core.db.brought_later import FilledLater
from core.db.run_reads import (
    TICKS,
    CarriedMapping,
    DayCount,
    FailureLine,
    GroupLine,
    InFlight,
    Relative,
    RunLine,
    RunTotals,
    StepLine,
    Tick,
    UnfilledLine,
    Week,
)
from core.db.runs import RunRow
from core.domain.roles import Actor, Role
from core.domain.states import FINISHED_RUNS, NOTHING_BROUGHT, RunState
from core.domain.usual_fixes import UsualFix, usual_fix

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge

__all__ = [
    "TICKS",
    "CarriedMapping",
    "DayCount",
    "FailureLine",
    "FilledLater",
    "GroupLine",
    "InFlight",
    "Relative",
    "RunLine",
    "RunRow",
    "RunTotals",
    "StepLine",
    "Tick",
    "UnfilledLine",
]

OVERVIEW_DAYS = 7
#: how far back the list of runs tells of days
HISTORY_DAYS = 30
WAITING = (RunState.WAITING_DECISION, RunState.WAITING_APPROVAL, RunState.PAUSED)
UNDER_WAY = (RunState.CHECKING, RunState.RUNNING, RunState.PAUSING, RunState.CANCELLING)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; empty means all."""

    statuses: tuple[str, ...] = ()
    plan_id: UUID | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of a list."""

    rows: tuple[RunLine, ...]
    total: int
    #: runs by status that the rest of the filter matches
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunView:
    """One run with how far it is."""

    row: RunRow
    steps: tuple[StepLine, ...]
    totals: RunTotals
    #: since it began, until its end or now; None before
    seconds: float | None
    #: of them, how long it waited for a person, or for somebody to carry it
    waited_s: float
    #: an estimate from the speed so far; None when nothing moves, or no row is left to load
    seconds_left: float | None
    #: while it was carried
    rows_per_s: int
    #: the run that it undoes or retries, then those that undo or retry it
    relatives: tuple[Relative, ...] = ()
    #: API calls that source and target have left today, of the org that has fewer; None if unknown
    calls_left: int | None = None
    #: rows per second of the former run of the same plan and mode; None where there is none
    former_rows_per_s: int | None = None
    #: of the lookups and last fields that it left out, what later runs filled in
    filled_later: tuple[FilledLater, ...] = ()
    #: of the rows that did not arrive, how many have since, in a retry
    arrived_later: int = 0
    #: a later run of the whole plan that left nothing behind
    made_good_by: str | None = None

    @property
    def still_failed(self) -> int:
        """Rows that are open to this day: not arrived, and not out of the plan's scope since."""
        left = max(0, self.totals.failed - self.arrived_later)
        return 0 if self.made_good_by else left

    @property
    def still_unfilled(self) -> int:
        """Lookups, and rows with their last fields, that are without a value to this day."""
        left_out = self.totals.lookups_left_blank + self.totals.last_fields_left
        left = max(0, left_out - sum(one.values for one in self.filled_later))
        return 0 if self.made_good_by else left

    @property
    def api_calls(self) -> int:
        """Calls of both orgs so far."""
        calls = self.row.summary.get("api_calls", {})
        return int(calls.get("source", 0)) + int(calls.get("target", 0))


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one kind, with what people usually do about them."""

    line: GroupLine
    fix: UsualFix


@dataclass(frozen=True, slots=True)
class Overview:
    """What the home page shows of runs."""

    week: Week
    running: int
    waiting: tuple[RunLine, ...]
    recent: tuple[RunLine, ...]


def listed(
    bridge: Orgbridge, actor: Actor, chosen: RunFilter, *, page: int = 1, page_rows: int = 200
) -> RunPage:
    """A page of runs, the newest first; pages count from 1."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        found = run_reads.lines(
            session,
            statuses=chosen.statuses,
            plan_id=chosen.plan_id,
            needle=chosen.text,
            offset=(max(1, page) - 1) * page_rows,
            limit=page_rows,
        )
        counts = run_reads.counts_by_status(session, plan_id=chosen.plan_id, needle=chosen.text)
    kept = chosen.statuses or tuple(counts)
    return RunPage(tuple(found), sum(counts.get(status, 0) for status in kept), counts)


def counts(bridge: Orgbridge, actor: Actor, chosen: RunFilter) -> Mapping[str, int]:
    """Runs by status that the rest of a filter matches; a status without any is left out."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return run_reads.counts_by_status(session, plan_id=chosen.plan_id, needle=chosen.text)


def shown(bridge: Orgbridge, actor: Actor, name: str) -> RunView:
    """One run as it stands; a few small reads, polled by the live page.

    Raises:
        NotFoundError: the workspace has no such run.
    """
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        row = runs.run_named(session, name)
        steps = tuple(run_reads.steps(session, row.id))
        totals = run_reads.totals(session, row.id)
        relatives = tuple(run_reads.relatives(session, row.id))
        calls_left = _calls_left(session, row, bridge.clock())
        before = run_reads.former(session, row)
        left_out = totals.lookups_left_blank + totals.last_fields_left
        filled = brought_later.filled_later(session, row.id) if left_out and relatives else ()
        later = brought_later.rows_resolved(session, row.id) if totals.failed and relatives else 0
        behind = bool(totals.failed or left_out) and row.mode not in NOTHING_BROUGHT
        over = row.status in FINISHED_RUNS and row.plan_id is not None
        good = brought_later.made_good_by(session, row) if behind and over else None
    seconds, waited_s = _seconds(row, bridge.clock()), _waited_s(row, bridge.clock())
    speed = totals.done / max(0.001, seconds - waited_s) if seconds else 0.0
    left = None
    if row.status is RunState.RUNNING and speed and totals.done < totals.planned:
        left = (totals.planned - totals.done) / speed
    former = round(before.done / before.seconds) if before and before.done else None
    figures = (seconds, waited_s, left, round(speed))
    return RunView(
        row, steps, totals, *figures, relatives, calls_left, former, tuple(filled), later, good
    )


def mappings(bridge: Orgbridge, actor: Actor, name: str) -> tuple[CarriedMapping, ...]:
    """What the run carries out: its plan with the auto-map and every default said."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return tuple(run_reads.mappings(session, runs.run_named(session, name).id))


def throughput(bridge: Orgbridge, actor: Actor, name: str) -> tuple[Tick, ...]:
    """Rows settled per second over the run's time."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return tuple(run_reads.ticks(session, runs.run_named(session, name).id))


def failure_groups(bridge: Orgbridge, actor: Actor, name: str) -> tuple[FailureGroup, ...]:
    """Why rows failed, the largest group first."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        found = run_reads.groups(session, runs.run_named(session, name).id)
    return tuple(FailureGroup(line, usual_fix(line.code)) for line in found)


def failures(
    bridge: Orgbridge, actor: Actor, name: str, *, group: GroupLine, limit: int = 20
) -> tuple[FailureLine, ...]:
    """The first rows of one group, with the values that were sent."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        found = run_reads.failures(
            session,
            runs.run_named(session, name).id,
            fingerprint=group.fingerprint,
            mapping=group.mapping_name,
            limit=limit,
        )
    return tuple(found)


def in_flight(bridge: Orgbridge, actor: Actor, name: str) -> InFlight:
    """What a cancelled run would still see through: rows handed to the org and not settled."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return run_reads.in_flight(session, runs.run_named(session, name).id)


def queued_behind(bridge: Orgbridge, actor: Actor, row: RunRow) -> str | None:
    """The run that a queued one waits for: runs into the same org go one after another."""
    roles.require(actor, Role.VIEWER)
    if row.target_organization_id is None:
        return None
    with bridge.session(actor.workspace_id) as session:
        return run_reads.holder(session, row.target_organization_id)


def rows_to_retry(bridge: Orgbridge, actor: Actor, name: str) -> int:
    """How many rows a retry of everything would read again."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return retries.rows_to_retry(session, runs.run_named(session, name).id)


def asks_for_name(bridge: Orgbridge, actor: Actor, row: RunRow) -> bool:
    """Whether writing to the run's target asks for its name and a reason."""
    roles.require(actor, Role.VIEWER)
    if row.target_org_id is None:
        return True
    with bridge.session(actor.workspace_id) as session:
        return orgs.org_row(session, row.target_org_id).protected


def history(bridge: Orgbridge, actor: Actor, chosen: RunFilter) -> tuple[DayCount, ...]:
    """Runs of the last days by what became of them; the filter's statuses do not count."""
    roles.require(actor, Role.VIEWER)
    since = bridge.clock() - dt.timedelta(days=HISTORY_DAYS)
    with bridge.session(actor.workspace_id) as session:
        return tuple(
            run_reads.days(session, since=since, plan_id=chosen.plan_id, needle=chosen.text)
        )


def overview(bridge: Orgbridge, actor: Actor) -> Overview:
    """Runs of the last days, those under way, and those that wait for a person."""
    roles.require(actor, Role.VIEWER)
    since = bridge.clock() - dt.timedelta(days=OVERVIEW_DAYS)
    with bridge.session(actor.workspace_id) as session:
        counts = run_reads.counts_by_status(session)
        return Overview(
            week=run_reads.week(session, since=since),
            running=sum(counts.get(state.value, 0) for state in UNDER_WAY),
            waiting=tuple(
                run_reads.lines(session, statuses=[state.value for state in WAITING], limit=10)
            ),
            recent=tuple(run_reads.lines(session, limit=8)),
        )


def _calls_left(session: Session, row: RunRow, now: dt.datetime) -> int | None:
    used = orgs.calls_used(session, now=now)
    sides = {row.source_org_id, row.target_org_id} & used.keys()
    allowed = {side: orgs.org_row(session, side).api_allowed for side in sides if side}
    return min((max(0, most - used[side]) for side, most in allowed.items() if most), default=None)


def _seconds(row: RunRow, now: dt.datetime) -> float | None:
    if row.started_at is None:
        return None
    return max(0.001, ((row.finished_at or now) - row.started_at).total_seconds())


def _waited_s(row: RunRow, now: dt.datetime) -> float:
    """Seconds in which nobody carried it since it began; until now while it waits."""
    waited_s, since = float(row.summary.get("waited_s", 0)), row.summary.get("let_go_at")
    if row.finished_at is None and since is not None:
        waited_s += (now - dt.datetime.fromisoformat(since)).total_seconds()
    return max(0.0, waited_s)
