"""What an org made of the rows of a chunk, joined to them by a key, never by their position.

    sent page ──┐ key: the Id of an update, the stamped key of an insert, else the whole sent row
    results  ───┴─▶ Outcomes: accepted (row → target id) · refused (row, why) · left (rows nobody
    looked at)

Rows that are equal in every sent cell (twins) pair off one to one, in any order, and are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from core.migration.prepare import BLANK, ENGINE_COLUMNS
from core.salesforce.bulk import split_error

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


def as_csv(page: pl.DataFrame) -> pl.DataFrame:
    """The cells of a page as a bulk CSV spells them: `BLANK` is ``#N/A``, null is an empty cell."""
    sent = page.drop([name for name in page.columns if name in ENGINE_COLUMNS or name == ROW])
    return sent.with_columns(
        pl.when(pl.all() == BLANK).then(pl.lit(NA)).otherwise(pl.all()).name.keep()
    )


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
    sent = as_csv(page)
    columns = [key] if key else sent.columns
    rows = _marked(sent, columns).with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW))
    twins = 0 if key else int((rows.get_column("#nth") > 0).sum())
    # accepted and refused rows of one group of twins share the counting, accepted first
    both = [
        *(frame.with_columns(pl.lit(value=True).alias("#ok")) for frame in accepted),
        *(frame.with_columns(pl.lit(value=False).alias("#ok")) for frame in refused),
    ]
    if not both:
        return Outcomes(pl.DataFrame(schema=ACCEPTED_SCHEMA), [], list(range(page.height)))
    wanted = ["sf__Id", "sf__Error", "#ok", *columns]
    results = pl.concat([_with(frame, wanted) for frame in both])
    marked = _marked(results, columns).with_columns(
        results.get_column("sf__Id"), results.get_column("sf__Error"), results.get_column("#ok")
    )
    joined = rows.join(marked, on=["#hash64", "#nth"], how="left")
    good = joined.filter(pl.col("#ok")).select(ROW, target_id=pl.col("sf__Id"))
    bad = joined.filter(~pl.col("#ok")).select(ROW, "sf__Error")
    left = joined.filter(pl.col("#ok").is_null()).get_column(ROW).to_list()
    refusals = [Refusal(int(row), *split_error(error or "")) for row, error in bad.iter_rows()]
    return Outcomes(good, refusals, left, twins)


def _with(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    present = {name.lower(): name for name in frame.columns}
    return frame.select(
        (
            pl.col(present[name.lower()]) if name.lower() in present else pl.lit(None, pl.String)
        ).alias(name)
        for name in columns
    )


def _marked(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """``#hash64`` of the cells and ``#nth`` of their kind."""
    cells = [
        pl.col(name).fill_null("").str.replace_all("\r\n?", "\n").alias(name) for name in columns
    ]
    hashes = frame.select(cells).select(pl.struct(pl.all()).hash(11).alias("#hash64"))
    return hashes.with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).over("#hash64").alias("#nth")
    )
