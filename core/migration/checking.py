"""The checks before a run sends anything.

Whoever carries a run checks it first: the data may have changed since somebody looked. A blocker
ends a run that would write before it has written; a dry run and a trial keep what was found and go
on, since finding out is what they are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.db import late, runs
from core.db.run_state import RunStore
from core.domain.findings import Finding, Severity
from core.domain.plan import Plan
from core.domain.states import RunState
from core.errors import UserError
from core.migration.preflight import PreflightInput, preflight
from core.migration.preflight.schema import schema_findings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: modes that a blocker ends before anything is sent
GATED = frozenset({"full", "delta", "canary", "retry"})
#: modes that take no rows from the source by a plan of their own
UNCHECKED = frozenset({"undo"})


class BlockedError(UserError):
    """Preflight found what keeps the run from being carried; nothing was sent."""


def check(store: RunStore, row: runs.RunRow, given: PreflightInput) -> bool:
    """Runs preflight once per run and keeps what it found; whether nothing stands in the way.

    Raises:
        BlockedError: with the first blocker's sentence, in a mode that writes.
    """
    if row.mode in UNCHECKED or row.summary.get("preflight", {}).get("ready"):
        return True
    store.show(RunState.CHECKING)
    only = set(row.options.get("only") or ())
    report = preflight(given, schema_checks=schema_findings)
    found = [f for f in report.findings if not only or f.mapping is None or f.mapping in only]
    blockers = [finding for finding in found if finding.severity is Severity.BLOCKER]
    counts = {str(s): sum(f.severity is s for f in found) for s in Severity}
    kept = [document(f) for f in found if f.severity is not Severity.PASSED]
    with store.commit(of_run=True) as commit:
        commit.summary({"preflight": {"ready": not blockers, "counts": counts, "findings": kept}})
        for finding in found:
            if finding.severity in (Severity.BLOCKER, Severity.WARNING):
                commit.event(finding.sentence, step=finding.mapping, level="warning")
    if blockers and row.mode in GATED:
        raise _blocked(blockers)
    store.show(RunState.RUNNING)
    return not blockers


def stopped_runs(session: Session, row: runs.RunRow, plan: Plan) -> tuple[str, ...]:
    """Runs that would insert, when resumed, what this run inserts too."""
    if row.source_org_id is None or row.target_org_id is None:
        return ()
    return late.stopped_inserts(
        session,
        source_org_id=row.source_org_id,
        target_org_id=row.target_org_id,
        mappings=[entry.name for entry in plan.objects],
        but=row.id,
    )


def document(finding: Finding) -> dict[str, Any]:
    """A finding as plain values for JSON."""
    return {
        "severity": str(finding.severity),
        "code": finding.code,
        "mapping": finding.mapping,
        "field": finding.field,
        "sentence": finding.sentence,
        "rows": finding.rows,
        "sample_ids": list(finding.sample_ids),
        "sampled": finding.is_sampled,
        "fix": str(finding.fix) if finding.fix else None,
    }


def _blocked(blockers: list[Finding]) -> BlockedError:
    more = len(blockers) - 1
    noun = "blocker is" if more == 1 else "blockers are"
    others = f" ({more} more {noun} kept with the run)" if more else ""
    return BlockedError(
        f"Preflight stops the run: {blockers[0].sentence}{others}",
        state="Nothing was sent.",
        next_step="Mend it in the plan or the org, then launch again.",
        code=blockers[0].code,
    )
