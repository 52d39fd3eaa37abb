"""What became of the rows of one save: an id or the reasons why not, in input order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

#: The text of a cell that asks for null (`#N/A` in CSV, null in JSON). A null cell means: not
#: given.
SET_NULL = "\x00NULL"

ROLLED_BACK = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
ROLLED_BACK_MESSAGE = (
    "Record rolled back because not all records were valid and the request was using "
    "AllOrNone header"
)

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": pl.UInt32, "id": pl.String, "success": pl.Boolean, "created": pl.Boolean,
    "code": pl.String, "message": pl.String, "fields": pl.List(pl.String),
}  # fmt: skip


class UnknownFieldError(Exception):
    """A column names no field of the object (as the caller may see it)."""

    def __init__(self, name: str, sobject: str) -> None:
        super().__init__(f"No such column '{name}' on sobject of type {sobject}")
        self.name = name
        self.sobject = sobject


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why a row was not saved; ``extra`` is the duplicateResult of a duplicate rule."""

    code: str
    message: str
    fields: tuple[str, ...] = ()
    extra: dict[str, object] | None = None


class Refusals:
    """Reasons by row number, first come first; a row with a reason is not saved."""

    def __init__(self, before: dict[int, list[Refusal]] | None = None) -> None:
        self.by_row: dict[int, list[Refusal]] = dict(before or {})

    def add(self, row: int, refusal: Refusal) -> None:
        """Adds one reason."""
        self.by_row.setdefault(row, []).append(refusal)

    def all(self, rows: Iterable[int], refusal: Refusal) -> None:
        """Gives many rows the same reason."""
        for row in rows:
            self.by_row.setdefault(row, []).append(refusal)

    def __contains__(self, row: object) -> bool:
        return row in self.by_row

    def __bool__(self) -> bool:
        return bool(self.by_row)

    def __len__(self) -> int:
        return len(self.by_row)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """``saved``: columns row, id, created of the rows that were saved, in any order."""

    rows: int
    saved: pl.DataFrame
    refusals: dict[int, tuple[Refusal, ...]] = field(default_factory=dict)

    @property
    def frame(self) -> pl.DataFrame:
        """Every row in input order: row, id, success, created, code, message, fields."""
        refused = pl.DataFrame(
            {
                "row": list(self.refusals),
                "code": [reasons[0].code for reasons in self.refusals.values()],
                "message": [reasons[0].message for reasons in self.refusals.values()],
                "fields": [list(reasons[0].fields) for reasons in self.refusals.values()],
            },
            schema={key: SCHEMA[key] for key in ("row", "code", "message", "fields")},
        )
        made = (
            pl.DataFrame({"row": pl.arange(0, self.rows, eager=True, dtype=pl.UInt32)})
            .join(self.saved.select("row", "id", "created"), on="row", how="left")
            .join(refused, on="row", how="left", maintain_order="left")
            .sort("row")
        )
        return made.with_columns(
            success=pl.col("code").is_null(), created=pl.col("created").fill_null(value=False)
        ).select(list(SCHEMA))


def saved_rows(rows: pl.Series, ids: pl.Series, *, created: bool) -> pl.DataFrame:
    """The ``saved`` frame of one kind of write."""
    return pl.DataFrame({"row": rows.cast(pl.UInt32), "id": ids}).with_columns(
        created=pl.lit(created)
    )
