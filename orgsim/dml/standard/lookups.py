"""Fetches columns of the rows that staged rows point at."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from orgsim.dml.staging import Staged
from orgsim.store.columns import quoted


def join(
    staged: Staged, via: str, sobject: str, columns: Sequence[str], *, prefix: str
) -> pl.DataFrame:
    """The staged frame with ``<prefix><column>`` of the row that the lookup ``via`` names (null:
    none)."""
    target = staged.save.full.sobjects[sobject]
    known = [name for name in columns if name == "Id" or target.field(name)]
    listed = ", ".join(f"t.{quoted(name)} AS {quoted(prefix + name)}" for name in known)
    wanted = pl.DataFrame({"k": staged.frame[via].drop_nulls().unique()}, schema={"k": pl.String})
    sql = (
        f"SELECT t.Id AS k, {listed} FROM {quoted(target.name)} t "
        'SEMI JOIN "@keys" w ON w.k = t.Id WHERE NOT t.IsDeleted'
    )
    with staged.transaction.lent(**{"@keys": wanted}):
        found = staged.transaction.frame(sql)
    return staged.frame.join(found, left_on=via, right_on="k", how="left", maintain_order="left")


def changed(staged: Staged, name: str) -> pl.Expr:
    """True where the field's value is new (always on insert)."""
    if staged.inserting or f"@old.{name}" not in staged.frame.columns:
        return pl.lit(staged.inserting)
    return pl.col(name).ne_missing(pl.col(f"@old.{name}"))
