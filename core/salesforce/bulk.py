"""Bulk API 2.0: jobs that load, jobs that read, and their results as frames, streamed both ways.

    create_job ─▶ upload ─▶ close ─▶ wait ─▶ results(successful | failed | unprocessed)
    create_query ─────────▶ wait ─▶ query_results

A job is known by its id from the first answer on: the caller stores it before ``close``, and
whatever is lost afterwards is found again by asking for the job. Nothing is processed before
``close``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import orjson
import polars as pl

from core.errors import LostError, RefusedError, StalledJobError, TransientError
from core.salesforce import faults, frames
from core.salesforce.queries import RestApi
from core.salesforce.retry import PollPolicy
from core.salesforce.wire import Answer, Request, Wire, broken_body

#: raw CSV of one job: the limit is 150 MB after the org's base64 (Bulk API 2.0, Limits)
MAX_UPLOAD_BYTES = 100_000_000
#: a stream is cut into frames of about this many bytes, whatever the width of its rows
BLOCK_BYTES = 24 * 1024 * 1024
#: an aborted job counts as being at rest when its figures have stood still for so long
REST_S = 5.0
#: no batch of an aborted job follows after so long: one is given 5 minutes, in older documents 10
#: (Bulk API 2.0, Limits)
BATCH_MAX_S = 600.0
_REST_LOOKS, _REST_LOOK_MAX_S = 5, 5.0


class JobState(StrEnum):
    """Where a job stands, by the org's own words."""

    OPEN = "Open"  # waits for its CSV
    UPLOAD_COMPLETE = "UploadComplete"  # queued
    IN_PROGRESS = "InProgress"
    JOB_COMPLETE = "JobComplete"  # processed; records may have failed
    FAILED = "Failed"  # could not be processed (any further)
    ABORTED = "Aborted"  # stopped; what was committed stays

    @property
    def is_terminal(self) -> bool:
        """Whether the org will do no more for the job."""
        return self in {JobState.JOB_COMPLETE, JobState.FAILED, JobState.ABORTED}


