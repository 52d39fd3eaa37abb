"""The verbs of the save path: each is one durable transaction over any number of rows.

``frame`` holds text columns named as the caller wrote them; null = not given, ``SET_NULL`` = make
it null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from orgsim.dml import seeding, upserting
from orgsim.dml.delete import delete_rows, undelete_rows
from orgsim.dml.late import LateRefusalsError
from orgsim.dml.outcomes import (
    ROLLED_BACK,
    ROLLED_BACK_MESSAGE,
    Outcomes,
    Refusal,
    Refusals,
    saved_rows,
)
from orgsim.dml.pipeline import insert_rows, update_rows
from orgsim.dml.save import Save
from orgsim.dml.staging import ROW
from orgsim.schema.model import SObject
from orgsim.store import Transaction
from orgsim.store.ids import make_ids, to18

Work = Callable[[Transaction, Refusals], pl.DataFrame]


def insert(save: Save, sobject: str, frame: pl.DataFrame) -> Outcomes:
    """Inserts rows.

    Raises:
        UnknownFieldError: a column names nothing; no row was looked at.
    """
    target = _target(save, sobject)
    numbered = _numbered(frame)
    return _run(save, len(frame), lambda transaction, refusals: insert_rows(
        save, transaction, sobject=target, frame=numbered, refusals=refusals))  # fmt: skip


def update(save: Save, sobject: str, frame: pl.DataFrame) -> Outcomes:
    """Updates rows by the column Id; raises as insert does."""
    target = _target(save, sobject)
    numbered = _numbered(_with_id_column(frame))

    def work(transaction: Transaction, refusals: Refusals) -> pl.DataFrame:
        made = []
        for part in upserting.passes(numbered, "Id", save=save, refusals=refusals):
            made.append(update_rows(save, transaction, sobject=target, frame=part,
                                    refusals=refusals))  # fmt: skip
        return pl.concat(made) if made else _no_rows()

    return _run(save, len(frame), work)


def upsert(save: Save, sobject: str, key_field: str, frame: pl.DataFrame) -> Outcomes:
    """Updates the rows whose key is found, inserts the others; raises as insert does."""
    target = _target(save, sobject)
    numbered = _numbered(frame)
    return _run(save, len(frame), lambda transaction, refusals: upserting.upsert_rows(
        save, transaction, sobject=target, key_name=key_field, frame=numbered,
        refusals=refusals))  # fmt: skip


def delete(save: Save, ids: Sequence[str], *, hard: bool = False) -> Outcomes:
    """Deletes rows of any objects by id; ``hard`` skips the recycle bin."""

    def work(transaction: Transaction, refusals: Refusals) -> pl.DataFrame:
        made = []
        for target, part in _by_sobject(save, ids, refusals):
            made.append(delete_rows(save, transaction, sobject=target, frame=part,
                                    refusals=refusals, hard=hard))  # fmt: skip
        return _saved(made)

    return _run(save, len(ids), work)


def undelete(save: Save, ids: Sequence[str]) -> Outcomes:
    """Brings rows back from the recycle bin."""

    def work(transaction: Transaction, refusals: Refusals) -> pl.DataFrame:
        made = []
        for target, part in _by_sobject(save, ids, refusals):
            made.append(undelete_rows(save, transaction, sobject=target, frame=part,
                                      refusals=refusals))  # fmt: skip
        return _saved(made)

    return _run(save, len(ids), work)


def load(save: Save, sobject: str, frame: pl.DataFrame) -> int:
    """Stores typed or text rows as they are, rules skipped; returns how many. For seeds only.

    Missing Ids and system fields are made; every other column goes in unchanged.
    """
    target = _target(save, sobject)
    with save.store.write() as transaction:
        transaction.touched.add(target.name)
        return seeding.load_rows(save, transaction, sobject=target, frame=frame)


def new_ids(save: Save, sobject: str, count: int) -> pl.Series:
    """Reserves ascending ids of an object; call it inside ``store.write()``."""
    target = _target(save, sobject)
    prefix = target.key_prefix or "000"
    with save.store.write() as transaction:
        first = transaction.take(f"id:{prefix}", count, start=save.first_number(prefix))
    return make_ids(prefix, save.facts.pod, first=first, count=count)


def _target(save: Save, sobject: str) -> SObject:
    """The whole object: the caller's view decides only which columns may be named."""
    found = save.full.sobject(sobject)
    if found is None:
        raise LookupError(sobject)
    return found


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.int_range(len(frame), dtype=pl.UInt32).alias(ROW))


