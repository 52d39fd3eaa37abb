"""Loading one object: pages are prepared in order, chunks travel side by side, each settles by
itself.

    for every generation (parents of the same object first):
        spool page ─▶ prepare ─▶ buffer ─full─▶ chunks on the spool, ONE commit ─▶ threads
        every chunk, on a thread: send ─▶ settle ─▶ perhaps smaller chunks
    a generation begins when all chunks of the one before are settled

Where it stopped is the step's cursor: ``generation`` and ``page`` are the last ones whose chunks
are committed. Chunks that are open from an earlier worker are carried on before anything new is
prepared.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from core.db.run_state import ChunkRow, NewChunk, StepRow
from core.domain.states import ChunkState
from core.errors import RefusedError
from core.migration.as_read import quiet, quiet_columns
from core.migration.before import keep_before
from core.migration.buckets import Buckets
from core.migration.chunks import plan_chunks, requests_for, sooner_by_requests
from core.migration.context import RunContext, StopRequested
from core.migration.deciding import DecisionNeeded
from core.migration.extract import source_folder
from core.migration.load_bulk import JobGoneError, load_by_bulk
from core.migration.load_collections import load_by_collections
from core.migration.match import Match, Matches
from core.migration.outcomes import ACCEPTED_SCHEMA, Outcomes
from core.migration.prepare import SOURCE, Prepared, prepare
from core.migration.reconcile import reconcile
from core.migration.settle import LOAD, Phase, Sent, settle
from core.migration.spec import Step
from core.migration.transform import StepRules
from core.salesforce.faults import RowAdvice
from core.spool import page_name

#: bulk jobs of one object on their way at once: an org begins the next one of its queue while the
#: end of another has yet to be noticed
IN_FLIGHT = 6
#: likewise requests, in which the org is kept busy while they are answered
REQUESTS_IN_FLIGHT = 3
#: rows to send that are collected before they are cut into chunks
BUFFER_ROWS = 20_000
#: rows without a write after which the cursor is stored all the same
QUIET_PAGES = 20
#: wait before rows that met a lock are sent again, doubled per attempt, at most the second figure
LOCK_WAIT_S, LOCK_WAIT_MAX_S = 0.5, 20.0


class Lane:
    """Carries chunks of one step to their end, several at a time."""

    def __init__(self, run: RunContext, step: Step, phase: Phase = LOAD) -> None:
        self._run = run
        self._step = step
        self._phase = phase
        #: chunks in flight at the most
        self.width = 1 if step.mapping.load.serial else IN_FLIGHT
        self._pool = ThreadPoolExecutor(self.width, thread_name_prefix=f"load-{step.name}")
        self._waiting: list[ChunkRow] = []
        self._flying: dict[Future[list[ChunkRow]], ChunkRow] = {}
        self._stop: BaseException | None = None
        #: rows met a lock: one chunk at a time from now on, cut at parent boundaries (rule 3.11)
        self.is_gentle = False

    def add(self, chunks: list[ChunkRow]) -> None:
        """Hands chunks over; returns as soon as they wait or fly, blocks while enough wait
        already."""
        self._take(chunks)
        self._launch()
        while len(self._waiting) > self.width and self._stop is None:
            self._land()

    def drain(self) -> None:
        """Returns when every chunk is settled.

        Raises:
            what stopped a chunk, after all chunks in flight have come to their own end.
        """
        self._launch()
        while self._flying:
            self._land()
        if self._stop is not None:
            raise self._stop

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _take(self, chunks: list[ChunkRow]) -> None:
        open_chunks = [chunk for chunk in chunks if chunk.state not in _ENDED]
        self._waiting.extend(open_chunks)
        if any(chunk.outcome.get("advice") == RowAdvice.LOCKED for chunk in chunks):
            self.is_gentle, self.width = True, 1

    def _launch(self) -> None:
        while len(self._flying) < self.width:
            if self._waiting and self._waiting[0].api != "bulk" and self._has_enough_requests:
                return
            chunk = self._next()
            if chunk is None:
                return
            self._flying[self._pool.submit(self._carry, chunk)] = chunk

    @property
    def _has_enough_requests(self) -> bool:
        return len(self._flying) >= REQUESTS_IN_FLIGHT

    def _next(self) -> ChunkRow | None:
        """The next chunk to carry; while stopping only those whose job the org has (rule 3.10)."""
        if self._stop is None:
            return self._waiting.pop(0) if self._waiting else None
        if not isinstance(self._stop, StopRequested | DecisionNeeded):
            return None
        sent = next((c for c in self._waiting if c.state is ChunkState.CLOSED), None)
        if sent is not None:
            self._waiting.remove(sent)
        return sent

    def _land(self) -> None:
        self._launch()
        if not self._flying:
            return
        done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        for future in done:
            self._flying.pop(future)
            stop = future.exception()
            if stop is None:
                self._take(future.result())
            else:  # raised by drain once the others landed
                self._stop = self._stop or stop
        self._launch()

    def _carry(self, chunk: ChunkRow) -> list[ChunkRow]:
        with self._run.places:
            return self._carried(chunk)

    def _carried(self, chunk: ChunkRow) -> list[ChunkRow]:
        run, step = self._run, self._step
        run.pulse.check_lease()
        if run.pulse.wish is not None and chunk.state is ChunkState.PLANNED:
            raise StopRequested(run.pulse.wish)
        if chunk.state is ChunkState.PLANNED:
            run.limit.check()
        if chunk.attempt and chunk.state is ChunkState.PLANNED:
            run.sleep(min(LOCK_WAIT_S * 2**chunk.attempt / 2, LOCK_WAIT_MAX_S))
        page = run.spool.read(chunk.page)
        send = load_by_bulk if chunk.api == "bulk" else load_by_collections
        try:
            outcomes = send(run, step, chunk, page)
        except JobGoneError as gone:
            outcomes = reconcile(run, step, chunk, page, gone)
        except RefusedError as refused:
            if type(refused) is not RefusedError:  # credentials and limits concern the whole run
                raise
            nobody = pl.DataFrame(schema=ACCEPTED_SCHEMA)
            left = list(range(page.height))
            outcomes = Outcomes(nobody, [], left, reason=f"InvalidBatch: {refused.happened}")
        return settle(run, step, Sent(chunk, page, outcomes), self._phase)


_ENDED = frozenset({ChunkState.DONE, ChunkState.FAILED})


def load_step(
    run: RunContext,
    step: Step,
    row: StepRow,
    *,
    rules: StepRules,
    matches: Matches,
    pages: int,
    mark: str = "",
) -> None:
    """Loads every row of a mapping that is not loaded yet.

    Args:
        mark: of a pass over some of the rows; it keeps its place and its pages apart.
    Raises:
        StopRequested, DecisionNeeded, TakenOverError, RefusedError, DailyLimitError: what was sent
        is settled first.
    """
    lane = Lane(run, step)
    try:
        lane.add(run.store.chunks(row.id))
        lane.drain()
        last = int(matches.depths.max()) if len(matches.depths) else 0
        generation = int(row.cursor.get(f"{mark}generation", 0))
        done = int(row.cursor.get(f"{mark}page", 0))
        buckets = Buckets.of(row.cursor.get("buckets", {}))
        while generation <= last and pages:
            part = _Part(rules, matches, generation, done, pages, mark, buckets)
            _generation(run, step, row, part=part, lane=lane)
            lane.drain()
            generation, done = generation + 1, 0
    finally:
        lane.close()


@dataclass(frozen=True, slots=True)
class _Part:
    """One generation of a mapping's rows, and how far it is planned."""

    rules: StepRules
    matches: Matches
    generation: int
    #: pages whose chunks are committed
    done: int
    pages: int
    mark: str
    #: figures of the whole mapping so far
    buckets: Buckets


