"""The faults that are planted just now.

A fault is a JSON object; ``kind`` says where it strikes:

    {"kind": "http", "method": "POST", "path": "/composite/", "status": 503, "times": 2}
    {"kind": "http", "path": "/query", "drop": "after"}          drop: before | after the work was
    done {"kind": "http", "path": "/results", "truncate": true}       half the body, then nothing
    {"kind": "http", "path": "", "preset": "outage", "for_s": 3}
    {"kind": "http", "path": "/batches", "hold": "after"}         held before | after the work,
    until it is released (/_sim/faults/release) or the faults are cleared
    {"kind": "bulk", "object": "Contact", "error_message": "InternalServerError : …"}
    {"kind": "bulk", "after_rows": 10000, "error_message": "TooManyLockFailure : …"}
    {"kind": "bulk", "stall": true}                               InProgress until the fault is
    taken away; with "on_its_way": true its first batch is committed then, though the job was
    aborted meanwhile
    {"kind": "row", "object": "Contact", "preset": "lock", "times": 2, "every": 10}

``times`` is how often it strikes (default 1, 0 = always), ``after`` how many matches pass first,
``path`` a regular expression searched in the path. Presets fill in the rest.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orgsim.dml.outcomes import Refusal

_KINDS = frozenset({"http", "bulk", "row"})
_KEYS = {
    "http": {"method", "path", "status", "body", "media_type", "headers", "delay_s", "drop",
             "truncate", "expire_sessions", "for_s", "hold"},
    "bulk": {"object", "operation", "error_message", "after_rows", "delay_s", "stall",
             "on_its_way"},
    "row": {"object", "operation", "code", "message", "fields", "every"},
}  # fmt: skip
_ALWAYS = {"kind", "preset", "times", "after"}


def _refusal(code: str, message: str) -> list[dict[str, str]]:
    return [{"message": message, "errorCode": code}]


#: What a name stands for; texts as orgs word them.
PRESETS: dict[str, dict[str, Any]] = {
    "daily_limit": {"status": 403, "times": 0,
                    "body": _refusal("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")},
    "concurrent_limit": {"status": 403, "body": _refusal(
        "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.")},
    "outage": {"status": 503, "times": 0, "media_type": "text/html",
               "body": "<html><body><h1>Down for maintenance</h1></body></html>"},
    "unavailable": {"status": 503, "body": _refusal("SERVER_UNAVAILABLE", "Server is unavailable")},
    "unknown": {"status": 500, "body": _refusal(
        "UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this ErrorId if you"
        " contact support: 1234567890-12345 (-1234567890)")},
    "session": {"expire_sessions": True},
    "refresh": {"path": "/services/oauth2/token", "status": 400, "times": 0, "body": {
        "error": "invalid_grant", "error_description": "expired access/refresh token"}},
    "lock": {"code": "UNABLE_TO_LOCK_ROW",
             "message": "unable to obtain exclusive access to this record"},
    "storage": {"code": "STORAGE_LIMIT_EXCEEDED", "message": "storage limit exceeded", "times": 0},
    "cpu": {"code": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "message": "Guard: System.LimitException: Apex CPU time limit exceeded"},
}  # fmt: skip


class FaultError(ValueError):
    """A fault that cannot be planted; the message says why."""


@dataclass(frozen=True, slots=True)
class HttpFault:
    """What happens to one request."""

    status: int | None = None
    body: Any = None
    media_type: str = "application/json;charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: str | None = None
    truncate: bool = False
    expire_sessions: bool = False
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class BulkFault:
    """What happens to one job: it waits, and fails at once or after so many rows."""

    delay_s: float = 0.0
    error_message: str | None = None
    after_rows: int = 0
    stall: bool = False
    on_its_way: bool = False


class FaultBook:
    """Plants, counts and takes away faults; safe to share between threads.

    ``faults.json`` in ``home`` is a JSON list of faults: read at the start, rewritten with every
    change.
    """

    def __init__(self, home: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path = home / "faults.json"
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._planted: list[dict[str, Any]] = []
        #: requests that are held now, and how often requests were let go
        self._held = 0
        self._releases = 0
        if path.is_file():
            for fault in json.loads(path.read_text(encoding="utf-8")):
                self.plant(fault)

    def plant(self, fault: Mapping[str, Any]) -> None:
        """Add a fault.

        Raises:
            FaultError: An unknown kind, key or preset.
        """
        full = _completed(fault)
        if "for_s" in full:
            full["@until"] = self._monotonic() + float(full["for_s"])
        with self._lock:
            self._planted.append(full)
            self._keep()

    def planted(self) -> list[dict[str, Any]]:
        """Return what is planted and still strikes."""
        with self._lock:
            return [_shown(fault) for fault in self._planted if not self._is_over(fault)]

    def clear(self) -> None:
        """Take all faults away; stalled jobs and held requests go on."""
        with self._lock:
            self._planted.clear()
            self._releases += 1
            self._keep()

    def release(self) -> None:
        """Let the requests go that are held now."""
        with self._lock:
            self._releases += 1

    @property
    def held(self) -> int:
        """How many requests are held just now."""
        with self._lock:
            return self._held

    @contextmanager
    def holding(self) -> Iterator[Callable[[], bool]]:
        """Counts one held request; what it gives says whether the request is still held."""
        with self._lock:
            self._held += 1
            since = self._releases
        try:
            yield lambda: self._releases == since
        finally:
            with self._lock:
                self._held -= 1

    def before(self, method: str, path: str) -> HttpFault | None:
        """Return what happens to a request, counting it."""
        found = self._strike("http", lambda fault: _hits_request(fault, method, path))
        if found is None:
            return None
        known = ("status", "body", "media_type", "headers", "delay_s", "drop", "truncate",
                 "expire_sessions", "hold")  # fmt: skip
        return HttpFault(**{key: found[key] for key in known if key in found})

    def bulk_job(self, job: Mapping[str, Any]) -> BulkFault | None:
        """Return what happens to a bulk job (its JSON), counting it."""
        operation = str(job.get("operation"))
        found = self._strike("bulk", lambda f: _hits_rows(f, str(job.get("object")), operation))
        if found is None:
            return None
        known = ("delay_s", "error_message", "after_rows", "stall", "on_its_way")
        return BulkFault(**{key: found[key] for key in known if key in found})

    def stalls(self) -> bool:
        """Return whether a stalling fault is still planted."""
        with self._lock:
            return any(fault.get("stall") for fault in self._planted)

    def rows(self, sobject: str, operation: str, count: int) -> dict[int, Refusal]:
        """Return the rows of one write that are refused, counting the write once."""
        found = self._strike("row", lambda fault: _hits_rows(fault, sobject, operation))
        if found is None:
            return {}
        refusal = Refusal(found["code"], found["message"], tuple(found.get("fields") or ()))
        every = max(1, int(found.get("every", 1)))
        return dict.fromkeys(range(0, count, every), refusal)

    def _strike(
        self, kind: str, hits: Callable[[Mapping[str, Any]], bool]
    ) -> dict[str, Any] | None:
        with self._lock:
            for fault in self._planted:
                if fault["kind"] != kind or self._is_over(fault) or not hits(fault):
                    continue
                fault["@seen"] += 1
                if fault["@seen"] <= int(fault["after"]):
                    continue
                self._keep()
                return fault
        return None

    def _is_over(self, fault: Mapping[str, Any]) -> bool:
        if "@until" in fault and self._monotonic() >= fault["@until"]:
            return True
        times = int(fault["times"])
        return times > 0 and fault["@seen"] >= times + int(fault["after"])

    def _keep(self) -> None:
        """Write the file; what is over stays out of it."""
        kept = [_shown(fault) for fault in self._planted if not self._is_over(fault)]
        self._path.write_text(json.dumps(kept), encoding="utf-8")


def _completed(fault: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(fault.get("kind"))
    if kind not in _KINDS:
        raise FaultError(f"unknown kind of fault {kind!r}")
    preset = fault.get("preset")
    if preset is not None and preset not in PRESETS:
        raise FaultError(f"unknown preset {preset!r}; there are: {', '.join(sorted(PRESETS))}")
    unknown = set(fault) - _KEYS[kind] - _ALWAYS
    if unknown:
        raise FaultError(f"a fault of kind {kind} has no {', '.join(sorted(unknown))}")
    if fault.get("hold") not in (None, "before", "after"):
        raise FaultError("hold is before or after")
    full = {"times": 1, "after": 0, **PRESETS.get(str(preset), {}), **fault, "@seen": 0}
    if kind == "row" and "code" not in full:
        raise FaultError("a fault of kind row needs a code or a preset")
    return full


def _shown(fault: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fault.items() if not key.startswith("@")}


def _hits_request(fault: Mapping[str, Any], method: str, path: str) -> bool:
    wanted = fault.get("method")
    return (wanted is None or wanted == method) and re.search(
        fault.get("path", ""), path
    ) is not None


def _hits_rows(fault: Mapping[str, Any], sobject: str, operation: str) -> bool:
    return fault.get("object") in (None, sobject) and fault.get("operation") in (None, operation)
