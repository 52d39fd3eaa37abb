"""States: every state has its moves, and only listed moves pass."""

from __future__ import annotations

import pytest

from core.domain.states import (
    CHUNK_MOVES,
    FINISHED_RUNS,
    RUN_MOVES,
    STEP_MOVES,
    ChunkState,
    RunState,
    StepState,
    check_move,
)
from core.errors import BugError


@pytest.mark.parametrize(
    ("states", "table"),
    [(RunState, RUN_MOVES), (StepState, STEP_MOVES), (ChunkState, CHUNK_MOVES)],
)
def test_every_state_is_in_its_table_and_only_listed_moves_pass(states, table) -> None:  # type: ignore[no-untyped-def]
    assert set(table) == set(states)
    for old in states:
        for new in states:
            if new == old or new in table[old]:
                assert check_move(old, new) is new
            else:
                with pytest.raises(BugError, match="cannot go from"):
                    check_move(old, new)


def test_every_run_state_can_reach_an_end() -> None:
    for start in RunState:
        seen, todo = {start}, [start]
        while todo:
            for following in RUN_MOVES[todo.pop()] - seen:
                seen.add(following)
                todo.append(following)
        assert seen & FINISHED_RUNS


def test_a_chunk_that_was_sent_is_never_sent_again_unasked() -> None:
    """From closed and results_read no way leads to planned but through lost or failed."""
    assert ChunkState.PLANNED not in CHUNK_MOVES[ChunkState.CLOSED]
    assert ChunkState.PLANNED not in CHUNK_MOVES[ChunkState.RESULTS_READ]
    assert CHUNK_MOVES[ChunkState.DONE] == frozenset()