def _generation(run: RunContext, step: Step, row: StepRow, *, part: _Part, lane: Lane) -> None:
    rules, matches, generation = part.rules, part.matches, part.generation
    done, pages = part.done, part.pages
    buffer = _Buffer(run, step, row, part)
    start = 0
    for number in range(1, pages + 1):
        page_size = run.page_rows(step.name, number)
        rows = matches.part(start, start + page_size)
        start += page_size
        chosen = rows.depths == generation
        if number <= done or not chosen.any():
            continue
        run.pulse.check()
        still = _still(run, step, number, rows=rows) & chosen
        if still.any():
            n = int(still.sum())
            buffer.add(number, Prepared(totals=Counter(read_rows=n, unchanged=n)))
            chosen &= ~still
        if not chosen.any():
            if buffer.is_full:
                lane.add(buffer.flush(is_gentle=lane.is_gentle))
            continue
        page = run.spool.read(page_name(source_folder(step), number))
        if not chosen.all():
            mask = pl.Series(chosen)
            page, rows = page.filter(mask), rows.where(chosen)
        made = prepare(
            step,
            page,
            rows,
            rules=rules,
            translator=run.translator,
            ids=run.ids,
            foresee=not run.writes,
        )
        buffer.add(number, made)
        if buffer.is_full:
            lane.add(buffer.flush(is_gentle=lane.is_gentle))
    buffer.number = pages
    lane.add(buffer.flush(is_gentle=lane.is_gentle))


