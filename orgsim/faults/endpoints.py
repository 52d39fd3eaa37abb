"""``/_sim/faults``: plant, list and take away faults; see which requests are held, let them go.

GET  /_sim/faults/held?wait_s=5     how many requests are held; waits so long for the first
POST /_sim/faults/release           lets the held ones go
"""

from __future__ import annotations

import asyncio
import time

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orgsim.faults.asgi import HELD_STEP_S
from orgsim.faults.book import FaultBook, FaultError


async def _faults(request: Request) -> Response:
    book: FaultBook = request.state.org.faults
    if request.method == "DELETE":
        book.clear()
        return Response(status_code=204)
    if request.method == "POST":
        given = orjson.loads(await request.body())
        try:
            for fault in given if isinstance(given, list) else [given]:
                book.plant(fault)
        except FaultError as problem:
            return Response(str(problem), 400, media_type="text/plain")
    return Response(orjson.dumps(book.planted()), media_type="application/json")


async def _held(request: Request) -> Response:
    book: FaultBook = request.state.org.faults
    until = time.monotonic() + float(request.query_params.get("wait_s", 0))
    while not book.held and time.monotonic() < until:
        await asyncio.sleep(HELD_STEP_S)
    return Response(orjson.dumps({"held": book.held}), media_type="application/json")


async def _release(request: Request) -> Response:
    book: FaultBook = request.state.org.faults
    book.release()
    return Response(status_code=204)


ROUTES = [
    Route("/_sim/faults", _faults, methods=["GET", "POST", "DELETE"]),
    Route("/_sim/faults/held", _held, methods=["GET"]),
    Route("/_sim/faults/release", _release, methods=["POST"]),
]
