"""Rows of the target before they are changed: read by id, however large the object is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import polars as pl

from core.migration.before import target_rows
from core.migration.extract import PAGE_ROWS
from core.migration.load import BUFFER_ROWS


class Org:
    """Has a row for every id but those that end in 7; counts how it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.queries: list[str] = []

    def retrieve(
        self, sobject: str, ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        self.asked.append(len(ids))
        return {one: {"Id": one, "Name": f"N{one}"} for one in ids if not one.endswith("7")}

    def query_frames(self, soql: str) -> Iterator[pl.DataFrame]:
        self.queries.append(soql)
        yield from ()


def test_rows_that_are_prepared_together_are_read_by_id() -> None:
    """The whole object is not read for each part of its rows: that would grow with their square."""
    org, step = Org(), SimpleNamespace(target=SimpleNamespace(name="Account"))
    together = BUFFER_ROWS + PAGE_ROWS - 1
    ids = pl.Series([f"{n:018}" for n in range(together)])

    found = target_rows(cast(Any, org), cast(Any, step), ids, ["Name"])

    assert org.queries == []
    assert sum(org.asked) == together and max(org.asked) == 2_000
    assert found.columns == ["Id", "Name"]
    assert found.height == sum(n % 10 != 7 for n in range(together))
