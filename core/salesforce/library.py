"""simple-salesforce on our wire: it speaks REST and tooling, we carry its requests.

The library hard-codes ``https://`` and, left alone, opens connections without timeout or retry and
drops headers when it renews a session. Given a requests session whose adapter is our wire, it keeps
its vocabulary and loses those habits; an adapter cannot send anywhere but to the org it belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from core.errors import BugError
from core.salesforce.wire import Request, Wire

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce

_OURS = frozenset(
    {
        "authorization",
        "user-agent",
        "accept-encoding",
        "connection",
        "content-length",
        "x-prettyprint",
    }
)


class WireAdapter(BaseAdapter):
    """Carries requests of a requests session over the wire, to the org's own URL and no other."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]  # timeouts and proxies are the wire's
        """The answer; refusals are raised as our errors, so the library never sees one."""
        parts = urlsplit(request.url or "")
        if parts.netloc.lower() != urlsplit(self._wire.base_url).netloc.lower():
            raise BugError(f"A request to {parts.hostname} was not sent: it is not this org.")
        body = request.body.encode() if isinstance(request.body, str) else request.body
        answer = self._wire.send(
            Request(
                method=request.method or "GET",
                path=parts.path + (f"?{parts.query}" if parts.query else ""),
                headers={k: v for k, v in request.headers.items() if k.lower() not in _OURS},
                body=body,
                write=request.method not in ("GET", "HEAD"),
            )
        )
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.headers.pop("Content-Encoding", None)
        response._content = answer.body
        response.encoding = "utf-8"
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Nothing of its own to close."""


def library(wire: Wire, version: str) -> Salesforce:
    """simple-salesforce bound to one org; its import costs 0.3 s, so make it when it is needed."""
    from simple_salesforce.api import Salesforce

    session = requests.Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, WireAdapter(wire))
    return Salesforce(
        instance_url=wire.base_url,
        session_id="carried-by-the-wire",
        session=session,
        version=version,
    )
