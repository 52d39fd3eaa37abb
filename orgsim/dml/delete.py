"""Deletes rows and what hangs on them; brings them back from the recycle bin.

A delete marks the row and every row that a cascading relationship ties to it, clears the other
lookups that point there, and refuses where a restricting one does. ``@deleted`` remembers what went
together (``root``), ``@cleared`` which lookups were emptied, so that undelete restores both. Rows
of objects without a recycle bin, and hard deletes, leave the table at once.
"""

from __future__ import annotations

import polars as pl

from orgsim.dml import totals
from orgsim.dml.outcomes import Refusal, Refusals
from orgsim.dml.save import Save
from orgsim.schema.model import ChildRelationship, SObject
from orgsim.store import Transaction
from orgsim.store.columns import quoted


def delete_rows(
    save: Save,
    transaction: Transaction,
    *,
    sobject: SObject,
    frame: pl.DataFrame,
    refusals: Refusals,
    hard: bool = False,
) -> pl.DataFrame:
    """Deletes the rows of ``frame`` (``@row``, ``Id``) that may go; returns those."""
    _check_standing(transaction, sobject, frame, refusals)
    frame = _without(frame, refusals)
    _check_guarded(transaction, sobject, frame, refusals)
    frame = _without(frame, refusals)
    _check_restricted(save, transaction, sobject=sobject, frame=frame, refusals=refusals)
    frame = _without(frame, refusals)
    if len(frame) and not (save.options.all_or_none and refusals):
        doomed = frame.select("Id", pl.col("Id").alias("root"))
        _sweep(save, transaction, sobject=sobject, doomed=doomed, hard=hard)
    return frame


def _without(frame: pl.DataFrame, refusals: Refusals) -> pl.DataFrame:
    return frame.filter(~pl.col("@row").is_in(list(refusals.by_row)))


def _check_standing(
    transaction: Transaction, sobject: SObject, frame: pl.DataFrame, refusals: Refusals
) -> None:
    sql = (
        'SELECT w."@row", t.Id IS NULL, t.IsDeleted FROM wanted w LEFT JOIN '
        f"{quoted(sobject.name)} t "
        "ON t.Id = w.Id WHERE t.Id IS NULL OR t.IsDeleted"
    )
    with transaction.lent(wanted=frame):
        rows = transaction.cursor.execute(sql).fetchall()
    for row, missing, _ in rows:
        code = "INVALID_CROSS_REFERENCE_KEY" if missing else "ENTITY_IS_DELETED"
        text = "invalid cross reference id" if missing else "entity is deleted"
        refusals.add(row, Refusal(code, text))


#: Rows that go only with another one, or never: object → (condition, why).
_GUARDED = {
    "Contact": ("IsPersonAccount", "A person contact is deleted with its account"),
    "Pricebook2": ("IsStandard", "The standard price book cannot be deleted"),
    "AccountContactRelation": ("IsDirect", "A direct relationship goes with the contact's account"),
}


def _check_guarded(
    transaction: Transaction, sobject: SObject, frame: pl.DataFrame, refusals: Refusals
) -> None:
    column, why = _GUARDED.get(sobject.name, ("", ""))
    if not sobject.field(column):
        return
    with transaction.lent(wanted=frame):
        rows = transaction.cursor.execute(
            f'SELECT w."@row" FROM wanted w JOIN {quoted(sobject.name)} t ON t.Id = w.Id '
            f"WHERE t.{quoted(column)}"
        ).fetchall()
    refusals.all([row for (row,) in rows], Refusal("DELETE_FAILED", why))


def _check_restricted(
    save: Save,
    transaction: Transaction,
    *,
    sobject: SObject,
    frame: pl.DataFrame,
    refusals: Refusals,
) -> None:
    for child in sobject.children:
        other = save.full.sobject(child.child_sobject)
        if not child.restricted_delete or other is None:
            continue
        sql = (
            f"SELECT w.\"@row\", string_agg(c.Id, ', ') FROM wanted w JOIN {quoted(other.name)} c "
            f"ON c.{quoted(child.field)} = w.Id WHERE NOT c.IsDeleted GROUP BY 1"
        )
        with transaction.lent(wanted=frame):
            for row, ids in transaction.cursor.execute(sql).fetchall():
                what = str(other.attributes["labelPlural"]).lower()
                refusals.add(row, Refusal("DELETE_FAILED", (
                    "Your attempt to delete this record could not be completed because it is "
                    f"associated with the following {what}.: {ids}")))  # fmt: skip


def _sweep(
    save: Save, transaction: Transaction, *, sobject: SObject, doomed: pl.DataFrame, hard: bool
) -> None:
    """Removes ``doomed`` (Id, root) of one object, its children first."""
    for child in sobject.children:
        other = save.full.sobject(child.child_sobject)
        if other is None or child.field == "MasterRecordId":
            continue
        if child.cascade_delete:
            _cascade(save, transaction, child=child, other=other, doomed=doomed, hard=hard)
        elif not child.restricted_delete:
            _clear(save, transaction, child=child, other=other, doomed=doomed)
    _remove(save, transaction, sobject=sobject, doomed=doomed, hard=hard)


