"""Counts API calls and storage against the org's limits."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from orgsim.clock import Clock
from orgsim.store import Store

#: A full sandbox or a scratch org, as recorded (43/5000000); a Developer Edition has 15,000.
DAILY_CALLS = 5_000_000


class Usage:
    """API calls of the last 24 hours, counted by the org's clock."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        known: dict[str, Any] = store.document("usage") or {}
        self.calls = int(known.get("calls", 0))
        self.allowed = int(known.get("allowed", DAILY_CALLS))
        #: Allowed data storage; generous unless a test makes it small (a Developer org has 5).
        self.storage_mb = int(known.get("storage_mb", 100_000))
        self._since = clock.now()

    def count(self, calls: int = 1) -> None:
        """Adds calls; the count starts again a day after it began."""
        with self._lock:
            if self._clock.now() - self._since > timedelta(hours=24):
                self.calls, self._since = 0, self._clock.now()
            self.calls += calls

    @property
    def exhausted(self) -> bool:
        """Whether the daily allowance is used up."""
        return self.calls >= self.allowed

    def header(self) -> str:
        """The value of ``Sforce-Limit-Info``."""
        return f"api-usage={self.calls}/{self.allowed}"

    def keep(self) -> None:
        """Stores the count for the next start."""
        self._store.put_document(
            "usage", {"calls": self.calls, "allowed": self.allowed, "storage_mb": self.storage_mb}
        )
