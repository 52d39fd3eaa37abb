"""The job resources of the API: ``/jobs/ingest`` and ``/jobs/query`` with what hangs below them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import orjson
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from orgsim.bulk import query as bulk_query
from orgsim.bulk.csv_file import CsvForm
from orgsim.bulk.files import ResultKind
from orgsim.bulk.ingest import unprocessed
from orgsim.bulk.model import Job, JobState
from orgsim.bulk.office import Office
from orgsim.bulk.requests import (
    MULTIPART_MAX_CHARS,
    JobRefusedError,
    check_delete,
    check_upload,
    closed,
    new_ingest_job,
    new_query_job,
)
from orgsim.soql.errors import QueryError

Handler: TypeAlias = Callable[[Request, Office], Awaitable[Response]]

#: Jobs of one page of a list. Source: Bulk API 2.0 Guide, "Get Information About All Jobs".
LIST_PAGE_JOBS = 1000


async def _create_ingest(request: Request, office: Office) -> Response:
    body, content = await _creation(request)
    asking = await run_in_threadpool(office.asking, request)
    job = await run_in_threadpool(office.enter, new_ingest_job(body, asking))
    if content is None:
        return _json(job.created_json())
    await run_in_threadpool(office.worker.files(job.id).keep_upload, content)
    return await run_in_threadpool(_close, office, job.id, JobState.UPLOAD_COMPLETE.value)


async def _creation(request: Request) -> tuple[dict[str, Any], bytes | None]:
    """Return the job of a creation and, from a multipart one, its data."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return _object(await request.body()), None
    async with request.form() as form:
        parts = {name: await _part(form[name]) for name in ("job", "content") if name in form}
    if set(parts) != {"job", "content"}:
        raise JobRefusedError(
            "CLIENTINPUTERROR", "ClientInputError : Parts job and content are required"
        )
    if len(parts["content"].decode("utf-8", "replace")) > MULTIPART_MAX_CHARS:
        raise JobRefusedError("CLIENTINPUTERROR", "ClientInputError : Multipart data may have up to"
                              f" {MULTIPART_MAX_CHARS} characters")  # fmt: skip
    return _object(parts["job"]), parts["content"]


async def _part(part: UploadFile | str) -> bytes:
    return part.encode() if isinstance(part, str) else await part.read()


async def _upload(request: Request, office: Office) -> Response:
    data = await request.body()
    job_id = request.path_params["job_id"]

    def keep(job: Job) -> Job:
        check_upload(job, len(data))
        office.worker.files(job_id).keep_upload(data)
        return replace(job, uploaded=True)

    _known(await run_in_threadpool(office.ledger.change, job_id, keep))
    return Response(status_code=201)


async def _patch(request: Request, office: Office) -> Response:
    wanted = str(_object(await request.body()).get("state"))
    return await run_in_threadpool(_close, office, request.path_params["job_id"], wanted)


def _close(office: Office, job_id: str, wanted: str) -> Response:
    job = _known(office.ledger.change(job_id, lambda found: closed(found, wanted, office.now())))
    if job.state is JobState.UPLOAD_COMPLETE:
        office.worker.submit(job)
    return _json(job.short_json())


async def _get(request: Request, office: Office) -> Response:
    job = await run_in_threadpool(office.ledger.job, request.path_params["job_id"])
    return _json(_known(job).full_json())


async def _delete(request: Request, office: Office) -> Response:
    job = _known(office.ledger.job(request.path_params["job_id"]))
    check_delete(job)
    await run_in_threadpool(office.ledger.delete, job.id)
    office.worker.files(job.id).delete()
    return Response(status_code=204)


async def _ingest_list(request: Request, office: Office) -> Response:
    return await run_in_threadpool(_list, request, office, "ingest")


async def _query_list(request: Request, office: Office) -> Response:
    return await run_in_threadpool(_list, request, office, "query")


def _list(request: Request, office: Office, kind: str) -> Response:
    jobs = office.ledger.jobs(is_query=kind == "query")
    locator = request.query_params.get("queryLocator", "0")
    start = int(locator) if locator.isdigit() else 0
    end = start + LIST_PAGE_JOBS
    done = end >= len(jobs)
    version = request.path_params["version"]
    url = f"/services/data/v{version}/jobs/{kind}?queryLocator={end}"
    records = [job.full_json() for job in jobs[start:end]]
    return _json({"done": done, "nextRecordsUrl": None if done else url, "records": records})


