"""The end of a chunk: its outcomes become links, failures, totals and perhaps smaller chunks, in
one commit.

Rows that the org refused for a passing reason are sent again, the reason deciding how
(`row_advice`): after a lock ordered by parent and alone, after a governor limit in ever smaller
requests. What can never succeed becomes a row failure. A chunk is done when every one of its rows
is in a bucket or in a new chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from core.db.run_state import ChunkRow, Commit, Failure, NewChunk
from core.domain.states import ChunkState
from core.errors import DailyLimitError, RefusedError
from core.migration.chunks import gentle, may_use_collections
from core.migration.context import RunContext
from core.migration.outcomes import ROW, Outcomes, Refusal
from core.migration.prepare import BLANK, ENGINE_COLUMNS, HASH, READ, SOURCE, TARGET
from core.migration.spec import Step
from core.salesforce.faults import RowAdvice, row_advice

#: sendings of a row that is refused for a passing reason
ATTEMPTS = 8
#: rows of a request after automation ran out of a limit (rule 3.11)
SMALLER = (50, 10, 1)


@dataclass(frozen=True, slots=True)
class Phase:
    """What success means in a pass over an object."""

    #: load | second_pass | finally | undo
    name: str
    #: totals that a success, a final refusal and a row nobody processed add to
    won: Callable[[str], str]
    lost: str = "failed"
    left: str = "not_processed"
    #: links are written from what was accepted
    links: bool = True


LOAD = Phase(
    "load", lambda operation: "inserted" if operation in ("insert", "upsert") else "updated"
)
#: the row itself arrived in the load; what failed now is its lookup
SECOND_PASS = Phase(
    "second_pass", lambda _: "second_pass", lost="lookups_left_blank", left="lookups_left_blank"
)
#: deleted rows lose their links, restored ones their hashes
UNDO = Phase("undo", lambda _: "updated")
FINALLY = Phase("finally", lambda _: "updated", links=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """A chunk that was sent, its rows, and what the org made of them."""

    chunk: ChunkRow
    page: pl.DataFrame
    outcomes: Outcomes


def settle(run: RunContext, step: Step, sent: Sent, phase: Phase) -> list[ChunkRow]:
    """Commits what became of a chunk; the new chunks for rows to be sent again.

    Raises:
        DailyLimitError, RefusedError: after the commit, when no further row could fare better.
    """
    chunk, page = sent.chunk, sent.page
    sorted_out = _sort_out(step, chunk, sent.outcomes)
    won = _won(page, sent.outcomes)
    # named by the lease: a worker that was replaced and wakes up overwrites no page of the next one
    done_page = f"done/{step.name}/{phase.name}-{chunk.number:06d}-{run.store.token}"
    run.spool.write(done_page, won.select(SOURCE, "target_id", ROW))
    after = {**sent.outcomes.after, "after_done": done_page} if sent.outcomes.after else {}
    again = _again(run, step, sent, again=sorted_out.again, after=after)
    refused = _recognised(chunk, page, sorted_out.final)
    set_id = run.link_sets[step.name]
    with run.store.commit() as commit:
        told = _figures(sent, sorted_out, again)
        commit.chunk(chunk.id, ChunkState.DONE, outcome={**told, "done": done_page})
        commit.step(chunk.step_id, totals=_totals(sent, sorted_out, phase))
        failures = _failures(page, sorted_out, sent.outcomes.reason)
        commit.failures(chunk.step_id, failures, chunk_id=chunk.id)
        new_chunks = commit.add_chunks(chunk.step_id, again)
        if phase.links:
            _write_links(run, step, chunk, commit, won)
        commit.known_links(set_id, refused)
        if sorted_out.final and phase.name in ("second_pass", "finally"):
            # the record is not as sent: the next run looks at it again
            names = page.get_column(SOURCE).gather([r.row for r in sorted_out.final]).to_list()
            commit.unsettle(set_id, names)
    if phase.links:
        _remember(run, step, chunk, won)
    run.maps[step.name].add(
        run.ids.encode(refused.get_column("source_id")),
        run.ids.encode(refused.get_column("target_id")),
    )
    if sorted_out.stop is not None:
        raise _stopped(step, sorted_out.stop)
    return new_chunks


def _figures(sent: Sent, sorted_out: _SortedOut, again: list[NewChunk]) -> dict[str, int]:
    return {
        "ok": sent.outcomes.accepted.height,
        "failed": len(sorted_out.final),
        "not_processed": len(sorted_out.given_up),
        "again": sum(new.rows for new in again),
    }


def _totals(sent: Sent, sorted_out: _SortedOut, phase: Phase) -> Counter[str]:
    totals: Counter[str] = Counter()
    totals[phase.won(sent.chunk.operation)] += sent.outcomes.accepted.height
    totals[phase.lost] += len(sorted_out.final)
    totals[phase.left] += len(sorted_out.given_up)
    totals["twins"] += sent.outcomes.twins
    return totals


@dataclass(slots=True)
class _SortedOut:
    final: list[Refusal]
    #: rows to be sent again, with the strictest advice among them
    again: dict[RowAdvice, list[int]]
    #: rows that no attempt got processed
    given_up: list[int]
    stop: Refusal | None = None


def _sort_out(step: Step, chunk: ChunkRow, outcomes: Outcomes) -> _SortedOut:
    made = _SortedOut(final=[], again={}, given_up=[])
    last = chunk.attempt + 1 >= ATTEMPTS
    for refusal in outcomes.refused:
        advice = row_advice(refusal.code, refusal.message)
        if advice is RowAdvice.STOP:
            # sent again when the run is resumed, which is when there is room
            made.stop = refusal
            made.again.setdefault(advice, []).append(refusal.row)
        elif advice is RowAdvice.REJECT or last:
            made.final.append(refusal)
        elif advice is RowAdvice.VICTIM and step.mapping.load.all_or_none:
            made.final.append(refusal)
        else:
            made.again.setdefault(advice, []).append(refusal.row)
    if outcomes.left:
        hopeless = last or _is_hopeless(outcomes.reason)
        (made.given_up if hopeless else made.again.setdefault(RowAdvice.AGAIN, [])).extend(
            outcomes.left
        )
    return made


def _is_hopeless(reason: str) -> bool:
    """A job that failed for its form fails again: a column unknown, a line ending, a right
    missing."""
    return reason.startswith(("InvalidBatch", "ClientInputError", "FeatureNotEnabled"))


def _again(
    run: RunContext,
    step: Step,
    sent: Sent,
    *,
    again: dict[RowAdvice, list[int]],
    after: dict[str, Any],
) -> list[NewChunk]:
    chunk, page, made = sent.chunk, sent.page, []
    for advice, rows in again.items():
        part = page[sorted(rows)]
        api, pieces = chunk.api, iter((part,))
        if advice is RowAdvice.SMALLER:
            # a job of few rows gives automation as few at a time as a request does
            if may_use_collections(step, chunk.operation):
                api = "collections"
            size = SMALLER[min(chunk.attempt, len(SMALLER) - 1)]
            pieces = part.iter_slices(size)
        elif advice is RowAdvice.LOCKED:
            pieces = gentle(step, part, api)
        for number, piece in enumerate(pieces):
            name = f"{chunk.page}~{advice.value}{number}-{run.store.token}"
            run.spool.write(name, piece)
            made.append(
                NewChunk(
                    api=api,
                    operation=chunk.operation,
                    rows=piece.height,
                    page=name,
                    attempt=chunk.attempt + (advice is not RowAdvice.STOP),
                    outcome={"advice": advice.value, **after},
                )
            )
    return made


def _won(page: pl.DataFrame, outcomes: Outcomes) -> pl.DataFrame:
    read = READ if READ in page.columns else pl.lit(None, pl.Int64).alias(READ)
    number = pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW)
    rows = page.select(SOURCE, TARGET, HASH, read, number)
    return rows.join(outcomes.accepted, on=ROW, how="inner")


def _failures(page: pl.DataFrame, sorted_out: _SortedOut, reason: str) -> list[Failure]:
    made = []
    for refusal in sorted_out.final:
        source, target, sent = _row(page, refusal.row)
        made.append(
            Failure("failed", refusal.code, refusal.message, source, target, refusal.fields, sent)
        )
    for row in sorted_out.given_up:
        source, target, sent = _row(page, row)
        message = f"The org did not process this row: {reason or 'no reason given'}."
        made.append(Failure("not_processed", "NOT_PROCESSED", message, source, target, (), sent))
    return made


def _row(page: pl.DataFrame, number: int) -> tuple[str, str | None, dict[str, str | None]]:
    row = page.row(number, named=True)
    sent = {
        name: (None if value == BLANK else value)
        for name, value in row.items()
        if name not in ENGINE_COLUMNS and name != ROW and value is not None
    }
    return row[SOURCE], row[TARGET], sent


#: of links that an operation other than an insert leaves; a record that came back was never ours
_ORIGINS = {"undelete": "matched"}


def _write_links(
    run: RunContext, step: Step, chunk: ChunkRow, commit: Commit, won: pl.DataFrame
) -> None:
    set_id = run.link_sets[step.name]
    if chunk.operation in ("delete", "hard_delete"):
        commit.forget_links(set_id, won.get_column(SOURCE).to_list())
        return
    fresh = chunk.operation in ("insert", "upsert")
    links = won.select(
        source_id=pl.col(SOURCE),
        target_id=pl.col("target_id"),
        origin=pl.lit("inserted" if fresh else _ORIGINS.get(chunk.operation, "updated")),
        sent_hash=pl.col(HASH),
        read_hash=pl.col(READ),
    )
    commit.links(set_id, links, new=fresh and chunk.attempt == 0)


def _recognised(chunk: ChunkRow, page: pl.DataFrame, final: list[Refusal]) -> pl.DataFrame:
    """Links of records whose update the org refused: they are in the target all the same, and
    lookups lead to them."""
    rows = [refusal.row for refusal in final] if chunk.operation == "update" else []
    return page[rows].select(source_id=pl.col(SOURCE), target_id=pl.col(TARGET))


def _remember(run: RunContext, step: Step, chunk: ChunkRow, won: pl.DataFrame) -> None:
    sources = run.ids.encode(won.get_column(SOURCE))
    if chunk.operation in ("delete", "hard_delete"):
        run.maps[step.name].add(sources, np.full(len(sources), -1, dtype=np.int64))
    else:
        run.maps[step.name].add(sources, run.ids.encode(won.get_column("target_id")))


def _stopped(step: Step, refusal: Refusal) -> RefusedError:
    kind = (
        RefusedError if "STORAGE" in refusal.code or "LICENSE" in refusal.code else DailyLimitError
    )
    return kind(
        f"The target org takes no more rows of {step.target.name}: {refusal.message}.",
        state="What was written is noted; the rest was not sent.",
        next_step="Free the limit, then resume the run.",
        code=refusal.code,
    )
