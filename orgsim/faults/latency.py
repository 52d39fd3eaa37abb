"""Waits like those of an org far away, and a list of what was waited.

Options of the org say how long: ``call_delay_s`` for every API call, ``bulk_job_delay_s`` for every
bulk job beyond its work (a number, or the least and the most, drawn by the job's id, so that the
same job waits as long again). The list is for whoever compares what a client took with what it had
to wait for:

    GET    /_sim/delays      [{"what", "job", "began_s", "seconds"}] in the order of beginning
    DELETE /_sim/delays      forgets them
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orgsim.faults.asgi import UNDISTURBED, App, Message, Receive, Send


@dataclass(frozen=True, slots=True)
class Delay:
    """One wait.

    Attributes:
        what: Method and path of a call; operation and object of a job.
        job: The id of a bulk job; None for a call.
        began_s: On the machine's monotonic clock, which all processes share.
    """

    what: str
    job: str | None
    began_s: float
    seconds: float


class Latency:
    """Says how long to wait, and keeps what was waited. Thread-safe."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._waited: list[Delay] = []

    def of_call(self, method: str, path: str) -> float:
        """Seconds that a call waits."""
        return self._noted(f"{method} {path}", None, float(self._options.get("call_delay_s", 0)))

    def of_job(self, operation: str, sobject: str | None, job_id: str) -> float:
        """Seconds that a bulk job takes beyond its work."""
        given = self._options.get("bulk_job_delay_s", 0)
        least, most = given if isinstance(given, list) else (given, given)
        drawn = random.Random(job_id)  # noqa: S311  # no secret: the same job waits as long again
        seconds = drawn.uniform(float(least), float(most))
        return self._noted(f"{operation} {sobject or ''}".strip(), job_id, seconds)

    def waited(self) -> list[Delay]:
        """All waits so far."""
        with self._lock:
            return list(self._waited)

    def forget(self) -> None:
        """Empty the list."""
        with self._lock:
            self._waited.clear()

    def _noted(self, what: str, job_id: str | None, seconds: float) -> float:
        if seconds > 0:
            with self._lock:
                self._waited.append(Delay(what, job_id, time.monotonic(), seconds))
        return seconds


class LatencyMiddleware:
    """Lets every call wait before anything else happens to it."""

    def __init__(self, app: App, latency: Latency) -> None:
        self._app = app
        self._latency = latency

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, later."""
        path = str(scope.get("path", ""))
        if scope["type"] == "http" and not path.startswith(UNDISTURBED):
            seconds = self._latency.of_call(str(scope["method"]), path)
            if seconds > 0:
                await asyncio.sleep(seconds)
        await self._app(scope, receive, send)


async def _delays(request: Request) -> Response:
    latency: Latency = request.state.org.latency
    if request.method == "DELETE":
        latency.forget()
        return Response(status_code=204)
    found = [asdict(delay) for delay in latency.waited()]
    return Response(orjson.dumps(found), media_type="application/json")


ROUTES = [Route("/_sim/delays", _delays, methods=["GET", "DELETE"])]
