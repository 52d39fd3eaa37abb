"""One chunk through Bulk 2.0, from whatever state it was left in.

    planned ─▶ create job ─▶ STORE ITS ID ─▶ upload ─▶ close ─▶ wait ─▶ results
                  ▲                │
                  └── job open: nothing was processed, it is aborted and another is made
                      job aborted: it is waited for until its figures stand still; inserts that it
                      left are sent again only when none of its batches can follow any more
                      job closed: it is waited for; nothing is ever sent again before its results
                      are read

The id is stored before the job can be closed, so there is no moment at which the org may have
written rows of which we do not know where to ask. A worker that was replaced cannot close its job:
it looks at its lease first, and the job it made was aborted by the one that replaced it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from core.db.run_state import ChunkRow
from core.domain.states import ChunkState
from core.errors import LostError, RefusedError, TransientError
from core.migration.context import RunContext, StopRequested
from core.migration.outcomes import Outcomes, bulk_csv, bulk_outcomes, result_columns
from core.migration.spec import Step
from core.salesforce.bulk import BATCH_MAX_S, JobSpec, JobState, JobStatus, ResultKind

_OPERATIONS = {"hard_delete": "hardDelete"}
#: jobs made anew because an upload broke off
_UPLOAD_ATTEMPTS = 4
#: seconds without progress after which a pause no longer waits for a job's results
_PAUSE_IDLE_S = 30.0
#: seconds without progress after which the run's story says so
_TELL_IDLE_S = 600.0


class JobGoneError(LostError):
    """A closed job whose results cannot be had (any more): only the rows themselves can tell."""


def load_by_bulk(run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame) -> Outcomes:
    """What became of every row of the chunk.

    Raises:
        JobGoneError: the org no longer knows the job and its results; the rows' fate is unknown.
        StopRequested, TakenOverError: between two acts on the org; the chunk can be carried on.
        StalledJobError: the job stands still; the chunk can be carried on by looking at it again.
    """
    try:
        late = _late(run, step, chunk, page)
    except RefusedError as gone:
        if gone.fact("status") != 404:
            raise
        raise _gone(str(chunk.outcome["after_job"])) from gone
    if late is not None:
        return late
    job_id = _known_job(run, chunk) or _new_job(run, step, chunk, page)
    try:
        ended = run.target.bulk.wait(job_id, on_poll=_Watch(run, step, job_id))
        ended = _at_rest(run, ended, rows=page.height)
        return _results(run, step, chunk, page, ended)
    except RefusedError as gone:
        if gone.fact("status") != 404:
            raise
        raise _gone(job_id) from gone


def _late(run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame) -> Outcomes | None:
    """Rows to be inserted again that an aborted job has made by now; None when there are none.

    The others follow in a chunk of their own. An update or a delete may go twice.
    """
    job_id = chunk.outcome.get("after_job")
    if job_id is None or chunk.operation != "insert" or chunk.state is not ChunkState.PLANNED:
        return None
    wait = run.target.bulk.wait_for_rest
    status = wait(str(job_id), still_s=BATCH_MAX_S, on_poll=lambda _: run.pulse.check())
    if status.records_processed <= int(chunk.outcome["after_processed"]):
        return None
    found = came_late(run, step, chunk, page)
    return None if found.accepted.is_empty() else replace(found, reason=status.state.value)


def came_late(run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame) -> Outcomes:
    """Rows of a chunk that its job, or the aborted one before, has made by now, beyond those that
    were noted before."""
    job_id = str(chunk.outcome.get("after_job") or chunk.job_id)
    wanted = join_key(step, chunk.operation)
    key = wanted if wanted in page.columns else None
    noted = pl.Series("sf__Id", [], pl.String)
    if "after_done" in chunk.outcome:
        noted = run.spool.read(str(chunk.outcome["after_done"]), ["target_id"])["target_id"]
    results = run.target.bulk.results(job_id, ResultKind.SUCCESSFUL, only=result_columns(key))
    # records that are noted belong to rows that are noted: of twins, each row takes its own
    fresh = [frame.filter(~pl.col("sf__Id").is_in(noted.implode())) for frame in results]
    return bulk_outcomes(page, fresh, [], key=key)


def _gone(job_id: str) -> JobGoneError:
    return JobGoneError(
        f"The org no longer knows the job {job_id}.",
        state="Its rows may have been written; they were not sent again.",
        next_step="Check them by the key, or run the plan again with a migration key.",
        job_id=job_id,
    )


def _at_rest(run: RunContext, ended: JobStatus, *, rows: int) -> JobStatus:
    """The job when no row can follow: an aborted one may still commit a batch (rule 3.10).

    A row that is committed after the results were read would be in the target and unknown to us.
    """
    if ended.state is not JobState.ABORTED or ended.records_processed >= rows:
        return ended
    bulk = run.target.bulk
    return bulk.wait_for_rest(ended.job_id, on_poll=lambda _: run.pulse.check_lease())


class _Watch:
    """Looks at lease and wishes between two polls.

    A cancelled run's job is aborted, then awaited; a pause waits for the results of a job that
    moves, not for one that stands still; a worker that ends leaves the job to the next one.
    """

    def __init__(self, run: RunContext, step: Step, job_id: str) -> None:
        self._run = run
        self._step = step
        self._job_id = job_id
        self._aborted = False
        self._told = False

    def __call__(self, status: JobStatus) -> None:
        self._run.pulse.check_lease()
        if status.state.is_terminal:
            return
        wish = self._run.pulse.wish
        if wish == "cancel" and not self._aborted:
            self._aborted = True
            self._run.target.bulk.abort(self._job_id)
        elif wish == "yield" or (wish == "pause" and status.idle_s >= _PAUSE_IDLE_S):
            raise StopRequested(wish)
        if status.idle_s >= _TELL_IDLE_S and not self._told:
            self._told = True
            self._tell(status)

    def _tell(self, status: JobStatus) -> None:
        message = (
            f"{self._step.told}: the org has not moved the bulk job {self._job_id} for"
            f" {status.idle_s / 60:.0f} minutes ({status.state}, {status.records_processed} records"
            " processed); it is waited for. Pause or cancel end the waiting."
        )
        with self._run.store.commit() as commit:
            commit.event(message, step=self._step.name, level="warning")


def _known_job(run: RunContext, chunk: ChunkRow) -> str | None:
    """Id of the chunk's job, if the org may process or has processed it; None when nothing was
    handed over."""
    if chunk.job_id is None:
        return None
    try:
        status = run.target.bulk.job(chunk.job_id)
    except RefusedError as gone:
        if gone.fact("status") != 404:
            raise
        if chunk.state in (ChunkState.JOB_CREATED, ChunkState.UPLOADED):
            return None
        raise _gone(chunk.job_id) from gone
    if status.state is not JobState.OPEN:
        return status.job_id
    ended = run.target.bulk.abort(chunk.job_id)
    # somebody closed it in this very moment: then it is processed and counts
    if chunk.state is ChunkState.CLOSED:
        ended = _at_rest(run, ended, rows=chunk.rows)
    return ended.job_id if ended.records_processed else None


def _new_job(run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame) -> str:
    """Id of a job that has the chunk's rows and is closed."""
    spec = JobSpec(
        sobject=step.target.name,
        operation=_OPERATIONS.get(chunk.operation, chunk.operation),
        external_id_field=step.stamped_key if chunk.operation == "upsert" else None,
        assignment_rule_id=_assignment_rule(step),
    )
    with run.uploads:
        return _sent(run, chunk, spec, bulk_csv(page))


