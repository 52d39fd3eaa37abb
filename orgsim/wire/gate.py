"""The gate before every resource: who asks, is there allowance left, and the header that counts
calls."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from orgsim.auth.sessions import Session
    from orgsim.org import Org

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
_EXHAUSTED = [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]


class Gate:
    """Puts ``org`` and ``session`` into ``request.state`` or answers 401 and 403 itself."""

    def __init__(self, app: App, org: Org) -> None:
        self._app = app
        self._org = org

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Lets one request pass, or not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["org"] = self._org
        headers = Headers(scope=scope)
        if headers.get("content-encoding", "").lower() == "gzip":
            receive = _unzipped(receive)
        if not _guarded(str(scope["path"])):
            await self._app(scope, receive, send)
            return
        session = self._session(headers)
        if session is None:
            await _refuse(send, 401, _EXPIRED, {"www-authenticate": "Token"})
            return
        if self._org.usage.exhausted:
            await _refuse(send, 403, _EXHAUSTED, {"sforce-limit-info": self._org.usage.header()})
            return
        self._org.usage.count()
        scope["state"]["session"] = session
        await self._app(scope, receive, _counted(send, self._org))

    def _session(self, headers: Headers) -> Session | None:
        # the header of the Bulk API 1.0
        if "x-sfdc-session" in headers:
            return self._org.session_of(headers["x-sfdc-session"])
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() not in ("bearer", "oauth"):
            return None
        return self._org.session_of(token.strip())


def _guarded(path: str) -> bool:
    return path.startswith(("/services/data/v", "/services/async/"))


def _counted(send: Send, org: Org) -> Send:
    async def counting(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Sforce-Limit-Info"] = org.usage.header()
        await send(message)

    return counting


async def _refuse(send: Send, status: int, body: object, headers: dict[str, str]) -> None:
    content = orjson.dumps(body)
    every = {"content-type": "application/json;charset=UTF-8",
             "content-length": str(len(content)), **headers}  # fmt: skip
    raw = [(name.encode(), value.encode()) for name, value in every.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


def _unzipped(receive: Receive) -> Receive:
    """The request body with its gzip undone, piece by piece."""
    inflate = zlib.decompressobj(wbits=31)

    async def reading() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            body = inflate.decompress(message.get("body", b""))
            if not message.get("more_body"):
                body += inflate.flush()
            return {**message, "body": body}
        return message

    return reading