def _with_id_column(frame: pl.DataFrame) -> pl.DataFrame:
    """The Id column under its own spelling, as 18 characters where it is an id at all."""
    named = next((one for one in frame.columns if one.lower() == "id"), None)
    if named is None:
        return frame.with_columns(pl.lit(None, dtype=pl.String).alias("Id"))
    return frame.rename({named: "Id"}) if named != "Id" else frame


def _by_sobject(
    save: Save, ids: Sequence[str], refusals: Refusals
) -> list[tuple[SObject, pl.DataFrame]]:
    rows: dict[str, list[tuple[int, str]]] = {}
    for row, given in enumerate(ids):
        full = to18(given or "")
        target = save.full.by_prefix(full) if full else None
        if full is None or target is None:
            refusals.add(row, Refusal("MALFORMED_ID", f"malformed id {given}"))
        elif not target.deletable:
            refusals.add(
                row,
                Refusal(
                    "INSUFFICIENT_ACCESS_OR_READONLY",
                    f"entity type {target.name} does not support delete",
                ),
            )
        else:
            rows.setdefault(target.name, []).append((row, full))
    return [
        (save.full.sobjects[name],
         pl.DataFrame(part, schema={ROW: pl.UInt32, "Id": pl.String}, orient="row"))
        for name, part in rows.items()
    ]  # fmt: skip


def _saved(parts: list[pl.DataFrame]) -> pl.DataFrame:
    kept = [saved_rows(one[ROW], one["Id"], created=False) for one in parts]
    return pl.concat(kept) if kept else _no_rows()


def _no_rows() -> pl.DataFrame:
    return saved_rows(pl.Series(dtype=pl.UInt32), pl.Series(dtype=pl.String), created=False)


class _UndoneError(Exception):
    """Carries the refusals of an all-or-none save out of the transaction that must not commit."""


def _run(save: Save, rows: int, work: Work) -> Outcomes:
    late: dict[int, list[Refusal]] = {}
    while True:
        refusals = Refusals({row: list(reasons) for row, reasons in late.items()})
        try:
            with save.store.write() as transaction:
                _tell_time(save, transaction)
                saved = work(transaction, refusals)
                if save.options.all_or_none and refusals:
                    raise _UndoneError
                if save.before_commit is not None:
                    save.before_commit(transaction, _outcomes(rows, saved, refusals))
        except LateRefusalsError as error:
            if save.store.in_transaction:
                raise  # only the outermost transaction can be undone and tried again
            # Something after the write refused rows: undo all, save again without them.
            for row, refusal in error.refusals:
                late.setdefault(row, []).append(refusal)
            continue
        except _UndoneError:
            saved = _no_rows()
            others = [row for row in range(rows) if row not in refusals]
            refusals.all(others, Refusal(ROLLED_BACK, ROLLED_BACK_MESSAGE))
        return _outcomes(rows, saved, refusals)


def _outcomes(rows: int, saved: pl.DataFrame, refusals: Refusals) -> Outcomes:
    frozen = {row: tuple(reasons) for row, reasons in sorted(refusals.by_row.items())}
    return Outcomes(rows=rows, saved=saved, refusals=frozen)


def _tell_time(save: Save, transaction: Transaction) -> None:
    """Formulas read the time and the user from these variables."""
    transaction.cursor.execute(f"SET VARIABLE sim_now = TIMESTAMP '{save.stamp}'")
    transaction.cursor.execute(f"SET VARIABLE sim_user = '{save.user_id}'")
