"""REST for scripts: operations listed, launched and looked up with an API key.

    GET  /api/v1/operations                what there is, with the JSON schema of the parameters
    POST /api/v1/operations/{kind}         launch; 202 with the log entry's id, a worker carries it
    GET  /api/v1/operations/{kind}/{id}    how it stands, with its result when it has ended
    GET  /api/v1/operations/{kind}/{id}/file   the file that it wrote, streamed
    GET|PUT|POST /api/v1/files…            CSV files as the source of plans (core.api.uploads)
    GET  /api/v1/openapi.json              all of it as OpenAPI 3.1, made from the same registry

The key goes as ``Authorization: Bearer …``; a browser's cookie opens nothing here, so that no other
site can act through it. Every refusal is JSON: what happened, the state of things, what to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.api import downloads, process, uploads
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.errors import (
    BugError,
    ConflictError,
    NotAllowedError,
    NotFoundError,
    OrgbridgeError,
    TransientError,
    UserError,
)
from core.services import failures, operations, people

log = logging.getLogger(__name__)

PREFIX = "/api/v1/"
#: parameters are small; what is larger is a mistake or an attack
MOST_BODY_BYTES = 1_000_000

#: status and document, or an answer of one's own making
Answer = tuple[int, Any] | Response
Work = Callable[[Orgbridge, Actor, Request, Any], Answer]

_STATUSES: tuple[tuple[type[OrgbridgeError], int], ...] = (
    (NotAllowedError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (UserError, 422),
    (TransientError, 503),
    (OrgbridgeError, 502),
)


def routes() -> list[BaseRoute]:
    """All routes of the REST door."""
    return [
        Route(PREFIX + "operations", _route(_list), methods=["GET"]),
        Route(PREFIX + "operations/{kind}", _route(_launch), methods=["POST"]),
        Route(PREFIX + "operations/{kind}/{log_id}", _route(_show), methods=["GET"]),
        Route(PREFIX + "operations/{kind}/{log_id}/file", _route(_file), methods=["GET"]),
        Route(PREFIX + "files", _route(uploads.listed), methods=["GET"]),
        Route(PREFIX + "files/{name}", _streamed(uploads.kept), methods=["PUT"]),
        Route(PREFIX + "files/{name}/plan", _route(uploads.delivered), methods=["POST"]),
        Route(PREFIX + "openapi.json", _route(_openapi), methods=["GET"]),
        Route(PREFIX + "{rest:path}", _route(_nowhere), methods=["GET", "POST", "PUT", "DELETE"]),
    ]


def _list(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    return 200, {"operations": [asdict(card) for card in operations.offered(actor)]}


def _launch(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    if not isinstance(body, dict):
        raise UserError("The parameters are no JSON object.", state="Nothing was launched.")
    kind = str(request.path_params["kind"])
    log_id = operations.enqueue(bridge, actor, kind, given=body)
    return 202, {"id": log_id, "kind": kind, "status": "pending"}


def _show(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    kind, log_id = str(request.path_params["kind"]), downloads.log_id_of(request)
    return 200, asdict(operations.shown(bridge, actor, kind, log_id=log_id))


def _file(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    kind = str(request.path_params["kind"])
    row, pieces = operations.written(bridge, actor, downloads.log_id_of(request), kind=kind)
    return downloads.streamed(row.file_name, pieces)


def _openapi(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    return 200, document(operations.offered(actor))


def document(cards: Sequence[operations.OperationCard]) -> dict[str, Any]:
    """All of the door as OpenAPI 3.1, with these operations."""
    paths: dict[str, Any] = {PREFIX + "operations": {"get": _described("List operations", "200")}}
    for card in cards:
        path = f"{PREFIX}operations/{card.kind}"
        parameters = {"required": True, "content": {"application/json": {"schema": card.schema}}}
        paths[path] = {"post": {**_described(card.purpose, "202"), "requestBody": parameters}}
        shown = _described(f"{card.title}: how a launch stands", "200")
        named = {"name": "id", "in": "path", "required": True}
        shown["parameters"] = [{**named, "schema": {"type": "string", "format": "uuid"}}]
        paths[path + "/{id}"] = {"get": shown}
        if card.keeps_file:
            fetched = _described(f"{card.title}: the file that a launch wrote", "200")
            paths[path + "/{id}/file"] = {"get": {**fetched, "parameters": shown["parameters"]}}
    paths |= _file_paths()
    key = {"type": "http", "scheme": "bearer", "description": "An API key of the workspace"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orgbridge", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"key": key}},
        "security": [{"key": []}],
    }


def _nowhere(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    raise NotFoundError(
        "There is nothing at this address.", next_step=f"{PREFIX}openapi.json lists what there is."
    )


def _file_paths() -> dict[str, Any]:
    named = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    file_name = {**named, "name": "file_name", "in": "query", "required": False}
    plan = {"type": "object", "properties": {"plan": {"type": "string"}}, "required": ["plan"]}
    keep = {
        **_described("Keep a CSV file or a zip of them; the operation read_files reads it", "201"),
        "parameters": [named, file_name],
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        },
    }
    deliver = {
        **_described("Let a plan read from these files", "200"),
        "parameters": [named],
        "requestBody": {"required": True, "content": {"application/json": {"schema": plan}}},
    }
    return {
        PREFIX + "files": {"get": _described("List files", "200")},
        PREFIX + "files/{name}": {"put": keep},
        PREFIX + "files/{name}/plan": {"post": deliver},
    }


def _described(summary: str, status: str) -> dict[str, Any]:
    answers = {status: "Done", "401": "No valid key", "403": "Not allowed", "422": "Wrong input"}
    return {
        "summary": summary,
        "responses": {code: {"description": words} for code, words in answers.items()},
    }


def _route(work: Work) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BODY_BYTES:
                return _reply(413, {"error": "The body is too large."})
        return await run_in_threadpool(_answered, work, request, body)

    return answer


def _streamed(work: Work) -> Callable[[Request], Any]:
    """A route whose work reads the body itself, piece by piece."""

    async def answer(request: Request) -> Response:
        return await run_in_threadpool(_answered, work, request, b"")

    return answer


def _answered(work: Work, request: Request, body: bytes) -> Response:
    """The answer as JSON; the boundary of this door: a defect is logged and told by an id."""
    actor: Actor | None = None
    try:
        bridge = process.bridge()
        actor = _actor(bridge, request)
        if actor is None:
            return _reply(401, {"error": "An API key is needed.", "header": "Authorization"})
        if _holds_nul([str(each) for each in request.path_params.values()]) or _holds_nul(
            list(request.query_params.values())
        ):
            raise NotFoundError("There is nothing at this address.")
        answer = work(bridge, actor, request, _parsed(body))
        return answer if isinstance(answer, Response) else _reply(*answer)
    except BugError as exc:
        return _defect(exc, actor)
    except OrgbridgeError as exc:
        status = next(code for kind, code in _STATUSES if isinstance(exc, kind))
        told = {"error": exc.happened, "state": exc.state, "next_step": exc.next_step}
        return _reply(status, told)
    except Exception as exc:
        return _defect(exc, actor)


def _defect(problem: Exception, actor: Actor | None) -> Response:
    """What is ours: kept under a reference, which alone is told."""
    reference = failures.met(process.held(), problem, boundary="rest", by=actor)
    return _reply(500, {"error": f"{failures.SENTENCE}.", "reference": reference})


def _actor(bridge: Orgbridge, request: Request) -> Actor | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    origin = request.client.host if request.client else "unknown"
    try:
        return people.actor_of_api_key(bridge, key.strip(), origin=origin)
    except NotAllowedError:
        return None


def _parsed(body: bytes) -> Any:
    if not body:
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise UserError("The body is no JSON.", state="Nothing was launched.") from exc
    if _holds_nul(document):
        raise UserError("A text in the body holds a NUL character.", state="Nothing was launched.")
    return document


def _holds_nul(value: Any) -> bool:
    """The database takes no NUL in a text."""
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(each) for key, each in value.items())
    if isinstance(value, list):
        return any(_holds_nul(each) for each in value)
    return isinstance(value, str) and "\0" in value


def _reply(status: int, document: Any) -> Response:
    content = orjson.dumps(document, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    headers = {"cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(content, status, headers, media_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, Role):
        return value.name.lower()
    if isinstance(value, datetime | UUID):
        return str(value)
    raise TypeError(type(value).__name__)
