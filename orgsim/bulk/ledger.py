"""The rows of jobs in the org's store: what survives the process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import duckdb

from orgsim.bulk.model import Job, JobState, Operation
from orgsim.store import Store
from orgsim.store.rows import first_row

_TABLES = """
CREATE TABLE IF NOT EXISTS "@bulk_job" (
    id VARCHAR PRIMARY KEY, is_query BOOLEAN, state VARCHAR, created_at VARCHAR, document VARCHAR);
CREATE TABLE IF NOT EXISTS "@bulk_batch" (
    job_id VARCHAR, number INTEGER, row_count INTEGER, failed INTEGER);
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch whose outcomes are committed."""

    number: int
    rows: int
    failed: int


@dataclass(frozen=True, slots=True)
class JobLedger:
    """Reads and writes job rows; every write is committed when it returns."""

    store: Store

    def prepare(self) -> None:
        """Create the tables in a store that does not have them."""
        self.store.ddl(_TABLES)

    def save(self, job: Job) -> None:
        """Store a job, new or changed."""
        with self.store.write() as transaction:
            _upsert(transaction.cursor, job)

    def job(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        with self.store.read() as cursor:
            return _read(cursor, job_id)

    def change(self, job_id: str, change: Callable[[Job], Job]) -> Job | None:
        """Change a job as it is now, in one transaction; return what it became, None if it is gone.

        Raises:
            Whatever ``change`` raises; nothing is written then.
        """
        with self.store.write() as transaction:
            job = _read(transaction.cursor, job_id)
            if job is None:
                return None
            changed = change(job)
            _upsert(transaction.cursor, changed)
            return changed

    def jobs(self, *, is_query: bool) -> list[Job]:
        """Return all jobs of one sort, newest first."""
        with self.store.read() as cursor:
            found = cursor.execute(
                'SELECT document FROM "@bulk_job" WHERE is_query = ? ORDER BY created_at DESC, id',
                [is_query],
            ).fetchall()
        return [_job(row[0]) for row in found]

    def waiting(self) -> list[Job]:
        """Return the jobs that a stopped process left queued or half done, oldest first."""
        with self.store.read() as cursor:
            found = cursor.execute(
                'SELECT document FROM "@bulk_job" WHERE state IN (?, ?) ORDER BY created_at',
                [JobState.UPLOAD_COMPLETE.value, JobState.IN_PROGRESS.value],
            ).fetchall()
        return [_job(row[0]) for row in found]

    def batches(self, job_id: str) -> list[Batch]:
        """Return the committed batches of a job in order."""
        with self.store.read() as cursor:
            found = cursor.execute(
                'SELECT number, row_count, failed FROM "@bulk_batch" WHERE job_id = ? ORDER BY 1',
                [job_id],
            ).fetchall()
        return [Batch(*row) for row in found]

    def delete(self, job_id: str) -> None:
        """Forget a job and its batches."""
        with self.store.write() as transaction:
            transaction.cursor.execute('DELETE FROM "@bulk_batch" WHERE job_id = ?', [job_id])
            transaction.cursor.execute('DELETE FROM "@bulk_job" WHERE id = ?', [job_id])


def write_batch(
    cursor: duckdb.DuckDBPyConnection, job_id: str, batch: Batch, *, spent_ms: int
) -> None:
    """Write that a batch is done and the job's progress, inside the transaction of its rows."""
    cursor.execute(
        'INSERT INTO "@bulk_batch" VALUES (?, ?, ?, ?)',
        [job_id, batch.number, batch.rows, batch.failed],
    )
    job = _read(cursor, job_id)
    if job is not None:
        _upsert(cursor, replace(
            job, processed=job.processed + batch.rows, failed=job.failed + batch.failed,
            total_ms=job.total_ms + spent_ms,
        ))  # fmt: skip


def _read(cursor: duckdb.DuckDBPyConnection, job_id: str) -> Job | None:
    found = first_row(cursor.execute('SELECT document FROM "@bulk_job" WHERE id = ?', [job_id]))
    return None if found is None else _job(found[0])


def _upsert(cursor: duckdb.DuckDBPyConnection, job: Job) -> None:
    cursor.execute(
        'INSERT OR REPLACE INTO "@bulk_job" VALUES (?, ?, ?, ?, ?)',
        [job.id, job.is_query, job.state.value, job.created_at, json.dumps(asdict(job))],
    )


def _job(document: str) -> Job:
    values = json.loads(document)
    values["operation"] = Operation(values["operation"])
    values["state"] = JobState(values["state"])
    return Job(**values)
