"""When a run stops sending and asks a person: after its canary, or because too many rows failed.

The worker lets go of lease and lock; what was sent is settled. `steering.decide` answers, and
whoever carries the run then goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.db.run_state import RunStore

#: rows whose outcome must be known before a share of failures says anything
ROWS_BEFORE_A_RATE = 20
#: what is asked about
CANARY, RATE = "canary", "rate"

#: the answer of who does not want the rest
STOP = "stop"

_SETTLED = ("inserted", "updated", "unchanged", "skipped", "blocked", "failed", "not_processed")
_BAD = ("blocked", "failed", "not_processed")


def told_to_stop(options: Mapping[str, Any]) -> bool:
    """Whether a person answered that the rest shall be left behind."""
    return any(options.get(f"decided_{about}") == STOP for about in (CANARY, RATE))


class DecisionNeeded(Exception):  # no error: a person's turn
    """Nothing more is sent before somebody decides; `about` is `CANARY` or `RATE`."""

    def __init__(self, about: str, sentence: str) -> None:
        super().__init__(sentence)
        self.about = about
        self.sentence = sentence


class FailureLimit:
    """The share of failed rows from which on a run stops and asks; off without a percentage.

    It is asked before every chunk that was not sent yet, and counts from the database, so that a
    worker that took over knows what the one before it met.
    """

    def __init__(self, store: RunStore, options: Mapping[str, Any]) -> None:
        self._store = store
        percent = options.get("stop_at_failed_percent")
        # who has seen the rate and said "continue" is not asked again
        self._percent = None if options.get(f"decided_{RATE}") else percent

    def check(self) -> None:
        """Raises `DecisionNeeded` when too many of the rows settled so far failed."""
        if self._percent is None:
            return
        steps = [step.totals for step in self._store.steps() if step.phase in ("load", "undo")]
        settled = sum(totals[name] for totals in steps for name in _SETTLED)
        bad = sum(totals[name] for totals in steps for name in _BAD)
        if settled >= ROWS_BEFORE_A_RATE and 100 * bad > self._percent * settled:
            raise DecisionNeeded(
                RATE,
                f"{bad:,} of {settled:,} rows did not arrive, more than the {self._percent} % at"
                " which this run stops.",
            )
