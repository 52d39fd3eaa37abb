"""Loads rows as they are, for seeds: no rules, given ids and system fields kept."""

from __future__ import annotations

import polars as pl

from orgsim.dml.save import Save
from orgsim.schema.model import SObject
from orgsim.store import Transaction
from orgsim.store.columns import columns_of, quoted
from orgsim.store.ids import make_ids


def load_rows(
    save: Save, transaction: Transaction, *, sobject: SObject, frame: pl.DataFrame
) -> int:
    """Inserts the frame; text columns are cast by the store. Unknown columns raise LookupError."""
    columns = columns_of(sobject)
    unknown = [name for name in frame.columns if name not in columns]
    if unknown:
        raise LookupError(f"{sobject.name} has no column {', '.join(unknown)}")
    frame = _completed(save, transaction, sobject=sobject, frame=frame)
    listed = ", ".join(map(quoted, frame.columns))
    cast = ", ".join(f"CAST({quoted(name)} AS {columns[name]})" for name in frame.columns)
    with transaction.lent(seed=frame):
        transaction.cursor.execute(
            f"INSERT INTO {quoted(sobject.name)} ({listed}) SELECT {cast} FROM seed"
        )
    return len(frame)


def _completed(
    save: Save, transaction: Transaction, *, sobject: SObject, frame: pl.DataFrame
) -> pl.DataFrame:
    prefix = sobject.key_prefix or "000"
    made: list[pl.Series | pl.Expr] = []
    if "Id" not in frame.columns:
        first = transaction.take(f"id:{prefix}", len(frame), start=save.first_number(prefix))
        made.append(make_ids(prefix, save.facts.pod, first=first, count=len(frame)))
    now = pl.lit(save.stamp, dtype=pl.Datetime("us"))
    usual = {
        "IsDeleted": pl.lit(value=False), "CreatedDate": now, "LastModifiedDate": now,
        "SystemModstamp": now, "CreatedById": pl.lit(save.user_id),
        "LastModifiedById": pl.lit(save.user_id),
    }  # fmt: skip
    made += [value.alias(name) for name, value in usual.items() if name not in frame.columns]
    boxes = [one.name for one in sobject.stored_fields if one.type == "boolean"]
    made += [pl.lit(value=False).alias(name) for name in boxes
             if name not in frame.columns and name != "IsDeleted"]  # fmt: skip
    if "OwnerId" not in frame.columns and sobject.field("OwnerId"):
        made.append(pl.lit(save.user_id).alias("OwnerId"))
    return frame.with_columns(made)
