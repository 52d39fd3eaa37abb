"""The web application of one org: every resource, the gate before them, faults around all.

LatencyMiddleware ▶ FaultMiddleware ▶ gzip ▶ Gate (token, allowance) ▶ routes
                                                    ├── /services/oauth2, /id       auth
                                                    ├── /services/data/…/jobs        bulk
                                                    (streams)
                                                    ├── /services/Soap               soap
                                                    ├── /services/data/vXX.0/…       Router of
                                                    Rules
                                                    └── /_sim/…                      the test
                                                    API
"""

from __future__ import annotations

import logging
import uuid

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from orgsim.auth import endpoints as auth_endpoints
from orgsim.bulk import endpoints as bulk_endpoints
from orgsim.bulk import first_version
from orgsim.dml.late import LateRefusalsError
from orgsim.faults import endpoints as fault_endpoints
from orgsim.faults import latency
from orgsim.faults.asgi import FaultMiddleware
from orgsim.faults.latency import LatencyMiddleware
from orgsim.metadata import endpoints as metadata_endpoints
from orgsim.org import Org
from orgsim.soql import endpoints as soql_endpoints
from orgsim.wire import (
    blobs,
    changes,
    collections,
    composite,
    describing,
    discovery,
    records,
    sim,
    soap,
    tree,
)
from orgsim.wire.errors import ApiError
from orgsim.wire.gate import Gate
from orgsim.wire.router import Call, Reply, Router

_log = logging.getLogger(__name__)
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"]
#: Bodies below this are not worth compressing.
_GZIP_FROM_BYTES = 2_000


def make_router() -> Router:
    """All REST resources below a version, composite ones included."""
    made: list[Router] = []

    def itself() -> Router:
        return made[0]

    made.append(
        Router(
            [
                *discovery.RULES,
                *describing.RULES,
                *changes.RULES,
                *blobs.RULES,
                *collections.RULES,
                *composite.rules(itself),
                *tree.rules(itself),
                *soql_endpoints.RULES,
                *metadata_endpoints.RULES,
                *records.RULES,
            ]
        )
    )
    return made[0]


def make_app(org: Org) -> LatencyMiddleware:
    """The ASGI application of an org."""
    router = make_router()

    async def resource(request: Request) -> Response:
        return await _answer(request, org, router)

    routes: list[BaseRoute] = [
        Route("/services/data", _versions),
        Route("/services/data/", _versions),
        *auth_endpoints.routes(org),
        *bulk_endpoints.ROUTES,
        *first_version.ROUTES,
        *fault_endpoints.ROUTES,
        *latency.ROUTES,
        *sim.ROUTES,
        *soap.ROUTES,
        Route("/services/data/v{version}", resource, methods=_METHODS),
        Route("/services/data/v{version}/{path:path}", resource, methods=_METHODS),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(GZipMiddleware, minimum_size=_GZIP_FROM_BYTES, compresslevel=1),
            Middleware(Gate, org=org),
        ],
    )
    disturbed = FaultMiddleware(app, org.faults, lambda: _expire(org))
    return LatencyMiddleware(disturbed, org.latency)


def _expire(org: Org) -> None:
    org.sessions.expire_all(lasting=True)


async def _versions(request: Request) -> Response:
    return _response(Reply(body=discovery.versions()))


async def _answer(request: Request, org: Org, router: Router) -> Response:
    version = request.path_params["version"]
    body = await request.body()
    return await run_in_threadpool(_carry, request, org, router, version=version, body=body)


def _carry(request: Request, org: Org, router: Router, *, version: str, body: bytes) -> Response:
    """One request in its thread; the boundary where every exception becomes an answer."""
    try:
        _check_version(version)
        call = Call(
            org=org, session=request.state.session,
            schema=org.schema_for(request.state.session.user_id), version=version,
            method=request.method, path=request.path_params.get("path", ""),
            query=dict(request.query_params), headers=dict(request.headers), body=body,
        )  # fmt: skip
        return _response(router.answer(call), pretty=request.headers.get("x-prettyprint") == "1")
    except ApiError as error:
        return _response(Reply(error.status, error.body))
    except LateRefusalsError as error:
        _, refusal = error.refusals[0]
        return _response(Reply(400, [{"message": refusal.message, "errorCode": refusal.code}]))
    except Exception:
        number = uuid.uuid4().hex[:10]
        _log.exception("request failed", extra={"path": request.url.path, "error_id": number})
        text = ("An unexpected error occurred. Please include this ErrorId if you contact "
                f"support: {number}")  # fmt: skip
        return _response(Reply(500, [{"message": text, "errorCode": "UNKNOWN_EXCEPTION"}]))


def _check_version(version: str) -> None:
    if not discovery.is_known(version):
        raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")


def _response(reply: Reply, *, pretty: bool = False) -> Response:
    if reply.status in (204, 304):
        return Response(status_code=reply.status, headers=dict(reply.headers))
    content = reply.encoded()
    if pretty and reply.content is None and reply.body is not None:
        content = orjson.dumps(reply.body, option=orjson.OPT_INDENT_2)
    headers = dict(reply.headers)
    return Response(content, reply.status, headers=headers, media_type=reply.media_type)
