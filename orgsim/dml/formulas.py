"""Evaluates formulas over all staged rows at once."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from orgsim.dml.staging import ROW, Staged
from orgsim.formula import Compiled, compile_formula
from orgsim.schema.model import Schema, SObject
from orgsim.store.columns import polars_type, quoted


def compiled(text: str, sobject: SObject, schema: Schema, *, row: str = "n") -> Compiled:
    """The formula as SQL, compiled once per schema.

    Raises:
        FormulaError: the text is outside the supported subset.
    """
    key = (sobject.name, row, text)
    found: Compiled | None = schema.formulas.get(key)
    if found is None:
        found = compile_formula(text, sobject=sobject, schema=schema, row=row)
        schema.formulas[key] = found
    return found


def evaluate(staged: Staged, texts: Mapping[str, str]) -> pl.DataFrame:
    """One row a staged row: ``@row`` and the value of each formula under its name."""
    made = {name: compiled(text, staged.sobject, staged.save.full) for name, text in texts.items()}
    fields = sorted(set().union(*(one.fields for one in made.values())))
    staged.ensure(fields)
    known = [name for name in fields if staged.has(name)]
    own = [name for name in ("Id",) if staged.has(name) and name not in known]
    after = staged.frame.select(ROW, pl.lit(staged.inserting).alias("@isnew"), *known, *own)
    before = staged.frame.select(ROW, *(_old(staged, name) for name in known))
    listed = ", ".join(f"({one.sql}) AS {quoted(name)}" for name, one in made.items())
    sql = f'SELECT n."@row", {listed} FROM "@after" n JOIN "@before" o ON n."@row" = o."@row"'
    with staged.transaction.lent(**{"@after": after, "@before": before}):
        return staged.transaction.frame(sql)


def _old(staged: Staged, name: str) -> pl.Expr:
    if f"@old.{name}" in staged.frame.columns:
        return pl.col(f"@old.{name}").alias(name)
    return pl.lit(None, dtype=polars_type(staged.sobject.fields[name])).alias(name)


def truths(staged: Staged, texts: Mapping[str, str]) -> dict[str, list[int]]:
    """For each condition the row numbers for which it is true."""
    if not texts or not len(staged.frame):
        return {}
    found = evaluate(staged, texts)
    return {
        name: found.filter(pl.col(name).fill_null(value=False))[ROW].to_list() for name in texts
    }
