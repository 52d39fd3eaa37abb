"""When a request is sent again, and how long to wait first: one policy, fed by error class.

A run is patient: what waits for it is a night. A person in front of a page is told soon, and asks
again himself.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.errors import LockedRowError, OrgbridgeError, TransientError


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter; only ``TransientError`` and its children are sent again."""

    #: sendings in all, the first included
    attempts: int = 5
    #: the same for lock conflicts, which clear up later but surely
    lock_attempts: int = 10
    first_delay_s: float = 0.4
    max_delay_s: float = 30.0
    #: share of the delay that is random, so that many callers do not return at once
    jitter: float = 0.5
    #: seconds after the first sending from which on none follows
    until_s: float = math.inf

    def delays(self, rand: Callable[[], float] = random.random) -> Iterator[float]:
        """Endless waits in seconds: doubling to ``max_delay_s``, each shortened by the jitter."""
        delay = self.first_delay_s
        while True:
            yield delay * (1 - self.jitter * rand())
            delay = min(delay * 2, self.max_delay_s)

    def allows(self, error: OrgbridgeError, attempt: int, *, spent_s: float = 0.0) -> bool:
        """Whether to send again after ``error`` ended sending number ``attempt`` (from 1),
        ``spent_s`` seconds after the first one began."""
        if not isinstance(error, TransientError) or spent_s >= self.until_s:
            return False
        limit = self.lock_attempts if isinstance(error, LockedRowError) else self.attempts
        return attempt < limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How long to wait between two looks at a job: soon at first, then steadily, seldom later.

    Each look is a call of the org's day; each wait is time in which its end goes unnoticed, and
    what comes after it cannot begin.
    """

    first_delay_s: float = 0.1
    #: growth up to `steady_s`
    factor: float = 1.3
    steady_s: float = 0.4
    #: the same of a job that the org has not begun: it ends no sooner than it has begun
    queued_s: float = 1.2
    #: of what was waited already: a job that took long is noticed this share of it too late
    share: float = 0.04
    max_delay_s: float = 5.0
    #: waiting for a job whose figures stand still ends after so long. An org gives a batch 5
    #: minutes and up to 20 tries before it fails the job (Bulk API 2.0, Limits): 100 minutes
    patience_s: float = 7_200.0

    def delays(self, *, is_queued: bool = False) -> Iterator[float]:
        """Endless waits in seconds: 0.1 s growing to 0.4 s (1.2 s in the org's queue), from 10 s on
        a twenty-fifth of what was waited, at most 5 s."""
        soon, waited_s = self.first_delay_s, 0.0
        steady_s = self.queued_s if is_queued else self.steady_s
        while True:
            delay = min(max(soon, self.share * waited_s), self.max_delay_s)
            yield delay
            waited_s += delay
            soon = min(soon * self.factor, steady_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long the wire waits, in seconds.

    A write waits longer than an org may work on one call (10 minutes): giving up earlier would
    leave it writing while we already ask what became of it. Dead peers are found by TCP
    keep-alive instead.
    """

    connect_s: float = 15.0
    read_s: float = 180.0
    write_s: float = 630.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long an org is waited for that does not answer."""

    policy: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()


#: of whoever works while nobody looks
OF_A_RUN = Patience()
#: of whoever waits in front of a page: one more sending, unless the first one took long already.
#: An org that is there accepts a connection within a second, and answers what a page asks within
#: some; who sees nothing for longer takes the page for broken. A write is waited for as ever: given
#: up, it would leave everybody not knowing what became of it
OF_A_PERSON = Patience(
    policy=RetryPolicy(attempts=2, lock_attempts=3, until_s=1.5),
    timeouts=Timeouts(connect_s=3.0, read_s=25.0),
)
