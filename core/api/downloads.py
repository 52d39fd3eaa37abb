"""Long lists as CSV files by a plain link: written while they are read, never whole in memory.

    GET /download/records?org=…&sobject=…|soql=…&fields=…&where=…&people=1&all=1
    GET /download/file/{id}       what an operation wrote, by its log entry
    GET /download/logs?kind=…&text=…&since=…&until=…        GET /download/audit?actor=…&action=…

The browser's session opens them (they only read); the gate has looked at it before. What is wrong
is one plain sentence, as long as nothing was sent.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from core.api import process
from core.api.cookies import session_token
from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.errors import NotAllowedError, NotFoundError, OrgbridgeError, UserError
from core.services import audit, exporting, logs, operations, people

PREFIX = "/download/"
#: characters of a download's name, from its end
NAME_MAX = 150
Pieces = Callable[[Orgbridge, Actor, QueryParams], Iterator[bytes]]


def routes() -> list[BaseRoute]:
    """All downloads."""
    return [
        Route(PREFIX + "records", _download("records", _records), methods=["GET"]),
        Route(PREFIX + "logs", _download("logs", _logs), methods=["GET"]),
        Route(PREFIX + "audit", _download("audit-trail", _audit), methods=["GET"]),
        Route(PREFIX + "file/{log_id}", _file, methods=["GET"]),
    ]


def _records(bridge: Orgbridge, actor: Actor, asked: QueryParams) -> Iterator[bytes]:
    request = exporting.request(
        org=asked.get("org", ""),
        sobject=asked.get("sobject", ""),
        soql=asked.get("soql", ""),
        fields=tuple(one.strip() for one in asked.get("fields", "").split(",") if one.strip()),
        where=asked.get("where", ""),
        all_rows=asked.get("all") == "1",
        for_people=asked.get("people") == "1",
    )
    return exporting.export(bridge, actor, request)


def _logs(bridge: Orgbridge, actor: Actor, asked: QueryParams) -> Iterator[bytes]:
    chosen = logs.LogFilter(
        kinds=tuple(asked.getlist("kind")),
        text=asked.get("text", ""),
        who=asked.get("who", ""),
        org_id=_id(asked, "org_id"),
        since=_moment(asked, "since"),
        until=_moment(asked, "until"),
    )
    return logs.logs_csv(bridge, actor, chosen)


def _audit(bridge: Orgbridge, actor: Actor, asked: QueryParams) -> Iterator[bytes]:
    chosen = audit.TrailFilter(
        actor=asked.get("actor", ""),
        action=asked.get("action", ""),
        text=asked.get("text", ""),
        since=_moment(asked, "since"),
        until=_moment(asked, "until"),
    )
    return audit.trail_csv(bridge, actor, chosen)


async def _file(request: Request) -> Response:
    return await run_in_threadpool(_kept, request)


def _kept(request: Request) -> Response:
    """A file that was written before, under the name that it got then."""
    try:
        bridge, actor = _visitor(request)
        row, pieces = operations.written(bridge, actor, log_id_of(request))
        first = next(pieces, b"")
    except OrgbridgeError as wrong:
        return _refused(wrong)
    return streamed(row.file_name, chain([first], pieces))


def log_id_of(request: Request) -> UUID:
    """The log entry that the address names.

    Raises:
        NotFoundError: what stands there is no id.
    """
    try:
        return UUID(str(request.path_params["log_id"]))
    except ValueError as exc:
        raise NotFoundError("There is no such log entry in this workspace.") from exc


def _id(asked: QueryParams, name: str) -> UUID | None:
    given = asked.get(name)
    try:
        return UUID(given) if given else None
    except ValueError as wrong:
        raise UserError(f"{name}: {given!r:.40} is no id.") from wrong


def _moment(asked: QueryParams, name: str) -> dt.datetime | None:
    given = asked.get(name)
    if not given:
        return None
    try:
        found = dt.datetime.fromisoformat(given)
    except ValueError as wrong:
        raise UserError(f"{name}: {given[:40]!r} is no moment.") from wrong
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _download(name: str, pieces: Pieces) -> Callable[[Request], object]:
    async def answer(request: Request) -> Response:
        return await run_in_threadpool(_begun, request, name, pieces)

    return answer


def _begun(request: Request, name: str, pieces: Pieces) -> Response:
    """The answer with its first piece read, so that a refusal can still be said."""
    try:
        bridge, actor = _visitor(request)
        found = pieces(bridge, actor, request.query_params)
        first = next(found, b"")
    except OrgbridgeError as wrong:
        return _refused(wrong)
    stamp = bridge.clock().strftime("%Y%m%d-%H%M")
    return streamed(f"{name}-{stamp}.csv", chain([first], found))


def _visitor(request: Request) -> tuple[Orgbridge, Actor]:
    bridge = process.bridge()
    visitor = people.who(bridge, session_token(request) or "")
    if visitor is None:
        raise NotAllowedError("Your session has ended.", next_step="Sign in again.")
    return bridge, visitor.actor


def _refused(wrong: OrgbridgeError) -> Response:
    status = 403 if isinstance(wrong, NotAllowedError) else 422
    return PlainTextResponse(str(wrong), status_code=status)


def streamed(file_name: str, pieces: Iterable[bytes]) -> Response:
    """A file written while it is read, under its name."""
    headers = {
        "content-disposition": _attachment(file_name),
        "cache-control": "no-store",
    }
    return StreamingResponse(pieces, media_type="text/csv", headers=headers)


def _attachment(file_name: str) -> str:
    """The header that names a download; what a header cannot carry becomes an underscore.

    >>> _attachment("../../a b.csv"), _attachment('x"\\r\\nSet-Cookie: a=b.csv')
    ('attachment; filename="a b.csv"', 'attachment; filename="x___Set-Cookie_ a_b.csv"')
    """
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", file_name.replace("\\", "/").rsplit("/", 1)[-1])
    return f'attachment; filename="{plain.lstrip(".")[-NAME_MAX:] or "download"}"'