def _sent(run: RunContext, chunk: ChunkRow, spec: JobSpec, content: bytes) -> str:
    """Id of a job that has this file and is closed; one that breaks off is made anew."""
    bulk = run.target.bulk
    for attempt in range(_UPLOAD_ATTEMPTS):
        run.pulse.check()
        job_id = bulk.create_job(spec)
        with run.store.commit() as commit:
            commit.chunk(chunk.id, ChunkState.JOB_CREATED, job_id=job_id)
        try:
            bulk.upload(job_id, content)
        except (LostError, TransientError):
            bulk.abort(job_id)
            if attempt == _UPLOAD_ATTEMPTS - 1:
                raise
            continue
        # the lease is looked at once more: after this the org works
        with run.store.commit() as commit:
            commit.chunk(chunk.id, ChunkState.CLOSED)
        bulk.close(job_id)
        return job_id
    raise AssertionError("unreachable")


def _assignment_rule(step: Step) -> str | None:
    rule = step.mapping.load.assignment_rules
    return rule if rule not in ("off", "default") else None


def _results(
    run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame, ended: JobStatus
) -> Outcomes:
    bulk = run.target.bulk
    key = join_key(step, chunk.operation)
    only = result_columns(key)
    accepted = list(bulk.results(ended.job_id, ResultKind.SUCCESSFUL, only=only))
    refused = (
        list(bulk.results(ended.job_id, ResultKind.FAILED, only=only))
        if ended.records_failed or ended.state is not JobState.JOB_COMPLETE
        else []
    )
    outcomes = bulk_outcomes(page, accepted, refused, key=key)
    if outcomes.left and ended.state is JobState.JOB_COMPLETE:
        raise JobGoneError(
            f"The job {ended.job_id} ended, and {len(outcomes.left)} of its rows are in no result.",
            state="They may have been written; they were not sent again.",
            next_step="Check them by the key.",
            job_id=ended.job_id,
        )
    after: dict[str, Any] = {}
    if outcomes.left and ended.state is JobState.ABORTED:
        after = {"after_job": ended.job_id, "after_processed": ended.records_processed}
    reason = ended.error_message or str(ended.state.value)
    return replace(outcomes, reason=reason, after=after)


def join_key(step: Step, operation: str) -> str | None:
    """The column by which results are found again; None: the whole row."""
    if operation in ("update", "delete", "hard_delete"):
        return "Id"
    return step.stamped_key
