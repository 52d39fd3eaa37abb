"""What a launch is going to do, as far as earlier runs of the plan tell: creates, updates, deletes.

    outlook(plan) ─▶ the newest run that sorted rows into buckets, and whether the plan was changed;
                     the pace of the newest run that wrote them all

Figures are of that run; nothing is computed here. A dry run makes them afresh.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import roles
from core.domain.roles import Role
from core.domain.states import RunState
from core.services import plans, run_reads

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.db.run_reads import RunLine
    from core.domain.roles import Actor

#: runs that are looked at for buckets, the newest first
RUNS_LOOKED_AT = 10
_TELLING = ("dry-run", "full", "delta", "canary")
#: modes whose time is work, not a person's answer
_PACING = ("full", "delta")
_OVER = (RunState.SUCCEEDED, RunState.PARTIAL)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows of one mapping by what happened, or would happen, to them."""

    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    unchanged: int = 0
    skipped: int = 0
    blocked: int = 0

    def __add__(self, other: Bucket) -> Bucket:
        return Bucket(
            self.inserts + other.inserts,
            self.updates + other.updates,
            self.deletes + other.deletes,
            self.unchanged + other.unchanged,
            self.skipped + other.skipped,
            self.blocked + other.blocked,
        )


@dataclass(frozen=True, slots=True)
class Outlook:
    """The buckets of one run."""

    run: str
    mode: str
    at: dt.datetime
    #: the plan was saved after that run was launched
    is_older_than_plan: bool
    buckets: Mapping[str, Bucket]
    #: rows read, matched and written in a second, and the run that did so; None before a full run
    rows_per_s: float | None = None
    paced_by: str = ""

    def total(self, only: Collection[str] = ()) -> Bucket:
        """All mappings together, or the named ones."""
        found = (bucket for name, bucket in self.buckets.items() if not only or name in only)
        return sum(found, Bucket())


def outlook(bridge: Orgbridge, actor: Actor, plan_id: UUID) -> Outlook | None:
    """The newest finished run of the plan that tells what becomes of rows; None without one."""
    roles.require(actor, Role.VIEWER)
    row = plans.plan(bridge, actor, plan_id).row
    chosen = run_reads.RunFilter(plan_id=plan_id)
    page = run_reads.listed(bridge, actor, chosen, page_rows=RUNS_LOOKED_AT)
    for line in page.rows:
        if line.mode not in _TELLING or line.status not in _OVER:
            continue
        run = run_reads.shown(bridge, actor, line.name).row
        if run.buckets:
            pace, paced_by = _pace(page.rows)
            return Outlook(
                rows_per_s=pace,
                paced_by=paced_by,
                run=line.name,
                mode=line.mode,
                at=line.finished_at or line.created_at,
                is_older_than_plan=row.updated_at > line.created_at,
                buckets={name: _bucket(found) for name, found in run.buckets.items()},
            )
    return None


def _pace(runs: Sequence[RunLine]) -> tuple[float | None, str]:
    """Rows in a second of the newest run that carried rows to their end, and its name."""
    for line in runs:
        is_whole = line.mode in _PACING and line.status in _OVER and line.totals.done
        if is_whole and line.started_at and line.finished_at:
            seconds = (line.finished_at - line.started_at).total_seconds()
            return line.totals.done / max(seconds, 1.0), line.name
    return None, ""


def _bucket(found: Mapping[str, object]) -> Bucket:
    def rows(name: str) -> int:
        value = found.get(name, 0)
        return value if isinstance(value, int) else 0

    blocked = found.get("blocked")
    return Bucket(
        inserts=rows("insert"),
        updates=rows("update"),
        deletes=rows("delete"),
        unchanged=rows("unchanged"),
        skipped=rows("skipped"),
        blocked=sum(blocked.values()) if isinstance(blocked, Mapping) else 0,
    )
