"""How a request gets to an org and its answer back: tokens, retries, timeouts, limits.

    send ─▶ attempt ─▶ 401? renew once, same request again
               │         └ headers travel with the request, so none is dropped on the second sending
               ├─▶ never arrived / surely not applied  ─▶ TransientError ─▶ wait, again
               └─▶ went out, no complete answer: read  ─▶ TransientError ─▶ wait, again
                                                 write ─▶ LostError, never sent again here

What a body means is not decided here; statuses of 300 and above are, by ``faults.classify``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
import urllib3
from urllib3 import exceptions as u3

from core.errors import OrgbridgeError
from core.salesforce import faults, hosts
from core.salesforce.pools import ForbiddenPeerError, HandshakeError, connection_pools
from core.salesforce.retry import OF_A_RUN, Patience
from core.salesforce.session import Session
from core.salesforce.usage import UsageMeter
from core.secret import Secret

log = logging.getLogger(__name__)
T = TypeVar("T")

#: names us in the org's usage logs
CLIENT_NAME = "Orgbridge"
_NOT_CONNECTED = (u3.NewConnectionError, u3.ConnectTimeoutError, u3.LocationValueError)
_BROKEN = (u3.HTTPError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, complete: what is sent on a second attempt is exactly what was sent first."""

    method: str
    #: from the host on: ``/services/data/v67.0/…`` with its query string
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None
    #: it would change the org's data or settings: a lost answer is then a LostError
    write: bool = False
    #: facts put on every error (sobject, job_id …)
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: statuses of 300 and above that the caller reads itself
    accept: frozenset[int] = frozenset()
    #: SOAP carries the token in the body: made anew for each sending, without Authorization header
    body_with_token: Callable[[Secret], bytes] | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the body can be sent a second time."""
        return self.body is None or isinstance(self.body, bytes)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The parsed body.

        Raises:
            TransientError: it is not JSON (the platform's edge sent a page with status 200).
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as exc:
            _, words, _ = faults.error_parts(self.body)
            raise faults.answer_lost(f"not JSON but {words!r}", written=False) from exc


class Wire:
    """Sends requests to one org. Thread-safe."""

    def __init__(
        self,
        session: Session,
        *,
        sleep: Callable[[float], None],
        patience: Patience = OF_A_RUN,
        trusted_ca: str | None = None,
    ) -> None:
        self.session = session
        self.meter = UsageMeter()
        self.timeouts = patience.timeouts
        self._sleep = sleep
        self._policy = patience.policy
        self._pools = connection_pools(self.timeouts, trusted_ca=trusted_ca)

    @property
    def base_url(self) -> str:
        """Scheme and host of the org."""
        return self.session.credentials.instance_url

    def close(self) -> None:
        """Close idle connections; requests under way go on."""
        self._pools.clear()

    def get_json(self, path: str, **facts: Any) -> Any:
        """The parsed answer to a GET; an answer that is not JSON is asked for again."""
        return self.fetch(Request(method="GET", path=path, facts=facts), Answer.json)

    def post_json(self, path: str, document: Any, **facts: Any) -> Any:
        """The parsed answer to a POST that only reads (batched queries, retrieve by ids)."""
        request = Request(
            method="POST",
            path=path,
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(document),
            facts=facts,
        )
        return self.fetch(request, Answer.json)

    def send(self, request: Request) -> Answer:
        """The answer, after renewing the session and sending again where that is safe.

        Raises:
            OrgbridgeError: as ``faults.classify`` says; ``LostError`` for writes only.
        """
        return self._with_retries(request, self._attempt)

    def fetch(self, request: Request, parse: Callable[[Answer], T]) -> T:
        """``parse(answer)``; sent again also where ``parse`` finds the answer damaged."""
        return self._with_retries(request, lambda again: parse(self._attempt(again)))

    def retry(self, request: Request, work: Callable[[Request], T]) -> T:
        """``work(request)``, again while it raises what the policy sends again (streams)."""
        return self._with_retries(request, work)

    @contextmanager
    def stream(self, request: Request) -> Iterator[urllib3.BaseHTTPResponse]:
        """The response with its body unread; not retried (the reader knows what it has consumed).

        A broken body surfaces from ``broken_body`` around the reading.
        """
        response = self._answer_to(request, preload=False)
        try:
            yield response
        finally:
            # an unread rest would be taken for the next answer on a reused connection
            response.close()

    def _with_retries(self, request: Request, work: Callable[[Request], T]) -> T:
        delays, began_s = self._policy.delays(), time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return work(request)
            except OrgbridgeError as exc:
                spent_s = time.monotonic() - began_s
                if not request.repeatable or not self._policy.allows(exc, attempt, spent_s=spent_s):
                    raise
                wait_s = next(delays)
                log.info(
                    "request sent again",
                    extra={"attempt": attempt, "wait_s": round(wait_s, 2), "reason": exc.happened},
                )
                self._sleep(wait_s)

    def _attempt(self, request: Request) -> Answer:
        response = self._answer_to(request, preload=True)
        return Answer(response.status, response.headers, response.data)

    def _answer_to(self, request: Request, *, preload: bool) -> urllib3.BaseHTTPResponse:
        token = self.session.token
        response = self._exchange(request, token, preload=preload)
        if (
            response.status in (401, 500)
            and request.repeatable
            and faults.may_renew(response.status, _whole_body(response))
        ):
            token = self.session.renew(token)
            response = self._exchange(request, token, preload=preload)
        if response.status >= 300 and response.status not in request.accept:
            code, message, extra = faults.error_parts(_whole_body(response))
            raise faults.classify(
                response.status,
                code,
                message,
                written=request.write,
                **{**request.facts, **extra},
            )
        return response

    def _exchange(
        self, request: Request, token: Secret, *, preload: bool
    ) -> urllib3.BaseHTTPResponse:
        body = request.body
        if request.body_with_token is not None:
            body = request.body_with_token(token)
        headers = self._headers(request, token)
        url = self.base_url + request.path
        read_s = self.timeouts.write_s if request.write else self.timeouts.read_s
        self.meter.count_call()
        try:
            response = self._pools.urlopen(
                request.method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=self.timeouts.connect_s, read=read_s),
                preload_content=preload,
                redirect=False,
                retries=False,
            )
        except _NOT_CONNECTED as exc:
            host = hosts.place(self.base_url)
            raise faults.never_arrived(_reason(exc), host=host, **request.facts) from exc
        except u3.ReadTimeoutError as exc:
            host = hosts.place(self.base_url)
            raise faults.unanswered(host, written=request.write, **request.facts) from exc
        except _BROKEN as exc:
            raise faults.answer_lost(_reason(exc), written=request.write, **request.facts) from exc
        self.meter.read_headers(response.headers)
        return response

    def _headers(self, request: Request, token: Secret) -> dict[str, str]:
        headers = {"Accept": "application/json", "Sforce-Call-Options": f"client={CLIENT_NAME}"}
        if not hosts.is_loopback(self.base_url):
            # on this machine inflating costs more than the bytes it saves
            headers["Accept-Encoding"] = "gzip"
        if request.body_with_token is None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        headers.update(request.headers)
        return headers


@contextmanager
def broken_body(request: Request) -> Iterator[None]:
    """Turns a body that breaks off while it is read into our errors."""
    try:
        yield
    except _BROKEN as exc:
        raise faults.answer_lost(_reason(exc), written=request.write, **request.facts) from exc


def _whole_body(response: urllib3.BaseHTTPResponse) -> bytes:
    try:
        return response.data
    except _BROKEN:
        return b""


def _reason(exc: BaseException) -> str:
    """The kind of failure in words; the library's own text may hold the URL with its query."""
    for kind, words in _REASONS:
        if isinstance(exc, kind):
            return words
    return type(exc).__name__


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (u3.NameResolutionError, "its name is not known"),
    (ForbiddenPeerError, "its name leads to a private address"),
    (HandshakeError, "its certificate was not accepted"),
    # a kind of the next one to the library, although nobody waited
    (u3.NewConnectionError, "nothing there accepts a connection"),
    (u3.ConnectTimeoutError, "no connection within the time allowed"),
    (u3.ReadTimeoutError, "no answer within the time allowed"),
    (u3.IncompleteRead, "the body was cut short"),
    (u3.ProtocolError, "the connection was dropped"),
    (u3.DecodeError, "the compressed body is damaged"),
    (OSError, "the connection was dropped"),
)
