"""An org that answers by script, down to bytes cut off and connections dropped.

Practice orgs show how an org behaves; this one shows how a line to it breaks. Every request is
kept, so that a test can tell how often something was sent.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

SESSION_EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer; ``cut`` sends only so many bytes of the body, ``drop`` none of the answer."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drop: bool = False


Answering = Reply | Callable[[Seen], Reply]


def error(status: int, code: str, message: str = "said the org") -> Reply:
    """A refusal in the shape of the REST API."""
    return Reply(status, [{"errorCode": code, "message": message}])


class ScriptedOrg:
    """Answers by rules, first match first; a rule's last answer is repeated."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._rules: list[tuple[str, re.Pattern[str], list[Answering]]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.on("GET", r"/services/data/$", Reply(body=[{"version": "62.0"}, {"version": "67.0"}]))

    def on(self, method: str, pattern: str, *answers: Answering) -> None:
        """Answer requests whose path matches; a later rule goes before an earlier one."""
        self._rules.insert(0, (method, re.compile(pattern), list(answers)))

    def requests(self, pattern: str, method: str | None = None) -> list[Seen]:
        """What arrived under a path."""
        return [
            seen
            for seen in self.seen
            if re.search(pattern, seen.path) and method in (None, seen.method)
        ]

    def answer(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            for method, pattern, answers in self._rules:
                if method == seen.method and pattern.search(seen.path):
                    chosen = answers.pop(0) if len(answers) > 1 else answers[0]
                    break
            else:
                return error(404, "NOT_FOUND", f"no rule for {seen.method} {seen.path}")
        return chosen if isinstance(chosen, Reply) else chosen(seen)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(org: ScriptedOrg) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # the body goes in a packet of its own, which would wait 40 ms for an answer to the headers
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = org.answer(Seen(self.command, unquote(self.path), headers, body))
            if reply.drop:
                self.close_connection = True
                return
            content = reply.body if isinstance(reply.body, bytes) else _json(reply.body)
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: reply.cut])
            if reply.cut is not None:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            """Keep the test output clean."""

    return Handler


def _json(document: Any) -> bytes:
    return document.encode() if isinstance(document, str) else json.dumps(document).encode()


def outcomes(ids: Sequence[str]) -> Reply:
    """A collections answer in which every record was made."""
    return Reply(body=[{"id": record_id, "success": True, "errors": []} for record_id in ids])
