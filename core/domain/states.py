"""States of runs, steps, chunks and rows, and the moves between them that are legal.

A status with failed rows is *partial*, never green; a terminal state has no moves but the ones that
a person starts (retry makes a new run; undo works on a finished one).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from core.errors import BugError


class RunState(StrEnum):
    """Where a run stands. The stored value begins with a capital, as the canonical schema does."""

    PENDING = "Pending"  # made, nobody carries it yet
    WAITING_APPROVAL = "Waiting for approval"  # another person must say yes first
    CHECKING = "Checking"  # preflight reads both orgs
    RUNNING = "Running"  # a worker carries it
    WAITING_DECISION = "Waiting for decision"  # a canary or a trial asks: continue or stop
    PAUSING = "Pausing"  # asked to pause; what was sent is being settled
    PAUSED = "Paused"  # resumable; nothing is in flight
    CANCELLING = "Cancelling"  # asked to stop; what was sent is being settled
    SUCCEEDED = "Succeeded"  # every row ok
    PARTIAL = "Partial"  # finished, but rows failed, were blocked or left behind
    FAILED = "Failed"  # could not be carried out
    CANCELLED = "Cancelled"  # stopped by a person; rows sent until then stay
    UNDOING = "Undoing"  # its writes are being taken back
    UNDONE = "Undone"  # its writes were taken back, conflicts listed


class StepState(StrEnum):
    """Where one object stands in one phase."""

    PENDING = "pending"  # its wave has not come
    RUNNING = "running"  # rows are read, sent or settled
    PAUSED = "paused"  # stopped between chunks
    SUCCEEDED = "succeeded"  # all its rows ok
    PARTIAL = "partial"  # done, with rows that failed or were blocked
    FAILED = "failed"  # could not be carried out
    CANCELLED = "cancelled"  # stopped by a person
    SKIPPED = "skipped"  # not asked for, or nothing to do


class ChunkState(StrEnum):
    """Where the rows of one request or bulk job stand; written before each act on the org."""

    PLANNED = "planned"  # rows are spooled, nothing was sent
    JOB_CREATED = "job_created"  # the job's id is stored; no rows in it
    UPLOADED = "uploaded"  # rows are in the job; it has not begun
    CLOSED = "closed"  # the org works on it, or did
    RESULTS_READ = "results_read"  # results are spooled, the ledger is not written
    DONE = "done"  # ledger, failures and progress are written
    LOST = "lost"  # sent, answer lost: the org is asked before anything is sent again
    FAILED = "failed"  # the org refused it as a whole


class RowOutcomeState(StrEnum):
    """What became of one row; the seven words of the identity of totals (rule 6.1)."""

    INSERTED = "inserted"  # made in the target
    UPDATED = "updated"  # changed in the target
    UNCHANGED = "unchanged"  # equal to what was sent before, not sent
    SKIPPED = "skipped"  # by operation or by choice
    BLOCKED = "blocked"  # held back by us, with a reason
    FAILED = "failed"  # refused by the org, with a reason
    NOT_PROCESSED = "not_processed"  # handed over, and the org never looked at it


_R, _S, _C = RunState, StepState, ChunkState

RUN_MOVES: Mapping[RunState, frozenset[RunState]] = MappingProxyType(
    {
        _R.PENDING: frozenset(
            {_R.WAITING_APPROVAL, _R.CHECKING, _R.RUNNING, _R.CANCELLED, _R.FAILED}
        ),
        _R.WAITING_APPROVAL: frozenset({_R.PENDING, _R.CANCELLED}),
        _R.CHECKING: frozenset(
            {_R.RUNNING, _R.PAUSING, _R.PAUSED, _R.CANCELLING, _R.CANCELLED, _R.FAILED}
            | {_R.SUCCEEDED, _R.PARTIAL}
        ),
        _R.RUNNING: frozenset(
            {_R.WAITING_DECISION, _R.PAUSING, _R.PAUSED, _R.CANCELLING, _R.CANCELLED}
            | {_R.SUCCEEDED, _R.PARTIAL, _R.FAILED}
        ),
        _R.WAITING_DECISION: frozenset({_R.RUNNING, _R.CANCELLING, _R.CANCELLED, _R.PARTIAL})
        | {_R.SUCCEEDED},
        _R.PAUSING: frozenset(
            {_R.PAUSED, _R.CANCELLING, _R.RUNNING, _R.SUCCEEDED, _R.PARTIAL, _R.FAILED}
        ),
        _R.PAUSED: frozenset({_R.RUNNING, _R.CHECKING, _R.CANCELLING, _R.CANCELLED, _R.FAILED}),
        _R.CANCELLING: frozenset({_R.CANCELLED, _R.FAILED}),
        _R.SUCCEEDED: frozenset({_R.UNDOING}),
        _R.PARTIAL: frozenset({_R.UNDOING}),
        _R.FAILED: frozenset({_R.UNDOING, _R.RUNNING}),
        _R.CANCELLED: frozenset({_R.UNDOING}),
        _R.UNDOING: frozenset({_R.UNDONE, _R.SUCCEEDED, _R.PARTIAL, _R.FAILED, _R.CANCELLED}),
        _R.UNDONE: frozenset(),
    }
)

STEP_MOVES: Mapping[StepState, frozenset[StepState]] = MappingProxyType(
    {
        _S.PENDING: frozenset({_S.RUNNING, _S.SKIPPED, _S.CANCELLED, _S.FAILED}),
        _S.RUNNING: frozenset(
            {_S.PAUSED, _S.SUCCEEDED, _S.PARTIAL, _S.FAILED, _S.CANCELLED, _S.SKIPPED}
        ),
        _S.PAUSED: frozenset({_S.RUNNING, _S.CANCELLED, _S.FAILED}),
        _S.SUCCEEDED: frozenset(),
        _S.PARTIAL: frozenset(),
        _S.FAILED: frozenset({_S.RUNNING}),
        _S.CANCELLED: frozenset(),
        _S.SKIPPED: frozenset(),
    }
)

CHUNK_MOVES: Mapping[ChunkState, frozenset[ChunkState]] = MappingProxyType(
    {
        # collections send and answer in one request: planned → results_read or lost
        _C.PLANNED: frozenset({_C.JOB_CREATED, _C.RESULTS_READ, _C.DONE, _C.LOST, _C.FAILED}),
        _C.JOB_CREATED: frozenset({_C.UPLOADED, _C.PLANNED, _C.LOST, _C.FAILED}),
        _C.UPLOADED: frozenset({_C.CLOSED, _C.PLANNED, _C.LOST, _C.FAILED}),
        _C.CLOSED: frozenset({_C.RESULTS_READ, _C.DONE, _C.LOST, _C.FAILED}),
        _C.RESULTS_READ: frozenset({_C.DONE}),
        # settled by asking the org: it has the rows, or it surely has not
        _C.LOST: frozenset({_C.PLANNED, _C.CLOSED, _C.RESULTS_READ, _C.DONE, _C.FAILED}),
        _C.FAILED: frozenset({_C.PLANNED}),
        _C.DONE: frozenset(),
    }
)

#: modes whose runs bring no row to stay: nothing is tried again, nothing taken back
NOTHING_BROUGHT = frozenset({"undo", "dry-run", "trial"})
FINISHED_RUNS = frozenset({_R.SUCCEEDED, _R.PARTIAL, _R.FAILED, _R.CANCELLED, _R.UNDONE})
#: over for good, or a person's turn: no worker takes such a run up
NOT_CARRIED_RUNS = (FINISHED_RUNS - {_R.FAILED}) | {_R.WAITING_APPROVAL, _R.WAITING_DECISION}
#: a step that is through with all its rows
DONE_STEPS = frozenset({_S.SUCCEEDED, _S.PARTIAL})
#: states in which a worker must be carrying the run: without a live lease it is taken over
CARRIED_RUNS = frozenset({_R.CHECKING, _R.RUNNING, _R.PAUSING, _R.CANCELLING, _R.UNDOING})

State = TypeVar("State", RunState, StepState, ChunkState)


def check_move(old: State, new: State) -> State:
    """The new state, if it may follow the old one; staying is always allowed.

    Raises:
        BugError: the move is not in the table; nothing was changed.
    """
    if new != old and new not in _moves(old):
        raise BugError(
            f"A {type(old).__name__} cannot go from '{old.value}' to '{new.value}'.",
            state="Nothing was changed.",
            old=old.value,
            new=new.value,
        )
    return new


def _moves(old: State) -> frozenset[State]:
    for table in (RUN_MOVES, STEP_MOVES, CHUNK_MOVES):
        if type(next(iter(table))) is type(old):
            return table[old]  # type: ignore[index,return-value]  # the table of this very type
    raise BugError(f"There is no table of moves for {type(old).__name__}.")
