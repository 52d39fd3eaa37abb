"""Merges records: the losers' children move to the winner, the losers point at it by
MasterRecordId."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from orgsim.dml.delete import delete_rows
from orgsim.dml.outcomes import Refusals
from orgsim.dml.save import Save
from orgsim.schema.model import ChildRelationship, SObject
from orgsim.store import Transaction
from orgsim.store.columns import quoted
from orgsim.store.rows import first_row

#: Objects that merge. Source: SOAP API guide, merge().
MERGEABLE = frozenset({"Account", "Contact", "Lead", "Case"})


class MergeError(ValueError):
    """The merge is not possible; nothing was changed."""


def merge(save: Save, *, winner: str, losers: Sequence[str]) -> list[str]:
    """Merges at most two losers into the winner, durably; returns the ids of the children that
    moved.

    Raises:
        MergeError: wrong objects, or rows that are not there.
    """
    sobject = save.full.by_prefix(winner)
    same = sobject is not None and all(save.full.by_prefix(one) is sobject for one in losers)
    if sobject is None or not same or sobject.name not in MERGEABLE:
        raise MergeError("invalid record type")
    if winner in losers or not 1 <= len(losers) <= 2:
        raise MergeError("a merge takes one or two other records")
    with save.store.write() as transaction:
        _check_there(transaction, sobject, [winner, *losers])
        frame = pl.DataFrame({"Id": list(losers)})
        moved: list[str] = []
        for child in sobject.children:
            if child.field != "MasterRecordId":
                moved += _move(save, transaction, child=child, losers=frame, winner=winner)
        numbered = frame.with_row_index("@row")
        refusals = Refusals()
        delete_rows(save, transaction, sobject=sobject, frame=numbered, refusals=refusals)
        if refusals:
            raise MergeError(next(iter(refusals.by_row.values()))[0].message)
        with transaction.lent(losers=frame):
            transaction.cursor.execute(
                f"UPDATE {quoted(sobject.name)} SET MasterRecordId = ? "
                "WHERE Id IN (SELECT Id FROM losers)", [winner],
            )  # fmt: skip
        _stamp(save, transaction, sobject, winner)
    return moved


def _check_there(transaction: Transaction, sobject: SObject, ids: list[str]) -> None:
    marks = ", ".join("?" * len(ids))
    sql = f"SELECT count(*) FROM {quoted(sobject.name)} WHERE NOT IsDeleted AND Id IN ({marks})"
    row = first_row(transaction.cursor.execute(sql, ids))
    if row is None or row[0] != len(ids):
        raise MergeError("entity is deleted")


def _move(
    save: Save,
    transaction: Transaction,
    *,
    child: ChildRelationship,
    losers: pl.DataFrame,
    winner: str,
) -> list[str]:
    other = save.full.sobject(child.child_sobject)
    if other is None:
        return []
    transaction.touched.add(other.name)
    table, column = quoted(other.name), quoted(child.field)
    with transaction.lent(losers=losers):
        found = transaction.frame(
            f"SELECT Id FROM {table} WHERE {column} IN (SELECT Id FROM losers) AND NOT IsDeleted"
        )
    with transaction.lent(moved=found):
        transaction.cursor.execute(
            f"UPDATE {table} SET {column} = ?, SystemModstamp = ? WHERE Id IN (SELECT Id "
            "FROM moved)",
            [winner, save.stamp],
        )
    return found["Id"].to_list()


def _stamp(save: Save, transaction: Transaction, sobject: SObject, record_id: str) -> None:
    transaction.cursor.execute(
        f"UPDATE {quoted(sobject.name)} SET LastModifiedDate = $1, SystemModstamp = $1, "
        "LastModifiedById = $2 WHERE Id = $3",
        [save.stamp, save.user_id, record_id],
    )
