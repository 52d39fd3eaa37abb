"""Parents that somebody deleted meanwhile: an undo gives the rest of the row back without them.

An org refuses a whole row for the sake of one lookup to a deleted record. Had nothing been
written, deleting that record would have emptied the lookup; so empty is what the row gets back,
and the row is named (rule 7.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from core.db.run_state import Failure
from core.domain.soql import in_list
from core.migration.context import RunContext
from core.migration.prepare import BLANK, SOURCE, WAS, Prepared
from core.migration.spec import ID, Step

PARENT_GONE = "UNDO_PARENT_GONE"
#: ids of one question by SOQL, and of one read by id
IDS_A_QUERY, _IDS_A_READ = 200, 2_000


def in_the_bin(run: RunContext, sobject: str, ids: Sequence[str]) -> dict[str, bool]:
    """Whether each record lies in the recycle bin; false for live ones, none for purged ones."""
    found: dict[str, bool] = {}
    for start in range(0, len(ids), IDS_A_QUERY):
        listed = in_list(ids[start : start + IDS_A_QUERY])
        soql = f"SELECT Id, IsDeleted FROM {sobject} WHERE Id IN {listed}"
        for row in run.target.query(soql, all_rows=True):
            found[str(row["Id"])] = bool(row["IsDeleted"])
    return found


def without_deleted(
    run: RunContext, step: Step, made: Prepared, rows: pl.DataFrame, names: Sequence[str]
) -> pl.DataFrame:
    """The rows with former lookups emptied whose record lies in the recycle bin; each is named.

    A record that is neither there nor in the bin may only be hidden from us: it stays, and the org
    says what is wrong with it. Cost: one call per 2,000 different parents and object.

    Args:
        rows: ``SOURCE``, ``target_id`` and, per field of `names`, what it held before (``WAS``).
    """
    lookups = [name for name in names if step.target.fields[name].is_reference]
    if not lookups:
        return rows
    parents = pl.concat([rows.get_column(name + WAS) for name in lookups]).drop_nulls().unique()
    gone = list(_deleted(run, parents.to_list()))
    for name in lookups if gone else ():
        is_gone = pl.col(name + WAS).is_in(gone)
        _name(made, rows.filter(is_gone.fill_null(value=False)), name)
        rows = rows.with_columns(
            pl.when(is_gone).then(pl.lit(BLANK)).otherwise(pl.col(name + WAS)).alias(name + WAS)
        )
    return rows


def _deleted(run: RunContext, ids: Sequence[str]) -> Iterator[str]:
    for sobject, listed in run.target.describes.by_object(ids).items():
        for start in range(0, len(listed), _IDS_A_READ):
            part = listed[start : start + _IDS_A_READ]
            there = run.target.retrieve(sobject, part, [ID])
            missing = [one for one in part if one not in there]
            yield from (one for one, lies in in_the_bin(run, sobject, missing).items() if lies)


def _name(made: Prepared, rows: pl.DataFrame, name: str) -> None:
    message = f"The record that {name} named before was deleted since; the lookup is left empty."
    made.totals["lookups_left_blank"] += rows.height
    for source_id, target_id in rows.select(SOURCE, "target_id").iter_rows():
        made.failures.append(
            Failure("left_blank", PARENT_GONE, message, source_id, target_id, fields=(name,))
        )