async def _results(request: Request, office: Office) -> Response:
    job = _known(office.ledger.job(request.path_params["job_id"]))
    named = request.path_params["kind"].lower()
    kind = next((kind for kind in ResultKind if kind.value.lower() == named), None)
    if kind is None:
        raise _not_found()
    if not job.is_terminal:
        raise JobRefusedError("INVALIDJOBSTATE", f"InvalidJobState : Job is in state {job.state}")
    body = await run_in_threadpool(_result_body, office, job, kind)
    return StreamingResponse(iterate_in_threadpool(body), headers={"content-type": "text/csv"})


def _result_body(office: Office, job: Job, kind: ResultKind) -> Any:
    files = office.worker.files(job.id)
    done = [batch.number for batch in office.ledger.batches(job.id)]
    rest = unprocessed(job, files, office.ledger)
    return files.results(kind, CsvForm.of(job), done=done, rest=rest)


async def _create_query(request: Request, office: Office) -> Response:
    asking = await run_in_threadpool(office.asking, request)
    job = new_query_job(_object(await request.body()), asking)
    plan = await run_in_threadpool(office.plan, job, asking.schema)
    job = await run_in_threadpool(office.enter, replace(job, object=plan.sobject.name))
    office.worker.submit(job)
    return _json(job.short_json())


async def _query_results(request: Request, office: Office) -> Response:
    job = _known(office.ledger.job(request.path_params["job_id"]))
    if job.state is not JobState.JOB_COMPLETE:
        raise JobRefusedError("INVALIDJOBSTATE", f"InvalidJobState : Job is in state {job.state}")
    asked = request.query_params.get("maxRecords", "")
    rows = max(1, int(asked)) if asked.isdigit() else bulk_query.PAGE_ROWS
    page = await run_in_threadpool(
        partial(
            bulk_query.result_page, office.worker.files(job.id), CsvForm.of(job),
            locator=request.query_params.get("locator") or None, rows=rows,
        )
    )  # fmt: skip
    headers = {
        "content-type": "text/csv",
        # The word null says that there is no further page (Bulk API 2.0 Guide, "Get Results").
        "Sforce-Locator": page.locator or "null",
        "Sforce-NumberOfRecords": str(page.rows),
    }
    return StreamingResponse(iterate_in_threadpool(page.body), headers=headers)


# -- the frame around every handler
# -----------------------------------------------------------------


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request, Office.of(request))
        except JobRefusedError as refusal:
            return _json([{"errorCode": refusal.code, "message": refusal.message}], refusal.status)
        except QueryError as refusal:
            return _json([{"errorCode": refusal.code, "message": refusal.message}], 400)

    return answer


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise JobRefusedError("JSON_PARSER_ERROR", f"{problem} at [line:1, column:1]") from problem
    if not isinstance(found, dict):
        raise JobRefusedError("JSON_PARSER_ERROR", "An object is expected")
    return found


def _known(job: Job | None) -> Job:
    if job is None:
        raise _not_found()
    return job


def _not_found() -> JobRefusedError:
    return JobRefusedError("NOT_FOUND", "The requested resource does not exist", 404)


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _routes(kind: str, create: Handler, listing: Handler) -> list[Route]:
    base = f"/services/data/v{{version}}/jobs/{kind}"
    one = base + "/{job_id}"
    return [
        Route(base, _endpoint(create), methods=["POST"]),
        Route(base, _endpoint(listing), methods=["GET"]),
        Route(one, _endpoint(_get), methods=["GET"]),
        Route(one, _endpoint(_patch), methods=["PATCH"]),
        Route(one, _endpoint(_delete), methods=["DELETE"]),
    ]


_ROUTES = [
    *_routes("ingest", _create_ingest, _ingest_list),
    *_routes("query", _create_query, _query_list),
    Route(
        "/services/data/v{version}/jobs/ingest/{job_id}/batches",
        _endpoint(_upload),
        methods=["PUT"],
    ),
    Route("/services/data/v{version}/jobs/query/{job_id}/results", _endpoint(_query_results)),
    Route("/services/data/v{version}/jobs/ingest/{job_id}/{kind}", _endpoint(_results)),
]
#: with and without the slash that the guide's own examples put at the end
ROUTES = [
    *_ROUTES,
    *(Route(f"{one.path}/", one.endpoint, methods=list(one.methods or ())) for one in _ROUTES),
]
