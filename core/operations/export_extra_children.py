"""Extra child records as a CSV file: their ids, parents and dates, kept to be fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import polars as pl

from core.domain.csv import people_csv
from core.operations.extra_child_acts import ChildrenParameters, extra_children_of
from core.operations.protocol import Operation, OperationContext, Report

PAGE_ROWS = 20_000


def carry(context: OperationContext, parameters: ChildrenParameters) -> Report:
    """Write the extra children of one lookup as they are now."""
    look = extra_children_of(context, parameters)
    name = f"extra-{look.child.name}-{look.lookup}.csv"
    written = context.keep_file(name, pieces(look.rows))
    sentence = f"{written.rows:,} extra {look.child.target} records were written."
    return Report({"file": asdict(written)}, sentence)


def pieces(rows: pl.DataFrame) -> Iterator[tuple[bytes, int]]:
    """The file for a spreadsheet, header first, and how many rows each piece has."""
    first = True
    for page in rows.iter_slices(PAGE_ROWS) if rows.height else [rows]:
        content = people_csv(page, bom=first)
        yield (content if first else content.split(b"\r\n", 1)[1]), page.height
        first = False


OPERATION = Operation(
    kind="export_extra_children",
    title="Export extra child records",
    purpose="Write the extra children of one lookup to a CSV file.",
    parameters=ChildrenParameters,
    carry=carry,
    log_table="extra_child_records_log",
    keeps_file=True,
)
