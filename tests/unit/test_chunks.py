"""How rows are cut into requests and jobs."""

from __future__ import annotations

from typing import cast
from uuid import UUID

import polars as pl
import pytest

from core.db.run_state import ChunkRow
from core.domain.describe import Field, SObject
from core.domain.plan import LookupPolicy, ObjectMapping
from core.domain.states import ChunkState
from core.migration.chunks import (
    GENTLE_ROWS,
    ROUND_ROWS,
    api_for,
    estimate,
    gentle,
    sooner_by_requests,
)
from core.migration.context import RunContext
from core.migration.load import IN_FLIGHT, Lane
from core.migration.settle import LOAD
from core.migration.spec import Lookup, Step

PARENT = Field("Account__c", "reference", reference_to=("Account",))
TABLE = SObject("Line__c", fields={"Account__c": PARENT})


def step(*lookups: Field) -> Step:
    """A mapping with these lookups."""
    mapping = ObjectMapping.model_validate({"as": "line", "source": "Line__c", "target": "Line__c"})
    found = tuple(Lookup(field, field.name, LookupPolicy()) for field in lookups)
    return Step(mapping, TABLE, TABLE, {}, found)


def sizes(parents: list[str | None]) -> list[int]:
    """Rows of each piece; every piece holds its parents whole where that can be."""
    rows = pl.DataFrame({"Account__c": parents, "n": range(len(parents))})
    parts = list(gentle(step(PARENT), rows, "bulk"))
    assert sorted(n for part in parts for n in part["n"]) == list(range(len(parents)))
    return [part.height for part in parts]


def test_rule_3_11_jobs_are_cut_where_the_parent_changes() -> None:
    parents = [name for name in "abc" for _ in range(6_000)]

    assert sizes(parents) == [6_000, 6_000, 6_000]
    assert sizes(parents[:6_000] + ["b"] * 4_000 + ["c"] * 5) == [10_000, 5]


def test_rule_3_11_only_a_parent_that_is_too_large_is_split() -> None:
    assert sizes(["a"] * 25_000 + ["b"] * 100) == [GENTLE_ROWS, GENTLE_ROWS, 5_100]
    assert sizes([None] * 3 + ["a"] * 3) == [6]
    assert sizes([]) == []


def test_rule_3_11_rows_without_a_parent_are_cut_by_number() -> None:
    rows = pl.DataFrame({"n": range(GENTLE_ROWS + 1)})

    assert [part.height for part in gentle(step(), rows, "bulk")] == [GENTLE_ROWS, 1]


@pytest.mark.parametrize("advice", ["locked", "again"])
def test_rule_3_11_after_a_lock_a_lane_carries_gently(advice: str) -> None:
    """Also where the worker that met the lock is gone: its chunks tell."""
    number = UUID(int=1)
    met = ChunkRow(
        id=number,
        step_id=number,
        number=1,
        state=ChunkState.DONE,
        api="bulk",
        operation="insert",
        job_id=None,
        rows=1,
        page="",
        attempt=1,
        outcome={"advice": advice},
    )
    lane = Lane(cast("RunContext", None), step(), LOAD)

    lane.add([met])
    lane.close()

    assert lane.is_gentle is (advice == "locked")
    assert lane.width == (1 if advice == "locked" else IN_FLIGHT)


@pytest.mark.parametrize(("rows", "expected"), [(10, ("bulk", 1)), (50_000, ("bulk", 3))])
def test_rows_without_a_key_go_by_jobs(rows: int, expected: tuple[str, int]) -> None:
    assert estimate(step(), rows) == expected


@pytest.mark.parametrize(
    ("operation", "rows", "of", "job_s", "expected"),
    [
        ("upsert", 2_000, 2_000, None, "collections"),
        ("upsert", 2_001, 2_001, 20.0, "bulk"),
        ("upsert", ROUND_ROWS, 50_000, None, "collections"),
        ("upsert", ROUND_ROWS + 1, 50_000, None, "bulk"),
        ("upsert", ROUND_ROWS + 1, 50_000, 0.3, "bulk"),
        ("upsert", 2 * ROUND_ROWS, 50_000, 1.0, "collections"),
        ("upsert", 2 * ROUND_ROWS + 1, 50_000, 1.0, "bulk"),
        ("upsert", 2_000, 50_000, 3.0, "collections"),
        ("upsert", 2_001, 50_000, 20.0, "bulk"),
        ("update", 2_000, 50_000, 0.3, "collections"),
    ],
)
def test_a_generation_of_many_new_rows_goes_by_what_is_sooner(
    operation: str, rows: int, of: int, job_s: float | None, expected: str
) -> None:
    """Ten requests for the parents of a mapping that needs jobs anyway are slower than one more job
    of an org whose jobs take no time, and sooner than one of an org far away."""
    most = sooner_by_requests(of, job_s=job_s)

    assert api_for(step(), operation, rows, by_requests=most) == expected
