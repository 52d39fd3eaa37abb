"""Is this server able to work: the one route that says so to a supervisor, a proxy or a person."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from core.api import process
from core.errors import BugError

OK = "ok"
#: a newer version has raised the schema
OUTDATED = "outdated"
UNAVAILABLE = "unavailable"


async def health(_request: Request) -> JSONResponse:
    """How this server is: ``{"status": …}``, whole and without anything that helps a stranger.

    ``ok`` and ``outdated`` come with 200: an app that a newer version's schema has overtaken goes
    on working, beside the newer one, until it is upgraded as well. ``unavailable`` comes with 503:
    the database does not answer, or the server starts or stops.
    """
    status = await run_in_threadpool(_status)
    return JSONResponse({"status": status}, status_code=503 if status == UNAVAILABLE else 200)


def _status() -> str:
    try:
        bridge = process.bridge()
    except BugError:  # starting or stopping
        return UNAVAILABLE
    if not bridge.database_answers():
        return UNAVAILABLE
    return OK if bridge.unknown_revision() is None else OUTDATED
