"""``/_sim/faults``: plant, list and take away faults."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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


ROUTES = [Route("/_sim/faults", _faults, methods=["GET", "POST", "DELETE"])]