def _still(run: RunContext, step: Step, number: int, *, rows: Matches) -> npt.NDArray[np.bool_]:
    """Rows of a page that are known as unchanged before anything is worked out."""
    if not rows.reads.any():
        return np.zeros(len(rows.reads), dtype=np.bool_)
    name = page_name(source_folder(step), number)
    try:
        page = run.spool.read(name, quiet_columns(step))
    except pl.exceptions.ColumnNotFoundError:  # without digests: of an older version, or of texts
        return np.zeros(len(rows.reads), dtype=np.bool_)
    return quiet(step, page, rows, translator=run.translator)


class _Buffer:
    """What was prepared and is not planned yet."""

    def __init__(self, run: RunContext, step: Step, row: StepRow, part: _Part) -> None:
        self._run = run
        self._step = step
        self._row = row
        self._generation = part.generation
        self._mark = part.mark
        self._new_rows = int((part.matches.states == Match.FRESH).sum())
        self._held = Prepared()
        self._pages = 0
        self._buckets = part.buckets
        self.number = 0

    @property
    def is_full(self) -> bool:
        """Enough for chunks of a good size, or long enough without a commit."""
        return self._held.rows >= BUFFER_ROWS or self._pages >= QUIET_PAGES

    def add(self, number: int, made: Prepared) -> None:
        """Takes what one page became."""
        held = self._held
        held.inserts += made.inserts
        held.updates += made.updates
        held.deletes += made.deletes
        held.links += made.links
        held.waiting += made.waiting
        held.rechecks += made.rechecks
        held.reads += made.reads
        held.failures += made.failures
        held.totals.update(made.totals)
        held.ids_left.update(made.ids_left)
        self.number = number
        self._pages += 1

    def flush(self, *, is_gentle: bool) -> list[ChunkRow]:
        """Plans chunks for all that is held: pages first, then one commit."""
        run, step, held = self._run, self._step, self._held
        self._held, self._pages = Prepared(), 0
        few = sooner_by_requests(self._new_rows, job_s=_job_s(run))
        mark = self._mark
        name = f"{mark}{self._generation:02d}-{self.number:06d}"
        if held.updates:
            keep_before(run, step, held, name=name)
        self._buckets.add(held, requests_for(step, held, by_requests=few))
        chunks: list[NewChunk] = []
        if run.writes:
            chunks = plan_chunks(
                step, held, run.spool, name=name, is_gentle=is_gentle, by_requests=few
            )
        else:
            self._pretend(held)
        if held.waiting:
            rows = pl.concat(held.waiting, how="diagonal")  # each page has the lookups that wait
            run.spool.write(f"wait/{step.name}/{name}", rows)
        if held.rechecks:
            rows = pl.concat(held.rechecks, how="diagonal")
            run.spool.write(f"recheck/{step.name}/{name}", rows)
        where = {f"{mark}generation": self._generation, f"{mark}page": self.number}
        with run.store.commit() as commit:
            commit.step(
                self._row.id,
                totals=held.totals,
                cursor={**where, "buckets": self._buckets.document()},
            )
            commit.failures(self._row.id, held.failures)
            for links in held.links if run.writes else ():
                commit.links(run.link_sets[step.name], links)
            for reads in held.reads if run.writes else ():
                commit.reads(run.link_sets[step.name], reads)
            planned = commit.add_chunks(self._row.id, chunks)
        for links in held.links:
            run.maps[step.name].add(
                run.ids.encode(links.get_column("source_id")),
                run.ids.encode(links.get_column("target_id")),
            )
        return planned

    def _pretend(self, held: Prepared) -> None:
        """Counts what would be sent; children find these rows under their source's ids."""
        held.totals["inserted"] += sum(frame.height for frame in held.inserts)
        held.totals["updated"] += sum(f.height for f in (*held.updates, *held.deletes))
        for frame in held.inserts:
            codes = self._run.ids.encode(frame.get_column(SOURCE))
            self._run.maps[self._step.name].add(codes, codes)


def _job_s(run: RunContext) -> float | None:
    """How long a job of the target takes at the least; as the source's, until one was seen."""
    told = (org.usage.quickest_job_s for org in (run.target, run.source))
    return next((seconds for seconds in told if seconds is not None), None)