class ResultKind(StrEnum):
    """The three result files of an ingest job, by the tail of their address."""

    SUCCESSFUL = "successfulResults"  # sf__Id, sf__Created, then the sent columns
    FAILED = "failedResults"  # sf__Id, sf__Error, then the sent columns
    UNPROCESSED = "unprocessedrecords"  # the sent columns


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What an ingest job is to do with its CSV (comma, LF, UTF-8)."""

    sobject: str
    #: insert | update | upsert | delete | hardDelete
    operation: str
    external_id_field: str | None = None
    assignment_rule_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as the org last described it."""

    job_id: str
    state: JobState
    operation: str
    sobject: str
    #: failed records included
    records_processed: int
    records_failed: int
    error_message: str
    created_by: str
    created_at: datetime | None
    total_processing_ms: int
    apex_processing_ms: int
    retries: int
    #: seconds of waiting in which nothing of it moved, as far as we looked
    idle_s: float = 0.0

    @property
    def figures(self) -> tuple[object, ...]:
        """What moves while the org works on the job."""
        return (
            self.state, self.records_processed, self.records_failed,
            self.total_processing_ms, self.retries,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """Bulk jobs of one org. Thread-safe."""

    wire: Wire
    api: RestApi
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    poll: PollPolicy

    def create_job(self, spec: JobSpec) -> str:
        """Id of a new, open ingest job.

        An answer lost here leaves at most an empty open job behind, which does nothing: it is asked
        for again.
        """
        document = {
            "object": spec.sobject,
            "operation": spec.operation,
            "contentType": "CSV",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        }
        if spec.external_id_field:
            document["externalIdFieldName"] = spec.external_id_field
        if spec.assignment_rule_id:
            document["assignmentRuleId"] = spec.assignment_rule_id
        request = self._json_request("POST", "jobs/ingest", document, sobject=spec.sobject)
        return str(self.wire.fetch(request, Answer.json)["id"])

    def upload(self, job_id: str, content: bytes | Iterable[bytes]) -> None:
        """Give an open job its CSV; a job takes it once.

        Raises:
            LostError: the answer was lost. Nothing is processed before ``close``: abort the job and
                make another.
        """
        headers = {"Content-Type": "text/csv; charset=UTF-8"}
        if isinstance(content, bytes):
            headers["Content-Length"] = str(len(content))
        self.wire.send(
            Request(
                method="PUT",
                path=self.api.path(f"jobs/ingest/{job_id}/batches"),
                headers=headers,
                body=content,
                write=True,
                facts={"job_id": job_id},
            )
        )

    def close(self, job_id: str) -> None:
        """Let the org process the job. A lost answer is settled by looking at the job.

        Raises:
            LostError: the org could not be asked what became of the request.
        """
        self._change_state(job_id, JobState.UPLOAD_COMPLETE)

    def abort(self, job_id: str) -> JobStatus:
        """Stop a job and return how it ended; one that has already ended is left as it is."""
        status = self.job(job_id)
        if status.state.is_terminal:
            return status
        try:
            self._change_state(job_id, JobState.ABORTED)
        except RefusedError:
            # it may have ended between the look and the request
            status = self.job(job_id)
            if not status.state.is_terminal:
                raise
            return status
        return self.job(job_id)

    def delete(self, job_id: str) -> None:
        """Forget a job and its results; one that is gone already is fine."""
        path = self.api.path(f"jobs/ingest/{job_id}")
        request = Request(
            method="DELETE", path=path, accept=frozenset({404}), facts={"job_id": job_id}
        )
        self.wire.send(request)

    def job(self, job_id: str) -> JobStatus:
        """The job as it stands."""
        path = self.api.path(f"jobs/ingest/{job_id}")
        return _status(self.wire.get_json(path, job_id=job_id))

    def wait(
        self,
        job_id: str,
        *,
        until: datetime | None = None,
        on_poll: Callable[[JobStatus], None] | None = None,
    ) -> JobStatus:
        """The job when it has ended, or as it stood at ``until``; looks 0.1 s to 5 s apart.

        ``on_poll`` sees every look; what it raises ends the waiting (the job goes on).

        Raises:
            StalledJobError: nothing of the job moved for ``poll.patience_s``; it may yet go on.
        """
        return self._wait(f"jobs/ingest/{job_id}", until=until, on_poll=on_poll)

    def wait_for_rest(
        self,
        job_id: str,
        *,
        still_s: float = REST_S,
        on_poll: Callable[[JobStatus], None] | None = None,
    ) -> JobStatus:
        """An aborted job once its figures have stood still for `still_s`.

        A batch that was on its way when the job was aborted is committed all the same, so the state
        alone does not say that no row follows.
        """
        wait_s = min(still_s / _REST_LOOKS, _REST_LOOK_MAX_S)
        status, waited_s = self.job(job_id), 0.0
        while waited_s < still_s:
            self.sleep(wait_s)
            now = self.job(job_id)
            if on_poll is not None:
                on_poll(now)
            moved = now.records_processed != status.records_processed
            waited_s = 0.0 if moved else waited_s + wait_s
            status = now
        return status

    def results(
        self,
        job_id: str,
        kind: ResultKind,
        *,
        max_rows: int = 50_000,
        only: Sequence[str] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """One result file as frames, in the org's order (not that of the upload); none if empty.

        Args:
            only: columns to keep; the org echoes every cell that was sent.
        """
        path = self.api.path(f"jobs/ingest/{job_id}/{ResultKind(kind).value}")
        page = ResultPage(path, {"job_id": job_id})
        yield from self._frames(page, max_rows, only)

    def open_jobs(self, *, sobject: str | None = None) -> Iterator[JobStatus]:
        """Ingest jobs (2.0) that have not ended, of any user whose jobs we may see."""
        path: str | None = self.api.path("jobs/ingest?jobType=V2Ingest")
        while path:
            page = self.wire.get_json(path)
            for item in page["records"]:
                status = _status(item)
                if not status.state.is_terminal and sobject in (None, status.sobject):
                    yield status
            path = None if page.get("done", True) else page.get("nextRecordsUrl")

    def create_query(self, soql: str, *, all_rows: bool = False) -> str:
        """Id of a new query job; lost answers leave at most a superfluous one behind."""
        document = {"operation": "queryAll" if all_rows else "query", "query": soql}
        request = self._json_request("POST", "jobs/query", document)
        return str(self.wire.fetch(request, Answer.json)["id"])

    def wait_query(
        self,
        job_id: str,
        *,
        until: datetime | None = None,
        on_poll: Callable[[JobStatus], None] | None = None,
    ) -> JobStatus:
        """As ``wait``, for a query job."""
        return self._wait(f"jobs/query/{job_id}", until=until, on_poll=on_poll)

    def query_results(self, job_id: str, *, page_rows: int = 50_000) -> Iterator[pl.DataFrame]:
        """The rows of a finished query job as frames of at most ``page_rows``; none if empty."""
        locator: str | None = ""
        while locator is not None:
            query = f"?maxRecords={page_rows}" + (f"&locator={quote(locator)}" if locator else "")
            path = self.api.path(f"jobs/query/{job_id}/results{query}")
            page = ResultPage(path, {"job_id": job_id})
            yield from self._frames(page, page_rows)
            locator = page.next_locator

    def delete_query(self, job_id: str) -> None:
        """Forget a query job and its results; one that is gone already is fine."""
        path = self.api.path(f"jobs/query/{job_id}")
        self.wire.send(Request(method="DELETE", path=path, accept=frozenset({404})))

    def query_frames(
        self,
        soql: str,
        *,
        all_rows: bool = False,
        page_rows: int = 50_000,
        beat: Callable[[], None] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Run a query as a job and give its rows; the job is deleted when they have been read.

        Args:
            beat: called between two looks at the job; what it raises ends the waiting.

        Raises:
            RefusedError: the org does not take this query in bulk (``faults.is_not_for_bulk``).
        """
        job_id = self.create_query(soql, all_rows=all_rows)
        status = self.wait_query(job_id, on_poll=(lambda _: beat()) if beat else None)
        if status.state is not JobState.JOB_COMPLETE:
            raise RefusedError(
                f"The org did not finish the query job {job_id}: "
                f"{status.error_message or status.state}.",
                next_step="Narrow the query, or read the object over REST.",
                job_id=job_id,
                code=status.error_message.partition(":")[0].strip(),
            )
        yield from self.query_results(job_id, page_rows=page_rows)
        self.delete_query(job_id)

    def _change_state(self, job_id: str, state: JobState) -> None:
        path = f"jobs/ingest/{job_id}"
        request = self._json_request("PATCH", path, {"state": state}, write=True, job_id=job_id)
        for wait_s in (*_few(self.poll, 4), None):
            try:
                self.wire.send(request)
                return
            except LostError:
                if self._reached(job_id, state):
                    return
                if wait_s is None:
                    raise
                self.sleep(wait_s)

    def _reached(self, job_id: str, state: JobState) -> bool:
        now = self.job(job_id).state
        return now is not JobState.OPEN if state is JobState.UPLOAD_COMPLETE else now.is_terminal

    def _wait(
        self,
        tail: str,
        *,
        until: datetime | None,
        on_poll: Callable[[JobStatus], None] | None,
    ) -> JobStatus:
        # waits are added up rather than clocks compared: a clock may jump
        idle_s, waited_s, before, delays = 0.0, 0.0, None, self.poll.delays()
        while True:
            status = _status(self.wire.get_json(self.api.path(tail)))
            if before is None or status.state is not before.state:
                # its own time begins when it leaves the queue
                is_queued = status.state is JobState.UPLOAD_COMPLETE
                delays = self.poll.delays(is_queued=is_queued)
            moved = before is None or status.figures != before.figures
            before = status = replace(status, idle_s=0.0 if moved else idle_s)
            idle_s = status.idle_s
            if on_poll is not None:
                on_poll(status)
            if status.state.is_terminal:
                if waited_s:  # one that had ended before the first look says nothing
                    self.wire.meter.count_job(waited_s)
                return status
            if until is not None and self.clock() >= until:
                return status
            if idle_s >= self.poll.patience_s:
                raise _stalled(status)
            wait_s = next(delays)
            self.sleep(wait_s)
            idle_s, waited_s = idle_s + wait_s, waited_s + wait_s

    def _frames(
        self, page: ResultPage, max_rows: int, only: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Frames of one result file; one that breaks off is read again from where it stood.

        Result files do not change, so rows already given are skipped by number.
        """
        given = 0
        failures = 0
        while True:
            seen = 0
            try:
                blocks = page.blocks(self.wire)
                for frame in frames.csv_frames(blocks, max_rows=max_rows, only=only):
                    fresh = frame.slice(max(given - seen, 0))
                    seen += frame.height
                    if fresh.height:
                        given += fresh.height
                        failures = 0
                        yield fresh
                return
            except TransientError:
                failures += 1
                if failures > _STREAM_ATTEMPTS:
                    raise
                self.sleep(next(iter(self.poll.delays())) * 2 ** (failures + 1))

    def _json_request(
        self,
        method: str,
        tail: str,
        document: Mapping[str, Any],
        *,
        write: bool = False,
        **facts: Any,
    ) -> Request:
        return Request(
            method=method,
            path=self.api.path(tail),
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(document),
            write=write,
            facts=facts,
        )


class ResultPage:
    """One result file (or one page of a query's) to be read in blocks."""

    def __init__(self, path: str, facts: Mapping[str, Any]) -> None:
        self._request = Request(
            method="GET", path=path, headers={"Accept": "text/csv"}, facts=dict(facts)
        )
        #: where the next page begins; None after the last (known once the page has begun)
        self.next_locator: str | None = None

    def blocks(self, wire: Wire) -> Iterator[bytes]:
        """The body in large blocks.

        Raises:
            TransientError: it broke off.
        """
        with wire.stream(self._request) as response, broken_body(self._request):
            locator = response.headers.get("Sforce-Locator", "null")
            self.next_locator = None if locator in ("", "null") else locator
            if "html" in response.headers.get("Content-Type", ""):
                raise faults.answer_lost("a web page came instead of CSV", written=False)
            yield from response.stream(BLOCK_BYTES, decode_content=True)


def split_error(text: str) -> tuple[str, str, tuple[str, ...]]:
    """``(code, message, fields)`` of an ``sf__Error`` cell.

    The shape is ``CODE:message:Field1 Field2 --``; the message may itself hold colons.
    """
    code, _, rest = text.partition(":")
    message, colon, tail = rest.rpartition(":")
    if not colon:
        return code, rest, ()
    named = tail.removesuffix("--").split()
    return code, message, tuple(named)


def _stalled(status: JobStatus) -> StalledJobError:
    return StalledJobError(
        f"The org has not moved the bulk job {status.job_id} ({status.sobject or 'query'},"
        f" {status.state}) for {status.idle_s / 60:.0f} minutes,"
        f" at {status.records_processed} records processed.",
        state="The org may still go on with it; nothing of it was sent again.",
        next_step="Wait for it or abort it (Setup, Bulk Data Load Jobs), then resume.",
        job_id=status.job_id,
    )


#: sendings of a result file that broke off without a single new row
_STREAM_ATTEMPTS = 5


def _few(poll: PollPolicy, number: int) -> Iterator[float]:
    delays = poll.delays()
    return (next(delays) for _ in range(number))


def _status(item: Mapping[str, Any]) -> JobStatus:
    try:
        state = JobState(str(item["state"]))
    except ValueError as exc:
        raise faults.unreadable(f"a job in the state {item['state']!r}") from exc
    return JobStatus(
        job_id=str(item["id"]),
        state=state,
        operation=str(item.get("operation", "")),
        sobject=str(item.get("object", "")),
        records_processed=int(item.get("numberRecordsProcessed") or 0),
        records_failed=int(item.get("numberRecordsFailed") or 0),
        error_message=str(item.get("errorMessage") or ""),
        created_by=str(item.get("createdById") or ""),
        created_at=_time(item.get("createdDate")),
        total_processing_ms=int(item.get("totalProcessingTime") or 0),
        apex_processing_ms=int(item.get("apexProcessingTime") or 0),
        retries=int(item.get("retries") or 0),
    )


def _time(text: Any) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text).replace("+0000", "+00:00"))
    except ValueError:
        return None
