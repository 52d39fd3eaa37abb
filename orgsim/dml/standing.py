"""Fetches what updated rows held before, and refuses rows that are not there."""

from __future__ import annotations

import polars as pl

from orgsim.dml import derive, platform
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.model import SObject
from orgsim.store.columns import quoted

_ALWAYS = ("Id", "IsDeleted", "OwnerId", "RecordTypeId", "SystemModstamp", "CurrencyIsoCode",
           "IsPersonAccount")  # fmt: skip


def join_before(staged: Staged) -> None:
    """Lays the stored rows under the given ones: ``@old.<field>`` and, where not given, the
    value."""
    staged.drop_refused()
    _check_ids(staged)
    staged.drop_refused()
    names = _needed(staged)
    old = _stored(staged, names)
    staged.frame = staged.frame.join(old, on="Id", how="left", maintain_order="left")
    _check_standing(staged)
    staged.drop_refused()
    staged.frame = staged.frame.with_columns(_laid_over(staged, names))
    boxes = [one.name for one in staged.writing() if one.type == "boolean"]
    staged.frame = staged.frame.with_columns(pl.col(boxes).fill_null(value=False))


def _check_ids(staged: Staged) -> None:
    prefix = staged.sobject.key_prefix or ""
    blank = Refusal("MISSING_ARGUMENT", "Id not specified in an update call")
    if not staged.has("Id"):
        staged.refusals.all(staged.frame[ROW].to_list(), blank)
        staged.frame = staged.frame.clear().with_columns(Id=pl.lit(None, dtype=pl.String))
        return
    staged.refuse_where(pl.col("Id").is_null(), blank)
    wrong = pl.col("Id").is_not_null() & ~pl.col("Id").str.starts_with(prefix)
    for row, value in staged.frame.filter(wrong).select(ROW, "Id").iter_rows():
        message = f"{staged.sobject.label} ID: id value of incorrect type: {value}"
        staged.refusals.add(row, Refusal("MALFORMED_ID", message, ("Id",)))


def _needed(staged: Staged) -> list[str]:
    """The stored fields this update must know: all where rules look at rows, else a few."""
    if looks_at_whole_rows(staged.sobject):
        return [one.name for one in staged.sobject.stored_fields]
    names = {name for name in _ALWAYS if staged.sobject.field(name)} | staged.given
    return [one.name for one in staged.sobject.stored_fields if one.name in names]


def looks_at_whole_rows(sobject: SObject) -> bool:
    """Whether rules, hooks or the platform read fields that a caller did not name."""
    return bool(sobject.rules) or derive.derives(sobject) or platform.watches(sobject)


def _stored(staged: Staged, names: list[str]) -> pl.DataFrame:
    listed = ", ".join(f"t.{quoted(name)} AS {quoted('@old.' + name)}" for name in names)
    sql = (
        f'SELECT t.Id, t.IsDeleted AS "@old.IsDeleted", {listed} FROM {quoted(staged.sobject.name)}'
        " t SEMI JOIN wanted w ON w.Id = t.Id"
    )
    if "IsDeleted" in names:
        sql = sql.replace('t.IsDeleted AS "@old.IsDeleted", ', "", 1)
    with staged.transaction.lent(wanted=staged.frame.select("Id")):
        return staged.transaction.frame(sql)


def _check_standing(staged: Staged) -> None:
    missing = Refusal("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    staged.refuse_where(pl.col("@old.Id").is_null(), missing)
    staged.refuse_where(pl.col("@old.IsDeleted"), Refusal("ENTITY_IS_DELETED", "entity is deleted"))


def _laid_over(staged: Staged, names: list[str]) -> list[pl.Expr]:
    made = []
    for name in names:
        old = pl.col(f"@old.{name}")
        if name not in staged.frame.columns:
            made.append(old.alias(name))
        elif f"@given.{name}" in staged.frame.columns:
            given = pl.col(f"@given.{name}")
            made.append(pl.when(given).then(pl.col(name)).otherwise(old).alias(name))
    return made
