"""Writes that a save causes: rows of other objects, by the same rules, inside the same
transaction."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from orgsim.dml.outcomes import Refusal, Refusals
from orgsim.dml.save import SaveOptions
from orgsim.dml.seeding import load_rows
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.model import SObject


def insert(staged: Staged, target: SObject, values: pl.DataFrame) -> list[tuple[int, Refusal]]:
    """Inserts ``values`` (any types, ``@cause`` = row of the causing save); returns what was
    refused."""
    from orgsim.dml.pipeline import insert_rows  # the pipeline runs hooks, hooks run the pipeline

    causes = values["@cause"].to_list()
    frame = values.drop("@cause").select(_text(one) for one in values.drop("@cause").iter_columns())
    frame = frame.with_row_index(ROW)
    save = replace(staged.save, options=SaveOptions(assignment_rule=False), faults=None)
    refusals = Refusals()
    insert_rows(save, staged.transaction, sobject=target, frame=frame, refusals=refusals)
    return [(causes[row], reasons[0]) for row, reasons in refusals.by_row.items()]


def _text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column.replace_strict([True, False], ["true", "false"], default=None,
                                     return_dtype=pl.String)  # fmt: skip
    if column.dtype == pl.Datetime("us"):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return column.cast(pl.String)


def place(staged: Staged, sobject: str, values: pl.DataFrame) -> None:
    """Stores rows that the platform makes itself, past all rules."""
    target = staged.save.full.sobject(sobject)
    if target is None or not len(values):
        return
    known = [name for name in values.columns if name == "Id" or target.field(name)]
    staged.transaction.touched.add(target.name)
    load_rows(staged.save, staged.transaction, sobject=target, frame=values.select(known))
