"""What every part of a run in progress holds: both orgs, spool, memory, id maps, and the wish to
stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from core.db.run_lease import HEARTBEAT_S
from core.db.run_state import RunStore
from core.migration.deciding import FailureLimit
from core.migration.idmap import IdCodes, IdMap
from core.migration.lookups import Translator
from core.salesforce.client import OrgClient
from core.salesforce.source import RowSource
from core.spool import RunSpool

#: the wish of a run of which another object has failed: it ends at the next safe place
HALT = "halt"
#: chunks of a run on their way at once, whatever the objects: more would only wait in the org's
#: queue (published nowhere), and each holds its rows in memory
CHUNKS_IN_FLIGHT = 8
#: bulk files of a run on their way at once: each is in memory whole
UPLOADS_AT_ONCE = 3


class StopRequested(Exception):  # no error: a person's wish, or the process ending
    """Work ends at the next safe place; `wish` is ``pause``, ``cancel``, ``yield`` or `HALT`."""

    def __init__(self, wish: str) -> None:
        super().__init__(wish)
        self.wish = wish


class Pulse:
    """Keeps the lease alive from a thread of its own and remembers what was asked for.

    A thread that is busy or waits for an org cannot extend its lease; the pulse can. When the run
    was taken over the pulse ends and `check` raises in whoever asks next.
    """

    def __init__(
        self, store: RunStore, *, stop: Callable[[], str | None], wish: str | None = None
    ) -> None:
        self._store = store
        self._stop = stop
        self._ended = threading.Event()
        self._wish = wish
        self._halted = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="run-pulse")
        self._beating: Future[None] | None = None
        self._calls: Callable[[], Mapping[str, int]] | None = None

    def start(self) -> None:
        """Begins to beat."""
        self._beating = self._pool.submit(self._beat)

    def tell_calls(self, made: Callable[[], Mapping[str, int]]) -> None:
        """From now on every beat also notes how many calls the run has made."""
        self._calls = made

    def end(self) -> None:
        """Stops beating; the lease stays until it is released."""
        self._ended.set()
        self._pool.shutdown(wait=True)

    @property
    def wish(self) -> str | None:
        """What was asked for, if anything."""
        return self._wish or self._stop() or (HALT if self._halted else None)

    def halt(self) -> None:
        """Lets everything that is under way end at its next safe place."""
        self._halted = True

    def check_lease(self) -> None:
        """Raises what ended the pulse: `TakenOverError`, or a database that is gone."""
        if self._beating is not None and self._beating.done():
            self._beating.result()

    def check(self) -> None:
        """As `check_lease`; raises `StopRequested` when a person wants the run to stop."""
        self.check_lease()
        if self.wish is not None:
            raise StopRequested(self.wish)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            self._wish = self._store.heartbeat(self._calls() if self._calls else None)


@dataclass(slots=True)
class RunContext:
    """A run in progress."""

    store: RunStore
    spool: RunSpool
    source: RowSource
    target: OrgClient
    pulse: Pulse
    translator: Translator
    #: '<source Organization Id>:<target Organization Id>'
    org_pair: str
    #: ISO to the millisecond without zone: the source's clock when reading began
    watermark: str
    ids: IdCodes
    #: links of every mapping of the plan
    maps: dict[str, IdMap]
    #: link_set of every mapping of the plan
    link_sets: dict[str, int]
    #: stops the run when too many rows fail
    limit: FailureLimit
    #: false in a dry run: nothing goes to the target or into the ledger
    writes: bool = True
    sleep: Callable[[float], None] = time.sleep
    #: rows of every spooled page of every mapping
    sizes: dict[str, list[int]] = field(default_factory=dict)
    #: source ids of which nobody knows whether the org has them, by mapping
    unknown: dict[str, set[str]] = field(default_factory=dict)
    #: its optional lookups may all have waited (rule 8.2)
    is_canary: bool = False
    #: a chunk on its way holds one of these
    places: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(CHUNKS_IN_FLIGHT)
    )
    #: a bulk file that is held in memory while it is sent holds one of these
    uploads: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(UPLOADS_AT_ONCE)
    )

    def page_rows(self, name: str, number: int) -> int:
        """Rows of one source page, counted from 1."""
        return self.sizes[name][number - 1]
