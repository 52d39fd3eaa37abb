"""The bulk department of one org: its jobs, its worker, and what a request about them needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl
from starlette.requests import Request

from orgsim import dml
from orgsim.bulk import query as bulk_query
from orgsim.bulk.files import JobFiles
from orgsim.bulk.ingest import JobFailedError, Keep, Pace, Saver
from orgsim.bulk.ledger import JobLedger
from orgsim.bulk.model import Job, Operation
from orgsim.bulk.requests import Asking
from orgsim.bulk.worker import Worker
from orgsim.dml.outcomes import Outcomes
from orgsim.dml.save import SaveOptions
from orgsim.faults.book import BulkFault
from orgsim.schema.model import Schema
from orgsim.soql.compiler import Reading
from orgsim.soql.errors import QueryError
from orgsim.soql.plan import Plan
from orgsim.soql.session import prepare
from orgsim.store.ids import make_ids

if TYPE_CHECKING:
    from orgsim.org import Org

_JOB_PREFIX = "750"


class Office:
    """Keeps and carries out the jobs of ``org``; ``start`` goes on with what was left."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self.ledger = JobLedger(org.store)
        self.worker = Worker(self.ledger, org.home / "bulk", self)

    @classmethod
    def of(cls, request: Request) -> Office:
        """Return the office of the org that a request reached."""
        office: Office = request.state.org.bulk
        return office

    def start(self) -> None:
        """Create the tables and continue jobs of an earlier process."""
        self.ledger.prepare()
        self.worker.start()

    def stop(self) -> None:
        """End after the running batches."""
        self.worker.stop()

    def enter(self, job: Job) -> Job:
        """Give a new job its id and store it."""
        with self._org.store.write() as transaction:
            start = self._org.first_number(_JOB_PREFIX)
            number = transaction.take(_JOB_PREFIX, 1, start=start)
            job_id = str(make_ids(_JOB_PREFIX, self._org.pod, first=number, count=1)[0])
            entered = replace(job, id=job_id)
            self.ledger.save(entered)
        return entered

    def asking(self, request: Request) -> Asking:
        """Return who asks, as checks of requests need it."""
        user_id = request.state.session.user_id
        return Asking(
            user_id=user_id, now=self.now(), api_version=str(request.path_params["version"]),
            schema=self._org.schema_for(user_id),
            may_hard_delete="BulkApiHardDelete" in self._org.permissions_of(user_id),
        )  # fmt: skip

    def plan(self, job: Job, schema: Schema) -> Plan:
        """Return the plan of a query job as the user ``schema`` belongs to may run it.

        Raises:
            QueryError: The query is refused.
        """
        all_rows = job.operation is Operation.QUERY_ALL
        return bulk_query.bulk_plan(
            str(job.query), Reading(schema, self.now(), all_rows, self._org.schema)
        )

    # -- what the worker asks for ----------------------------------------------------------------

    def pace(self) -> Pace:
        """Return how fast the org works just now."""
        options, usual = self._org.options, Pace()
        return Pace(
            batch_rows=int(options.get("bulk_batch_rows", usual.batch_rows)),
            queue_s=float(options.get("bulk_queue_delay_s", usual.queue_s)),
            batch_s=float(options.get("bulk_batch_delay_s", usual.batch_s)),
        )

    def delay(self, job: Job) -> float:
        """Return the seconds that the job takes beyond its work."""
        return self._org.latency.of_job(job.operation.value, job.object, job.id)

    def now(self) -> datetime:
        """Return the org's clock."""
        return self._org.clock.now()

    def save(self) -> Saver:
        """Return what saves a batch of rows as the job's creator."""
        return self._save

    def _save(self, job: Job, rows: pl.DataFrame, keep: Keep) -> Outcomes:
        # A job without a rule of its own runs none: the header of REST writes does not exist here.
        options = SaveOptions(assignment_rule=job.assignment_rule_id or False)
        save = self._org.save(user_id=job.created_by, options=options, before_commit=keep)
        if job.operation is Operation.INSERT:
            return dml.insert(save, job.object, rows)
        if job.operation is Operation.UPDATE:
            return dml.update(save, job.object, rows)
        if job.operation is Operation.UPSERT:
            return dml.upsert(save, job.object, str(job.external_id_field), rows)
        ids = [value or "" for value in rows.to_series()]
        return dml.delete(save, ids, hard=job.operation is Operation.HARD_DELETE)

    def query(self, job: Job, files: JobFiles) -> int:
        """Carry out a query job; return its rows."""
        try:
            plan = self.plan(job, self._org.schema_for(job.created_by))
        except QueryError as problem:
            raise JobFailedError(f"{problem.code} : {problem.message}") from problem
        with self._org.store.read() as cursor:
            prepare(cursor, self.now(), job.created_by)
            return bulk_query.run_query(cursor, plan, files)

    def fault(self, job: Job) -> BulkFault | None:
        """Return what is planted for the job."""
        found: BulkFault | None = self._org.faults.bulk_job(job.full_json())
        return found

    def stalls(self) -> bool:
        """Return whether jobs are to stall just now."""
        return bool(self._org.faults.stalls())
