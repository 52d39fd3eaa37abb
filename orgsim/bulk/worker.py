"""The threads that carry jobs out, in the order in which they were closed.

A process that starts finds the jobs that the one before left queued or half done and goes on.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from orgsim.bulk.files import JobFiles
from orgsim.bulk.ingest import Ingest, JobFailedError, Pace, Saver
from orgsim.bulk.ledger import JobLedger
from orgsim.bulk.model import Job, JobState
from orgsim.faults.book import BulkFault

_log = logging.getLogger(__name__)

#: Jobs that run side by side. Salesforce publishes no number (assumed).
SIDE_BY_SIDE = 4
_STALL_STEP_S = 0.05


class Surroundings(Protocol):
    """What the worker needs of the org around it."""

    def pace(self) -> Pace:
        """Return how fast the org works just now."""

    def now(self) -> datetime:
        """Return the org's clock."""

    def save(self) -> Saver:
        """Return what saves a batch of rows."""

    def query(self, job: Job, files: JobFiles) -> int:
        """Carry out a query job; return its rows."""

    def delay(self, job: Job) -> float:
        """Return the seconds that the job takes beyond its work."""

    def fault(self, job: Job) -> BulkFault | None:
        """Return what is planted for the job."""

    def stalls(self) -> bool:
        """Return whether jobs are to stall just now."""


class Worker:
    """Runs the jobs of one org until ``stop``."""

    def __init__(self, ledger: JobLedger, folder: Path, around: Surroundings) -> None:
        self.ledger = ledger
        self._folder = folder
        self._around = around
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="bulk")

    def start(self) -> None:
        """Go on with what an earlier process left."""
        for job in self.ledger.waiting():
            self.submit(job)

    def stop(self) -> None:
        """Let running batches end and take no further ones."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def files(self, job_id: str) -> JobFiles:
        """Return the files of a job."""
        return JobFiles(self._folder / job_id)

    def submit(self, job: Job) -> None:
        """Queue a closed job."""
        self._pool.submit(self._run_logged, job.id)

    def _run_logged(self, job_id: str) -> None:
        try:
            self._run(job_id)
        except Exception:
            # The thread's border: the job must not stay InProgress for ever.
            _log.exception("bulk job broke", extra={"job_id": job_id})
            self._end(job_id, JobState.FAILED, "InternalServerError : Unexpected exception")

    def _run(self, job_id: str) -> None:
        pace = self._around.pace()
        self._pause(pace.queue_s)
        job = self.ledger.change(job_id, self._begun)
        if job is None or job.state is not JobState.IN_PROGRESS or self._stopping.is_set():
            return
        fault = self._around.fault(job) or BulkFault()
        self._pause(self._around.delay(job))
        self._suffer(job_id, fault)
        try:
            self._carry_out(job, pace, fault)
        except JobFailedError as problem:
            self._end(job_id, JobState.FAILED, str(problem))

    def _suffer(self, job_id: str, fault: BulkFault) -> None:
        """Wait as long as a planted fault says, or until the job is aborted."""
        self._pause(fault.delay_s)
        while fault.stall and self._around.stalls() and not self._stopping.is_set():
            job = self.ledger.job(job_id)
            if job is None or (job.is_terminal and not fault.on_its_way):
                return
            self._pause(_STALL_STEP_S)

    def _carry_out(self, job: Job, pace: Pace, fault: BulkFault) -> None:
        files = self.files(job.id)
        if fault.error_message is not None:
            pace = replace(pace, fails_after_rows=fault.after_rows, failure=fault.error_message)
        if job.is_query:
            if fault.error_message is not None:
                raise JobFailedError(fault.error_message)
            rows = self._around.query(job, files)
            self.ledger.change(job.id, lambda found: replace(found, processed=rows))
        else:
            ingest = Ingest(self.ledger, self._around.save(), self._pause, self._stopping.is_set)
            ingest.run(job, files, replace(pace, on_its_way=fault.on_its_way))
        if not self._stopping.is_set():
            self._end(job.id, JobState.JOB_COMPLETE, None)

    def _begun(self, job: Job) -> Job:
        if job.state is not JobState.UPLOAD_COMPLETE:
            return job
        return job.moved(JobState.IN_PROGRESS, self._around.now())

    def _end(self, job_id: str, state: JobState, message: str | None) -> None:
        """Move a job to its end, unless somebody aborted it meanwhile."""
        now = self._around.now()
        self.ledger.change(
            job_id, lambda job: job if job.is_terminal else job.moved(state, now, message)
        )

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._stopping.wait(seconds)
