"""Rows that the org committed after their bulk job was aborted: found, noted, never sent twice.

An abort stops no batch that is on its way, so the job's results may grow once they were read:

    rows sent again  ── the chunk waits until no batch can follow, takes what came, sends the rest
    run cancelled    ── the job is asked once more at the end, and by every later run between the
                        orgs, before it matches anything; one that still works is aborted
    nobody can tell  ── rows without a key are held back by every later run, until somebody retries
                        them by name (rule 2.5)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import polars as pl

from core.db import late, runs
from core.db.late import LateChunk
from core.db.retries import RowChoice
from core.db.run_state import ChunkRow
from core.domain.plan import Operation
from core.domain.states import ChunkState
from core.errors import NotFoundError, RefusedError
from core.migration.context import RunContext
from core.migration.load_bulk import came_late, join_key
from core.migration.match import Match, Matches
from core.migration.prepare import SOURCE
from core.migration.settle import FINALLY, LOAD, SECOND_PASS, UNDO, Sent, settle
from core.migration.spec import Step
from core.salesforce.bulk import JobStatus

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

_PHASES = {phase.name: phase for phase in (LOAD, SECOND_PASS, FINALLY, UNDO)}


def settle_late(
    bridge: Orgbridge, run: RunContext, row: runs.RunRow, steps: Iterable[Step]
) -> None:
    """Notes what the org committed of chunks that cancelled runs gave up, this one among them.

    Cost: one call for every such chunk of the last seven days; none as a rule.
    """
    source, target = row.source_org_id, row.target_org_id
    if source is None or target is None:
        return
    by_name = {(step.name, step.target.name): step for step in steps}
    with bridge.session(row.workspace_id) as session:
        found = late.late_chunks(session, run_id=row.id, source_org_id=source, target_org_id=target)
    told: Counter[tuple[str, str]] = Counter()
    for one in found:
        step = by_name.get((one.mapping_name, one.target_object))
        # what this run itself may yet carry on is not late
        if step is not None and (one.run_id != row.id or run.pulse.wish == "cancel"):
            told[step.name, one.run_name] += _settle(bridge, run, step, one)
    for (name, cancelled), rows in told.items():
        if rows:
            message = (
                f"{name}: {rows} rows that the org committed after {cancelled} was cancelled"
                " are in the ledger now."
            )
            with run.store.commit() as commit:
                commit.event(message, step=name, level="warning")


def hold_unknown(
    bridge: Orgbridge, run: RunContext, row: runs.RunRow, *, step: Step, matches: Matches
) -> None:
    """Holds rows back of which nobody knows whether the target has them (rule 2.5); those that a
    retry names are sent, since somebody has looked."""
    source, target = row.source_org_id, row.target_org_id
    if step.operation not in (Operation.INSERT, Operation.UPSERT):
        return
    choice = RowChoice.of(row.options.get("retry") or {})
    if source is None or target is None or choice.fingerprints or choice.source_ids:
        return
    with bridge.session(row.workspace_id) as session:
        known = late.unknown_rows(
            session, source_org_id=source, target_org_id=target, mapping=step.name
        )
    names = run.unknown.get(step.name, set()).union(known)
    if names:
        codes = run.ids.encode(pl.Series(sorted(names), dtype=pl.String))
        fresh = matches.states == Match.FRESH
        matches.states[fresh & np.isin(matches.sources, codes)] = Match.UNKNOWN


def _settle(bridge: Orgbridge, run: RunContext, step: Step, one: LateChunk) -> int:
    chunk = next(c for c in run.store.chunks(one.step_id) if c.id == one.chunk_id)
    status = _ended(run, chunk, str(chunk.outcome.get("after_job") or chunk.job_id))
    if status is not None and not _has_more(chunk, status):
        return 0
    try:
        spool = bridge.spool.run(one.run_id, _key(bridge, run.store.workspace_id, one.run_id))
        page = spool.read(chunk.page)
    except NotFoundError:  # its pages were deleted: rows cannot be told apart any more
        return 0
    if status is None:
        _note_unknown(run, step, chunk, page)
        return 0
    theirs = replace(run, spool=spool)
    outcomes = came_late(theirs, step, chunk, page)
    if outcomes.accepted.is_empty():
        return 0
    settle(theirs, step, Sent(chunk, page, replace(outcomes, left=[])), _PHASES[one.phase])
    return outcomes.accepted.height


def _ended(run: RunContext, chunk: ChunkRow, job_id: str) -> JobStatus | None:
    """The job when no row of it can follow; None where the org has forgotten it.

    A run that was cancelled while nobody carried it left its job at work.
    """
    status = _job(run, job_id)
    if status is None or status.state.is_terminal or chunk.state is not ChunkState.CLOSED:
        return status
    run.target.bulk.abort(job_id)
    return run.target.bulk.wait_for_rest(job_id, on_poll=lambda _: run.pulse.check())


def _note_unknown(run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame) -> None:
    """Rows that nothing but the forgotten job could have told of; a key can."""
    key = join_key(step, chunk.operation)
    if chunk.state is ChunkState.CLOSED and chunk.operation == "insert" and key not in page.columns:
        run.unknown.setdefault(step.name, set()).update(page.get_column(SOURCE))


def _has_more(chunk: ChunkRow, status: JobStatus) -> bool:
    """The job has results that nobody has read."""
    if chunk.state is ChunkState.CLOSED:
        return status.state.is_terminal
    return status.records_processed > int(chunk.outcome.get("after_processed", 0))


def _key(bridge: Orgbridge, workspace_id: UUID, run_id: UUID) -> str:
    with bridge.session(workspace_id) as session:
        return runs.wrapped_key(session, run_id)


def _job(run: RunContext, job_id: str) -> JobStatus | None:
    """The job, or None where the org has forgotten it."""
    try:
        return run.target.bulk.job(job_id)
    except RefusedError as gone:
        if gone.fact("status") != 404:
            raise
        return None
