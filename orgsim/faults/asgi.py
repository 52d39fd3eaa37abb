"""Disturbs HTTP: the outermost layer of the server, for it has to reach the connection itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import orjson

from orgsim.faults.book import FaultBook, HttpFault

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

#: How soon a held request notices that it was let go.
HELD_STEP_S = 0.005

#: Paths of the test API, which stays reachable whatever is planted.
UNDISTURBED = "/_sim/"


class FaultMiddleware:
    """Wraps the whole application; ``expire`` ends every session of the org."""

    def __init__(self, app: App, book: FaultBook, expire: Callable[[], None]) -> None:
        self._app = app
        self._book = book
        self._expire = expire

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, disturbed or not."""
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or path.startswith(UNDISTURBED):
            await self._app(scope, receive, send)
            return
        fault = self._book.before(str(scope["method"]), path)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._disturbed(fault, scope, receive=receive, send=send)

    async def _disturbed(
        self, fault: HttpFault, scope: Message, *, receive: Receive, send: Send
    ) -> None:
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.expire_sessions:
            self._expire()
        if fault.hold == "before":
            await self._held()
        if fault.hold == "after":
            await self._answered_late(fault, scope, receive=receive, send=send)
        elif fault.drop == "before":
            _hang_up(send)
        elif fault.status is not None and fault.drop is None:
            await _read_all(receive)
            await _answer(fault, send)
        elif fault.drop == "after":
            await self._app(scope, receive, _swallow)
            _hang_up(send)
        elif fault.truncate:
            await self._app(scope, receive, _Truncated(send))
        else:
            await self._app(scope, receive, send)

    async def _answered_late(
        self, fault: HttpFault, scope: Message, *, receive: Receive, send: Send
    ) -> None:
        """Do the work, hold the answer, then send it or not."""
        answer: list[Message] = []

        async def kept(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, kept)
        await self._held()
        if fault.drop:
            _hang_up(send)
            return
        for message in answer:
            await send(message)

    async def _held(self) -> None:
        with self._book.holding() as is_held:
            while is_held():
                await asyncio.sleep(HELD_STEP_S)


class _Truncated:
    """Sends the announced length but only half of the first piece of the body, then hangs up."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._over = False

    async def __call__(self, message: Message) -> None:
        if self._over:
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body = bytes(message.get("body", b""))
        if not body:
            return
        self._over = True
        await self._send({**message, "body": body[: len(body) // 2], "more_body": True})
        # Give the half a way out before the connection goes.
        await asyncio.sleep(0.05)
        _hang_up(self._send)


async def _answer(fault: HttpFault, send: Send) -> None:
    body = fault.body if isinstance(fault.body, str) else None
    content = body.encode() if body is not None else orjson.dumps(fault.body)
    content = b"" if fault.body is None else content
    headers = {"content-type": fault.media_type, "content-length": str(len(content)),
               **fault.headers}  # fmt: skip
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": fault.status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


async def _read_all(receive: Receive) -> None:
    """Take the whole request in, so that the caller can finish sending it."""
    while (await receive()).get("more_body"):
        pass


async def _swallow(_: Message) -> None:
    """Take an answer that nobody will get."""


def _hang_up(send: Send) -> None:
    """Cut the connection: uvicorn's own ``send`` belongs to a cycle that holds the transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("the server gives no access to the connection")
    transport.abort()