def _cascade(
    save: Save,
    transaction: Transaction,
    *,
    child: ChildRelationship,
    other: SObject,
    doomed: pl.DataFrame,
    hard: bool,
) -> None:
    sql = (
        f"SELECT c.Id, any_value(d.root) AS root FROM doomed d JOIN {quoted(other.name)} c "
        f"ON c.{quoted(child.field)} = d.Id WHERE NOT c.IsDeleted GROUP BY c.Id"
    )
    with transaction.lent(doomed=doomed):
        found = transaction.frame(sql)
    found = found.filter(~pl.col("Id").is_in(doomed["Id"].implode()))
    if len(found):
        _sweep(save, transaction, sobject=other, doomed=found, hard=hard)


def _clear(
    save: Save,
    transaction: Transaction,
    *,
    child: ChildRelationship,
    other: SObject,
    doomed: pl.DataFrame,
) -> None:
    column = quoted(child.field)
    field = other.field(child.field)
    if field is None or not field.nillable:
        return
    found = (
        f"SELECT d.root, ? AS sobject, c.Id, ? AS field, d.Id AS was FROM doomed d "
        f"JOIN {quoted(other.name)} c ON c.{column} = d.Id WHERE NOT c.IsDeleted"
    )
    with transaction.lent(doomed=doomed):
        cleared = transaction.frame(found, [other.name, child.field])
        if not len(cleared):
            return
    with transaction.lent(cleared=cleared):
        transaction.cursor.execute('INSERT INTO "@cleared" SELECT * FROM cleared')
        transaction.cursor.execute(
            f"UPDATE {quoted(other.name)} AS t SET {column} = NULL, SystemModstamp = ? "
            "FROM cleared c WHERE t.Id = c.Id",
            [save.stamp],
        )


def _remove(
    save: Save, transaction: Transaction, *, sobject: SObject, doomed: pl.DataFrame, hard: bool
) -> None:
    transaction.touched.add(sobject.name)
    gone = hard or not sobject.undeletable
    table = quoted(sobject.name)
    summed = totals.concerned(save.full, transaction, sobject=sobject, rows=doomed)
    with transaction.lent(doomed=doomed):
        transaction.cursor.execute(
            'INSERT INTO "@deleted" SELECT ?, Id, ?, root, ? FROM doomed',
            [sobject.name, save.stamp, gone],
        )
        if gone:
            transaction.cursor.execute(f"DELETE FROM {table} WHERE Id IN (SELECT Id FROM doomed)")
        else:
            transaction.cursor.execute(
                f"UPDATE {table} SET IsDeleted = true, LastModifiedDate = $1, SystemModstamp = $1, "
                "LastModifiedById = $2 WHERE Id IN (SELECT Id FROM doomed)",
                [save.stamp, save.user_id],
            )
    totals.renew(save, transaction, sobject=sobject, parents=summed)


def undelete_rows(
    save: Save,
    transaction: Transaction,
    *,
    sobject: SObject,
    frame: pl.DataFrame,
    refusals: Refusals,
) -> pl.DataFrame:
    """Brings rows of ``frame`` (``@row``, ``Id``) back with everything that was deleted with
    them."""
    with transaction.lent(wanted=frame):
        rows = transaction.cursor.execute(
            f'SELECT w."@row" FROM wanted w ANTI JOIN (SELECT Id FROM {quoted(sobject.name)} '
            "WHERE IsDeleted) t ON t.Id = w.Id"
        ).fetchall()
    for (row,) in rows:
        text = "Entity is not in the recycle bin"
        refusals.add(row, Refusal("UNDELETE_FAILED", text))
    frame = _without(frame, refusals)
    if len(frame) and not (save.options.all_or_none and refusals):
        _restore(save, transaction, roots=frame.select("Id"))
    return frame


def _restore(save: Save, transaction: Transaction, *, roots: pl.DataFrame) -> None:
    with transaction.lent(roots=roots):
        back = transaction.frame(
            'SELECT sobject, id AS "Id" FROM "@deleted" WHERE root IN (SELECT Id FROM '
            "roots) AND NOT gone"
        )
        cleared = transaction.frame(
            'SELECT sobject, id AS "Id", field, was FROM "@cleared" WHERE root IN '
            "(SELECT Id FROM roots)"
        )
        transaction.cursor.execute(
            'DELETE FROM "@deleted" WHERE root IN (SELECT Id FROM roots) AND NOT gone'
        )
        transaction.cursor.execute('DELETE FROM "@cleared" WHERE root IN (SELECT Id FROM roots)')
    for (name,), group in back.group_by("sobject"):
        transaction.touched.add(str(name))
        with transaction.lent(back=group):
            transaction.cursor.execute(
                f"UPDATE {quoted(str(name))} SET IsDeleted = false, SystemModstamp = $1, "
                "LastModifiedDate = $1, LastModifiedById = $2 WHERE Id IN (SELECT Id FROM back)",
                [save.stamp, save.user_id],
            )
        target = save.full.sobjects[str(name)]
        summed = totals.concerned(save.full, transaction, sobject=target, rows=group)
        totals.renew(save, transaction, sobject=target, parents=summed)
    for (name, field), group in cleared.group_by("sobject", "field"):
        column = quoted(str(field))
        with transaction.lent(cleared=group):
            transaction.cursor.execute(
                f"UPDATE {quoted(str(name))} AS t SET {column} = c.was FROM cleared c "
                f"WHERE t.Id = c.Id AND t.{column} IS NULL"
            )
