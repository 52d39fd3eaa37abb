"""Upsert by a key field, and the order in which rows with the same key are saved.

Rows with one key inside one chunk (200 rows) collide; in different chunks they are saved one after
the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from orgsim.dml.outcomes import SET_NULL, Refusal, Refusals, UnknownFieldError, saved_rows
from orgsim.dml.parse import parse_column
from orgsim.dml.pipeline import insert_rows, update_rows
from orgsim.dml.save import Save
from orgsim.dml.staging import ROW
from orgsim.schema.model import Field, SObject
from orgsim.store import Transaction
from orgsim.store.columns import quoted

_KEY = "@key"


def passes(
    frame: pl.DataFrame, column: str, *, save: Save, refusals: Refusals
) -> Iterator[pl.DataFrame]:
    """The frame cut so that no part holds a key twice; same key inside a chunk is refused."""
    keyed = frame.with_columns(
        pl.col(column).str.strip_chars().alias(_KEY),
        (pl.col(ROW) // save.options.chunk_rows).alias("@chunk"),
    )
    if column == "Id":
        keyed = keyed.with_columns(pl.col(_KEY).str.head(15))
    if keyed[_KEY].drop_nulls().is_duplicated().any():
        keyed = _without_collisions(keyed, column, refusals)
    named = pl.col(_KEY).is_not_null() & (pl.col(_KEY) != SET_NULL)
    order = pl.when(named).then(pl.int_range(pl.len()).over(_KEY)).otherwise(0)
    keyed = keyed.with_columns(order.alias("@pass"))
    last = keyed["@pass"].max() if len(keyed) else None
    for number in range(int(str(last)) + 1 if last is not None else 0):
        part = keyed if last == 0 else keyed.filter(pl.col("@pass") == number)
        yield part.drop(_KEY, "@chunk", "@pass")


def _without_collisions(keyed: pl.DataFrame, column: str, refusals: Refusals) -> pl.DataFrame:
    named = pl.col(_KEY).is_not_null() & (pl.col(_KEY) != SET_NULL)
    twice = named & pl.struct(_KEY, "@chunk").is_duplicated()
    what = "Duplicate id specified" if column == "Id" else "Duplicate external id specified"
    for row, value in keyed.filter(twice).select(ROW, column).iter_rows():
        refusals.add(row, Refusal("DUPLICATE_VALUE", f"{what}: {value}", (column,)))
    return keyed.filter(~twice)


def upsert_rows(
    save: Save,
    transaction: Transaction,
    *,
    sobject: SObject,
    key_name: str,
    frame: pl.DataFrame,
    refusals: Refusals,
) -> pl.DataFrame:
    """Updates by key, inserts the rest; returns ``saved``.

    Raises:
        UnknownFieldError: the key is no field, or neither external id nor idLookup.
    """
    visible = save.schema.sobject(sobject.name) or sobject
    key = visible.field(key_name)
    if key is None or not (key.external_id or key.id_lookup):
        raise UnknownFieldError(key_name, sobject.name)
    column = next((one for one in frame.columns if one.lower() == key.name.lower()), None)
    if column is None:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(key.name))
    elif column != key.name:
        frame = frame.rename({column: key.name})
    made = []
    for part in passes(_folded(frame, key), key.name, save=save, refusals=refusals):
        made += _one_pass(save, transaction, sobject=sobject, key=key, frame=part,
                          refusals=refusals)  # fmt: skip
    if made:
        return pl.concat(made)
    return saved_rows(pl.Series(dtype=pl.UInt32), pl.Series(dtype=pl.String), created=False)


def _folded(frame: pl.DataFrame, key: Field) -> pl.DataFrame:
    return frame.with_columns(pl.col(key.name).str.strip_chars())


def _one_pass(
    save: Save,
    transaction: Transaction,
    *,
    sobject: SObject,
    key: Field,
    frame: pl.DataFrame,
    refusals: Refusals,
) -> list[pl.DataFrame]:
    matched = _matched(transaction, sobject, key, frame)
    many = matched.filter(pl.col("hits") > 1)
    for row, ids in many.select(ROW, "ids").iter_rows():
        text = f"{key.name}: more than one record found for external id field: {ids}"
        refusals.add(row, Refusal("DUPLICATE_EXTERNAL_ID", text))
    one = matched.filter(pl.col("hits") == 1).select(ROW, pl.col("Id").alias("@found"))
    old = frame.join(one, on=ROW, how="inner", maintain_order="left")
    new = frame.filter(~pl.col(ROW).is_in(matched[ROW].implode()))
    made = []
    if len(old):
        changed = old.drop(key.name, *(["Id"] if "Id" in old.columns and key.name != "Id" else []))
        made.append(update_rows(save, transaction, sobject=sobject, refusals=refusals,
                                frame=changed.rename({"@found": "Id"})))  # fmt: skip
    if len(new):
        made += _insert(save, transaction, sobject=sobject, key=key, frame=new, refusals=refusals)
    return made


def _insert(
    save: Save,
    transaction: Transaction,
    *,
    sobject: SObject,
    key: Field,
    frame: pl.DataFrame,
    refusals: Refusals,
) -> list[pl.DataFrame]:
    if save.options.update_only:
        text = Refusal("NOT_FOUND", "The requested resource does not exist")
        refusals.all(frame[ROW].to_list(), text)
        return []
    if key.name == "Id":
        named = frame.filter(pl.col("Id").is_not_null() & (pl.col("Id") != SET_NULL))
        gone = Refusal("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        refusals.all(named[ROW].to_list(), gone)
        frame = frame.filter(~pl.col(ROW).is_in(named[ROW].implode())).drop("Id")
    if not len(frame):
        return []
    return [insert_rows(save, transaction, sobject=sobject, frame=frame, refusals=refusals)]


def _matched(
    transaction: Transaction, sobject: SObject, key: Field, frame: pl.DataFrame
) -> pl.DataFrame:
    """``@row``, hits, Id (any), ids (all, as text) of the rows whose key is stored."""
    parsed = parse_column(frame[key.name], key).values
    offered = pl.DataFrame({ROW: frame[ROW], "k": parsed}).drop_nulls("k")
    left, right = f"t.{quoted(key.name)}", "c.k"
    if key.type in ("string", "email") and not key.case_sensitive:
        left, right = f"lower({left})", f"lower({right})"
    sql = (
        f'SELECT c."@row", count(*) AS hits, min(t.Id) AS "Id", list(t.Id)::VARCHAR AS ids '
        f"FROM offered c JOIN {quoted(sobject.name)} t ON {left} = {right} "
        "WHERE NOT t.IsDeleted GROUP BY 1"
    )
    with transaction.lent(offered=offered):
        return transaction.frame(sql).with_columns(pl.col(ROW).cast(pl.UInt32))
