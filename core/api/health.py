"""Is this server able to work: the one route that says so to a supervisor, a proxy or a person."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from core.api import process
from core.errors import BugError


async def health(_request: Request) -> JSONResponse:
    """200 with ``{"status": "ok"}`` when the database answers, else 503."""
    if await run_in_threadpool(_database_answers):
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "unavailable"}, status_code=503)


def _database_answers() -> bool:
    try:
        return process.bridge().database_answers()
    except BugError:  # starting or stopping
        return False
