"""What an org made of the rows of a chunk, joined to them by a key, never by their position.

    sent page ──┐ key: the Id of an update, the stamped key of an insert, else the whole sent row
    results  ───┴─▶ Outcomes: accepted (row → target id) · refused (row, why) · left (rows nobody
    looked at)

Rows that are equal in every sent cell (twins) pair off one to one, in any order, and are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from core.migration.prepare import BLANK, ENGINE_COLUMNS
from core.salesforce.bulk import split_error
from core.salesforce.frames import csv_bytes

#: null in a bulk CSV (Bulk API 2.0, "Prepare CSV Files")
NA = "#N/A"
ROW = "#row"
ACCEPTED_SCHEMA = {ROW: pl.UInt32, "target_id": pl.String}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the org refused one row."""

    row: int
    code: str
    message: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of every row of a chunk."""

    #: ACCEPTED_SCHEMA
    accepted: pl.DataFrame
    refused: list[Refusal]
    #: rows that the org did not process
    left: list[int]
    #: rows that had a twin in the chunk, keyless
    twins: int = 0
    #: why rows were left, when the job as a whole says so
    reason: str = ""
    #: of rows left by an aborted job, which may yet commit them: its id and its figures
    after: Mapping[str, Any] = field(default_factory=dict)


def bulk_csv(page: pl.DataFrame) -> bytes:
    """The cells of a page as a bulk CSV spells them: `BLANK` is ``#N/A``, null is an empty cell."""
    # no cell holds a NUL but those that are BLANK
    return csv_bytes(_sent(page)).replace(BLANK.encode(), NA.encode())


def bulk_outcomes(
    page: pl.DataFrame,
    accepted: list[pl.DataFrame],
    refused: list[pl.DataFrame],
    *,
    key: str | None,
) -> Outcomes:
    """Joins the result files of a job to the rows that were sent.

    Args:
        key: column whose values are unique in the page; None joins on the whole row.
    """
    sent = _sent(page).select(key) if key else _sent(page)
    # accepted and refused rows of one group of twins share the counting, accepted first
    both = [
        *(frame.with_columns(pl.lit(value=True).alias("#ok")) for frame in accepted),
        *(frame.with_columns(pl.lit(value=False).alias("#ok")) for frame in refused),
    ]
    if not both:
        return Outcomes(pl.DataFrame(schema=ACCEPTED_SCHEMA), [], list(range(page.height)))
    results = pl.concat(
        [_with(frame, ["sf__Id", "sf__Error", "#ok", *sent.columns]) for frame in both]
    )
    joined, twins = _joined(sent, results, key=key)
    good = joined.filter(pl.col("#ok")).select(ROW, target_id=pl.col("sf__Id"))
    bad = joined.filter(~pl.col("#ok")).select(ROW, "sf__Error")
    left = joined.filter(pl.col("#ok").is_null()).get_column(ROW).to_list()
    refusals = [Refusal(int(row), *split_error(error or "")) for row, error in bad.iter_rows()]
    return Outcomes(good, refusals, left, twins)


def result_columns(key: str | None) -> list[str] | None:
    """What of a result file is needed to join it; None: all of it."""
    return ["sf__Id", "sf__Error", key] if key else None


def _sent(page: pl.DataFrame) -> pl.DataFrame:
    return page.drop([name for name in page.columns if name in ENGINE_COLUMNS or name == ROW])


def _joined(
    sent: pl.DataFrame, results: pl.DataFrame, *, key: str | None
) -> tuple[pl.DataFrame, int]:
    """Sent rows (`ROW`) beside their results, and how many had a twin."""
    number = pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW)
    what = results.select("sf__Id", "sf__Error", "#ok")
    if key:
        rows, marked = (
            _cells(frame).rename({key: "#key"}) for frame in (sent, results.select(key))
        )
        joined = rows.with_columns(number).join(
            marked.hstack(what), on="#key", how="left", maintain_order="left"
        )
        if joined.height == sent.height:
            return joined, 0
        # a key came twice after all: each row takes one result
    rows, marked = _marked(sent), _marked(results.select(sent.columns))
    twins = 0 if key else int((rows.get_column("#nth") > 0).sum())
    return (
        rows.with_columns(number).join(marked.hstack(what), on=["#hash64", "#nth"], how="left"),
        twins,
    )


def _with(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    present = {name.lower(): name for name in frame.columns}
    return frame.select(
        (
            pl.col(present[name.lower()]) if name.lower() in present else pl.lit(None, pl.String)
        ).alias(name)
        for name in columns
    )


def _marked(frame: pl.DataFrame) -> pl.DataFrame:
    """``#hash64`` of the cells and ``#nth`` of their kind."""
    hashes = _cells(frame).select(pl.struct(pl.all()).hash(11).alias("#hash64"))
    return hashes.with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).over("#hash64").alias("#nth")
    )


def _cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Cells as a result file gives them back."""
    blank = (
        pl.when(pl.all() == BLANK).then(pl.lit(NA)).otherwise(pl.all().fill_null("")).name.keep()
    )
    return frame.select(blank).select(pl.all().str.replace_all("\r\n?", "\n"))
