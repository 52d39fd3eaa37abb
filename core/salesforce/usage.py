"""How many calls an org has charged, read off every answer and counted for every request, and how
long its bulk jobs let one wait."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

#: jobs that tell how long the next one may take: an org is slower at some hours
_LAST_JOBS = 8
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class ApiUsage:
    """Calls of the rolling 24 hours as the org last reported them, and our own count."""

    #: HTTP requests that this client sent to the org
    calls_made: int
    #: calls the org counts in its window, by everybody; None until it said so
    used: int | None
    #: the org's allowance; None until it said so
    allowed: int | None
    #: seconds that the quickest of the last bulk jobs was waited for; None before the first
    quickest_job_s: float | None = None

    @property
    def left(self) -> int | None:
        """Calls left in the window, or None when unknown."""
        if self.used is None or self.allowed is None:
            return None
        return max(self.allowed - self.used, 0)


class UsageMeter:
    """Collects usage from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._used: int | None = None
        self._allowed: int | None = None
        self._jobs_s: deque[float] = deque(maxlen=_LAST_JOBS)

    def count_call(self) -> None:
        """Note that a request was sent."""
        with self._lock:
            self._calls += 1

    def count_job(self, waited_s: float) -> None:
        """Note how long a bulk job was waited for."""
        with self._lock:
            self._jobs_s.append(waited_s)

    def read_headers(self, headers: Mapping[str, str]) -> None:
        """Note what ``Sforce-Limit-Info`` says (per-app figures after it are not the org's)."""
        found = _USAGE.match(headers.get("Sforce-Limit-Info", "").strip())
        if found is None:
            return
        with self._lock:
            self._used, self._allowed = int(found.group(1)), int(found.group(2))

    @property
    def now(self) -> ApiUsage:
        """The figures at this moment."""
        with self._lock:
            quickest_s = min(self._jobs_s, default=None)
            return ApiUsage(self._calls, self._used, self._allowed, quickest_s)
