"""Carrying out an ingest job: batches of rows through the save, outcomes beside them.

A batch and the row that says it is done are one transaction; after a kill the job goes on behind
the last committed batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl

from orgsim.bulk.csv_file import NULL_CELL, CsvError, CsvForm
from orgsim.bulk.files import OUTCOME_COLUMNS, JobFiles
from orgsim.bulk.ledger import Batch, JobLedger, write_batch
from orgsim.bulk.model import Job, JobState, Operation
from orgsim.dml.outcomes import SET_NULL, Outcomes, UnknownFieldError
from orgsim.store import Transaction

_BATCHES_OF_A_HURRY = 5
_DELETES = frozenset({Operation.DELETE, Operation.HARD_DELETE})


class JobFailedError(Exception):
    """The job cannot go on; the message is its errorMessage and the rest stays unprocessed."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an org works.

    Attributes:
        batch_rows: Rows of an internal batch (10,000 in an org).
        queue_s: Seconds between UploadComplete and InProgress.
        batch_s: Seconds that a batch takes beyond its work.
        failure: The errorMessage with which a planted fault ends the job.
        fails_after_rows: The rows that are processed before it does.
        on_its_way: The first batch is committed though the job was aborted: it had begun.
    """

    batch_rows: int = 10_000
    queue_s: float = 0.2
    batch_s: float = 0.05
    failure: str | None = None
    fails_after_rows: int = 0
    on_its_way: bool = False

    @property
    def commit_rows(self) -> int:
        """Rows that are committed together: one batch, or several where nobody can see between."""
        in_a_hurry = self.batch_s == 0 and self.failure is None and self.batch_rows >= 10_000
        return self.batch_rows * (_BATCHES_OF_A_HURRY if in_a_hurry else 1)


#: Runs inside the transaction of a batch, just before it is committed.
Keep: TypeAlias = Callable[[Transaction, Outcomes], None]
#: Saves one batch of a job.
Saver: TypeAlias = Callable[[Job, pl.DataFrame, Keep], Outcomes]


@dataclass(frozen=True, slots=True)
class Ingest:
    """Carries out ingest jobs with what the worker gives it.

    ``pause`` sleeps that many seconds or returns early when the process stops, which ``stopping``
    tells. The job's row is read again before each batch, so that an abort is seen.
    """

    ledger: JobLedger
    save: Saver
    pause: Callable[[float], None]
    stopping: Callable[[], bool]

    def run(self, job: Job, files: JobFiles, pace: Pace) -> None:
        """Process the batches of ``job`` that are not done yet, until it is aborted.

        Raises:
            JobFailedError: The file or its header is refused.
        """
        frame = _rows(job, files)
        done = self.ledger.batches(job.id)
        start = sum(batch.rows for batch in done)
        for number in range(
            len(done), _batches(frame.height, pace.commit_rows, start=start, done=len(done))
        ):
            current = self.ledger.job(job.id)
            begun = pace.on_its_way and number == len(done)
            aborted = current is not None and current.state is JobState.ABORTED
            if current is None or (aborted and not begun) or self.stopping():
                return
            if pace.failure is not None and start >= pace.fails_after_rows:
                raise JobFailedError(pace.failure)
            rows = frame.slice(start, pace.commit_rows)
            self._batch(current, files, number=number, rows=rows)
            start += rows.height
            self.pause(pace.batch_s)

    def _batch(self, job: Job, files: JobFiles, *, number: int, rows: pl.DataFrame) -> None:
        began = time.monotonic()

        def keep(transaction: Transaction, outcomes: Outcomes) -> None:
            outcome_rows = _outcome_rows(rows, outcomes)
            failed = outcome_rows["sf__Error"].count()
            files.keep_batch(number, outcome_rows)
            spent_ms = max(1, int((time.monotonic() - began) * 1000))
            batch = Batch(number, rows.height, failed)
            write_batch(transaction.cursor, job.id, batch, spent_ms=spent_ms)

        try:
            self.save(job, _cells(rows), keep)
        except UnknownFieldError as problem:
            message = f"InvalidBatch : Field name not found : {problem.name}"
            raise JobFailedError(message) from problem


def unprocessed(job: Job, files: JobFiles, ledger: JobLedger) -> pl.DataFrame:
    """Return the rows without an outcome; no rows where the upload cannot be read."""
    if not files.upload.is_file():
        return pl.DataFrame()
    try:
        frame = CsvForm.of(job).read(files.upload.read_bytes())
    except CsvError:
        return pl.DataFrame()
    return frame.slice(sum(batch.rows for batch in ledger.batches(job.id)))


def _rows(job: Job, files: JobFiles) -> pl.DataFrame:
    if not files.upload.is_file():
        return pl.DataFrame()
    try:
        frame = CsvForm.of(job).read(files.upload.read_bytes())
    except CsvError as problem:
        raise JobFailedError(str(problem)) from problem
    _check_columns(job, frame.columns)
    return frame


def _check_columns(job: Job, columns: list[str]) -> None:
    known = {name.lower() for name in columns}
    if job.operation in _DELETES and known != {"id"}:
        wrong = next((name for name in columns if name.lower() != "id"), "Id")
        raise JobFailedError(
            f"InvalidBatch : Only the column Id is allowed to {job.operation} : {wrong}"
        )
    key = job.external_id_field
    if job.operation is Operation.UPSERT and key is not None and key.lower() not in known:
        raise JobFailedError(f"InvalidBatch : Field name not found : {key}")


def _batches(rows: int, batch_rows: int, *, start: int, done: int) -> int:
    """Return the number of batches in all when ``done`` batches already cover ``start`` rows."""
    return done + -(-(rows - start) // batch_rows)


def _cells(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows as a save takes them: ``#N/A`` sets null, an empty cell is not given."""
    null = pl.lit(SET_NULL)
    return rows.select(pl.when(pl.all() == NULL_CELL).then(null).otherwise(pl.all()).name.keep())


def _outcome_rows(rows: pl.DataFrame, outcomes: Outcomes) -> pl.DataFrame:
    """Return the batch as it is kept: what was sent and what became of it."""
    told = outcomes.frame.sort("row")
    error = (
        told["code"] + ":" + told["message"].fill_null("") + ":"
        + told["fields"].list.join(" ").fill_null("") + " --"
    )  # fmt: skip
    failed = ~told["success"]
    ids = told["id"].fill_null("")
    return rows.with_columns(
        pl.Series(OUTCOME_COLUMNS[0], ids, dtype=pl.String),
        told["created"].fill_null(False).cast(pl.String).alias(OUTCOME_COLUMNS[1]),
        pl.select(pl.when(failed).then(_no_fields(error))).to_series().alias(OUTCOME_COLUMNS[2]),
    )


def _no_fields(error: pl.Series) -> pl.Series:
    """Without fields the ending is ``:--``, with them ``:Name --`` (jsforce's live tests)."""
    return error.str.replace(r": --$", ":--")
