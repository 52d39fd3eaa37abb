"""Recomputes roll-up summaries of the parents whose children changed, and saves those parents
again.

The parent's new sum counts as an edit of the parent: it is stamped, its validation rules run, and
where one refuses, the child rows that caused it are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from orgsim.dml.formulas import compiled
from orgsim.dml.late import LateRefusalsError
from orgsim.dml.outcomes import Refusal, Refusals
from orgsim.dml.rules import check_validation
from orgsim.dml.save import Save
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.model import Field, RollUp, Schema, SObject
from orgsim.store import Transaction
from orgsim.store.columns import quoted


def recompute(staged: Staged) -> None:
    """Brings every roll-up that counts rows of this object up to date."""
    for parent, field, rollup in rolling_up(staged.save.full, staged.sobject):
        via = staged.sobject.fields[rollup.via].name
        if not staged.has(via):
            continue
        columns = [via] + ([f"@old.{via}"] if f"@old.{via}" in staged.frame.columns else [])
        parents = pl.concat([staged.frame[name] for name in columns]).drop_nulls().unique()
        changed = refresh(staged.save, staged.transaction, parent=parent, field=field,
                          rollup=rollup, parents=parents)  # fmt: skip
        _save_again(staged, parent, via, changed)


def rolling_up(schema: Schema, child: SObject) -> Iterator[tuple[SObject, Field, RollUp]]:
    """The roll-up fields, on any parent, that read rows of ``child``."""
    for name in {one for field in child.fields.values() for one in field.reference_to}:
        parent = schema.sobject(name)
        for field in parent.fields.values() if parent else ():
            if parent and field.rollup and field.rollup.child.lower() == child.name.lower():
                yield parent, field, field.rollup


def refresh(
    save: Save,
    transaction: Transaction,
    *,
    parent: SObject,
    field: Field,
    rollup: RollUp,
    parents: pl.Series,
) -> pl.DataFrame:
    """Recomputes one roll-up of the given parents; returns Id of those whose value changed."""
    child = save.full.sobjects[rollup.child]
    column = quoted(field.name)
    sql = f"""
      SELECT p.Id, {_aggregate(rollup)} AS v, any_value(p.old) AS old
      FROM (SELECT t.Id, t.{column} AS old FROM {quoted(parent.name)} t
            SEMI JOIN "@parents" w ON w.Id = t.Id) p
      LEFT JOIN {quoted(child.name)} c ON c.{quoted(rollup.via)} = p.Id AND NOT c.IsDeleted
        {_condition(save, child, rollup)}
      GROUP BY p.Id HAVING v IS DISTINCT FROM any_value(p.old)
    """
    with transaction.lent(**{"@parents": pl.DataFrame({"Id": parents})}):
        changed = transaction.frame(sql)
    if len(changed):
        transaction.touched.add(parent.name)
        with transaction.lent(**{"@changed": changed}):
            transaction.cursor.execute(
                f"UPDATE {quoted(parent.name)} AS t SET {column} = c.v, LastModifiedDate = $1, "
                'SystemModstamp = $1, LastModifiedById = $2 FROM "@changed" c WHERE t.Id = c.Id',
                [save.stamp, save.user_id],
            )
    return changed.select("Id")


def _aggregate(rollup: RollUp) -> str:
    if rollup.function == "count":
        return "count(c.Id)"
    column = f"c.{quoted(str(rollup.field))}"
    if rollup.function == "sum":
        return f"coalesce(sum({column}), 0)"
    return f"{rollup.function}({column})"


def _condition(save: Save, child: SObject, rollup: RollUp) -> str:
    if not rollup.where:
        return ""
    return f"AND ({compiled(rollup.where, child, save.full, row='c').sql})"


def _save_again(staged: Staged, parent: SObject, via: str, changed: pl.DataFrame) -> None:
    """Runs the parent's rules over its new values, and the roll-ups above it."""
    if not len(changed):
        return
    again = stored_rows(staged.save, staged.transaction, parent, changed["Id"])
    check_validation(again)
    refused = {again.frame["Id"][at]: again.refusals.by_row[row][0]
               for at, row in enumerate(again.frame[ROW].to_list())
               if row in again.refusals}  # fmt: skip
    if refused:
        causing = staged.frame.filter(pl.col(via).is_in(list(refused))).select(ROW, via)
        raise LateRefusalsError([(row, _above(refused[one])) for row, one in causing.iter_rows()])
    recompute(again)


def _above(reason: Refusal) -> Refusal:
    return Refusal(reason.code, reason.message, reason.fields)


def stored_rows(save: Save, transaction: Transaction, sobject: SObject, ids: pl.Series) -> Staged:
    """Stored rows staged as an update that gives nothing: old values equal the new ones."""
    staged = Staged(save, transaction, sobject=sobject, inserting=False, refusals=Refusals())
    with transaction.lent(**{"@ids": pl.DataFrame({"Id": ids})}):
        rows = transaction.frame(
            f'SELECT t.* FROM {quoted(sobject.name)} t SEMI JOIN "@ids" w ON w.Id = t.Id'
        )
    staged.frame = rows.with_row_index(ROW)
    return staged
