"""The gate: ASGI middleware that lets nothing through without a valid session, WebSocket included.

Streamlit can run a page script that a deep link names before the frame has run, so a check inside
scripts is not a door (seen on Streamlit 1.67: PagesManager before the first ``st.navigation``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.api.cookies import session_token

log = logging.getLogger(__name__)

#: answers without a session: signing in, the org's way back to us, and "are you alive"
OPEN_PATHS = frozenset({"/login", "/setup", "/invite", "/oauth/callback", "/health"})
#: style, fonts and logo of the sign-in page; single sign-on, where nobody has a session yet.
#: Whole paths: what a prefix lets through and no route of ours takes, Streamlit would answer.
_OPEN = re.compile(r"/door/[a-z0-9.-]+|/oidc/[a-z0-9-]+(/callback|/logout)?")
#: asks for an API key itself and takes no cookie
KEY_PREFIX = "/api/v1/"
WS_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1

#: The browser itself enforces that a page reaches nothing but this server. Streamlit needs
#: inline styles, eval (chart libraries compile expressions) and blob workers; no foreign host.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' blob: data:",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'self'",
        "object-src 'none'",
    )
)
#: on every answer
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Gate:
    """Middleware; ``is_signed_in`` looks a session token up and may block (it runs in a thread)."""

    def __init__(self, app: ASGIApp, *, is_signed_in: Callable[[str], bool]) -> None:
        self._app = app
        self._is_signed_in = is_signed_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what is open or signed in; send everything else to the sign-in page."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = _with_headers(send)
        if is_open(scope["path"]) or await self._knows(HTTPConnection(scope)):
            await self._app(scope, receive, guarded)
        else:
            await turned_away(scope)(scope, receive, guarded)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        if is_same_origin(connection) and await self._knows(connection):
            await self._app(scope, receive, send)
            return
        log.info("websocket refused", extra={"path": scope["path"], "origin": _peer(connection)})
        await receive()  # the handshake; closing before accepting answers it with 403
        await send({"type": "websocket.close", "code": WS_POLICY_VIOLATION})

    async def _knows(self, connection: HTTPConnection) -> bool:
        token = session_token(connection)
        return token is not None and await run_in_threadpool(self._is_signed_in, token)


def is_open(path: str) -> bool:
    """Whether a path answers without a session."""
    if ".." in path:
        return False
    return path in OPEN_PATHS or path.startswith(KEY_PREFIX) or bool(_OPEN.fullmatch(path))


def is_same_origin(connection: HTTPConnection) -> bool:
    """A browser names the page that opens a WebSocket; another site's is refused, cookie or not."""
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host", "")


def turned_away(scope: Scope) -> Response:
    """A person's browser goes to the sign-in page and comes back after it; others get 401."""
    accepts = HTTPConnection(scope).headers.get("accept", "")
    if scope["method"] in {"GET", "HEAD"} and "text/html" in accepts:
        query = scope.get("query_string", b"").decode("latin-1")
        wanted = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}", status_code=303)
    return PlainTextResponse("Sign in first.", status_code=401)


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, text in HEADERS.items():
                headers.setdefault(name, text)
        await send(message)

    return guarded


def _peer(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else "unknown"
