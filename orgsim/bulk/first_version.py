"""Bulk API 1.0, as far as older clients read with it: query jobs in XML below ``/services/async``.

A job of the first version has batches; for a query it has one, which is carried out as a query job
of version 2.0. Loading, JSON and PK chunking are refused.
Source: Bulk API Developer Guide, "Bulk Query", "Schema for XML", "Errors".
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias
from xml.sax.saxutils import escape

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from orgsim.bulk import query as bulk_query
from orgsim.bulk.csv_file import CsvForm
from orgsim.bulk.model import QUERIES, Job, JobState, Operation
from orgsim.bulk.office import Office
from orgsim.bulk.requests import JobRefusedError
from orgsim.soql.errors import QueryError

Handler: TypeAlias = Callable[[Request, Office], Awaitable[Response]]
_NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
_BASE = "/services/async/{version}/job"
#: key prefixes of batches and results
_BATCH, _RESULT = "751", "752"
#: states of a query's one batch
_BATCH_STATES = {
    JobState.UPLOAD_COMPLETE: "Queued",
    JobState.IN_PROGRESS: "InProgress",
    JobState.JOB_COMPLETE: "Completed",
    JobState.FAILED: "Failed",
    JobState.ABORTED: "NotProcessed",
}


async def _create(request: Request, office: Office) -> Response:
    body = (await request.body()).decode("utf-8", "replace")
    try:
        operation = Operation(_told(body, "operation"))
    except ValueError:
        raise JobRefusedError("InvalidJob", "Invalid operation") from None
    if operation not in QUERIES or _told(body, "contentType").upper() not in ("", "CSV"):
        raise JobRefusedError("FeatureNotEnabled", "Only queries as CSV are carried out")
    asking = await run_in_threadpool(office.asking, request)
    sobject = asking.schema.sobject(_told(body, "object"))
    if sobject is None:
        raise JobRefusedError("InvalidJob", f"Unable to find object: {_told(body, 'object')}")
    now = asking.now.isoformat()
    job = Job(
        id="", operation=operation, object=sobject.name, state=JobState.OPEN,
        created_by=asking.user_id, created_at=now, modified_at=now,
        api_version=asking.api_version,
    )  # fmt: skip
    return _xml(_job_info(await run_in_threadpool(office.enter, job)), 201)


async def _change(request: Request, office: Office) -> Response:
    """``Closed`` says that no batch follows; ``Aborted`` stops one that runs."""
    wanted = _told((await request.body()).decode("utf-8", "replace"), "state")
    job = await _job(request, office)
    if wanted == "Aborted":
        aborted = partial(_aborted, office=office)
        changed = await run_in_threadpool(office.ledger.change, job.id, aborted)
        job = changed or job
    return _xml(_job_info(job, state=wanted))


async def _get(request: Request, office: Office) -> Response:
    return _xml(_job_info(await _job(request, office)))


async def _add_batch(request: Request, office: Office) -> Response:
    soql = (await request.body()).decode().strip()
    job = await _job(request, office)
    if job.state is not JobState.OPEN:
        raise JobRefusedError("InvalidBatch", "A query job takes one batch")
    asking = await run_in_threadpool(office.asking, request)
    asked = replace(job, query=soql, state=JobState.UPLOAD_COMPLETE)
    await run_in_threadpool(office.plan, asked, asking.schema)
    await run_in_threadpool(office.ledger.change, job.id, lambda _: asked)
    office.worker.submit(asked)
    return _xml(_batch_info(asked), 201)


async def _batches(request: Request, office: Office) -> Response:
    info = _batch_info(await _job(request, office))
    return _xml(f'<batchInfoList xmlns="{_NAMESPACE}">{info}</batchInfoList>')


async def _batch(request: Request, office: Office) -> Response:
    return _xml(_batch_info(await _job(request, office)))


async def _result_list(request: Request, office: Office) -> Response:
    job = await _job(request, office)
    one = f"<result>{_RESULT}{job.id[3:]}</result>"
    return _xml(f'<result-list xmlns="{_NAMESPACE}">{one}</result-list>')


async def _result(request: Request, office: Office) -> Response:
    job = await _job(request, office)
    if job.state is not JobState.JOB_COMPLETE:
        raise JobRefusedError("InvalidBatch", f"The batch is {_BATCH_STATES.get(job.state)}")
    files = office.worker.files(job.id)
    read = partial(bulk_query.result_page, files, CsvForm.of(job), locator=None, rows=job.processed)
    page = await run_in_threadpool(read)
    body = iterate_in_threadpool(page.body)
    return StreamingResponse(body, headers={"content-type": "text/csv"})


async def _job(request: Request, office: Office) -> Job:
    job = await run_in_threadpool(office.ledger.job, request.path_params["job_id"])
    if job is None or job.operation not in QUERIES:
        raise JobRefusedError("InvalidJob", "Unable to find job", 404)
    return job


def _aborted(job: Job, *, office: Office) -> Job:
    return job if job.is_terminal else job.moved(JobState.ABORTED, office.now())


def _told(body: str, name: str) -> str:
    found = re.search(rf"<{name}>\s*([^<]*?)\s*</{name}>", body)
    return found[1] if found else ""


def _job_info(job: Job, *, state: str = "Open") -> str:
    return _element("jobInfo", {
        "id": job.id, "operation": job.operation.value, "object": job.object,
        "createdById": job.created_by, "createdDate": job.created_at,
        "systemModstamp": job.modified_at, "state": state, "concurrencyMode": "Parallel",
        "contentType": "CSV", "apiVersion": job.api_version,
    })  # fmt: skip


def _batch_info(job: Job) -> str:
    given = {
        "id": _BATCH + job.id[3:], "jobId": job.id, "state": _BATCH_STATES.get(job.state, "Queued"),
        "stateMessage": job.error_message, "createdDate": job.created_at,
        "systemModstamp": job.modified_at, "numberRecordsProcessed": job.processed,
        "numberRecordsFailed": 0, "totalProcessingTime": job.total_ms,
        "apiActiveProcessingTime": job.total_ms, "apexProcessingTime": 0,
    }  # fmt: skip
    return _element(
        "batchInfo", {name: value for name, value in given.items() if value is not None}
    )


def _element(name: str, cells: dict[str, object]) -> str:
    inner = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in cells.items())
    return f'<{name} xmlns="{_NAMESPACE}">{inner}</{name}>'


def _xml(content: str, status: int = 200) -> Response:
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return Response(head + content, status, media_type="application/xml")


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request, Office.of(request))
        except (JobRefusedError, QueryError) as refusal:
            said = _element(
                "error", {"exceptionCode": refusal.code, "exceptionMessage": refusal.message}
            )
            return _xml(said, getattr(refusal, "status", 400))

    return answer


ROUTES = [
    Route(_BASE, _endpoint(_create), methods=["POST"]),
    Route(_BASE + "/{job_id}", _endpoint(_change), methods=["POST"]),
    Route(_BASE + "/{job_id}", _endpoint(_get), methods=["GET"]),
    Route(_BASE + "/{job_id}/batch", _endpoint(_add_batch), methods=["POST"]),
    Route(_BASE + "/{job_id}/batch", _endpoint(_batches), methods=["GET"]),
    Route(_BASE + "/{job_id}/batch/{batch_id}", _endpoint(_batch), methods=["GET"]),
    Route(_BASE + "/{job_id}/batch/{batch_id}/result", _endpoint(_result_list), methods=["GET"]),
    Route(_BASE + "/{job_id}/batch/{batch_id}/result/{result_id}", _endpoint(_result)),
]
