"""Taking a run's writes back: made records are deleted, changed fields get their former values,
deleted records leave the recycle bin (rules 7.1–7.3).

    what the run wrote (its own pages) ─┐
    the target as it is now ────────────┼─▶ as we left it: deleted, restored, brought back
    children that others made ──────────┘   changed since, or with such children: a conflict, left
    alone

Objects go in the reverse of the loading order, so children leave before their parents. Adopted and
matched records are never deleted: the run did not make them. What a hard delete, an activation or
an e-mail did stays done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from core.db.run_state import Failure, NewChunk, RunStore, StepRow
from core.domain.describe import ChildRelationship
from core.domain.normalise import equal_expr
from core.domain.soql import in_list
from core.errors import RefusedError
from core.migration.before import spelt, target_rows
from core.migration.chunks import COLLECTION_ROWS, plan_chunks
from core.migration.context import RunContext
from core.migration.load import Lane
from core.migration.prepare import (
    BLANK,
    ENGINE_COLUMNS,
    FOUND,
    HASH,
    LAST,
    READ,
    SOURCE,
    TARGET,
    TOUCHED,
    WAS,
    Prepared,
    row_hash,
)
from core.migration.settle import UNDO
from core.migration.spec import ID, Step
from core.migration.undo_parents import IDS_A_QUERY, in_the_bin, without_deleted
from core.migration.written import Written
from core.spool import RunSpool

#: records that are looked at together: read by id, so that memory stays bounded
_ROWS_AT_ONCE = 10_000


@dataclass(slots=True)
class _Plan:
    """What is to be done with the records of one mapping."""

    made: Prepared = field(default_factory=lambda: Prepared(totals=Counter()))
    undeletes: list[pl.DataFrame] = field(default_factory=list)
    #: records that no undo brings back
    hopeless: int = 0

    def figures(self) -> dict[str, int]:
        """As the run's buckets keep it."""
        return {
            "delete": sum(frame.height for frame in self.made.deletes),
            "restore": sum(frame.height for frame in self.made.updates),
            "undelete": sum(frame.height for frame in self.undeletes),
            "conflict": self.made.totals["blocked"] - self.hopeless,
            "cannot": self.hopeless,
            "gone": self.made.totals["skipped"],
        }


def undo_step(
    run: RunContext,
    step: Step,
    row: StepRow,
    *,
    parent: RunStore,
    spool: RunSpool,
    links: pl.DataFrame,
) -> None:
    """Takes back what a run wrote of one mapping; goes on where an earlier worker stopped.

    Args:
        parent: memory of the run that is undone; `spool` its pages.
        links: the mapping's part of the ledger as it is now.
    """
    lane = Lane(run, step, UNDO)
    try:
        lane.add(run.store.chunks(row.id))
        if not row.cursor.get("planned"):
            plan = _planned(run, step, Written(parent, spool, step), links=links)
            chunks = _chunks(run, step, plan) if run.writes else []
            totals = plan.made.totals
            if not run.writes:
                totals["updated"] += plan.made.rows + sum(f.height for f in plan.undeletes)
            with run.store.commit(of_run=True) as commit:
                commit.step(row.id, totals=totals, cursor={"planned": True})
                commit.failures(row.id, plan.made.failures)
                commit.buckets({step.name: plan.figures()})
                planned = commit.add_chunks(row.id, chunks)
            lane.add(planned)
        lane.drain()
    finally:
        lane.close()


def _chunks(run: RunContext, step: Step, plan: _Plan) -> list[NewChunk]:
    chunks = plan_chunks(step, plan.made, run.spool, name="undo")
    if plan.undeletes:
        rows = pl.concat(plan.undeletes)
        for number, start in enumerate(range(0, rows.height, COLLECTION_ROWS)):
            part, page = rows.slice(start, COLLECTION_ROWS), f"load/{step.name}/back-{number:05d}"
            run.spool.write(page, part)
            chunks.append(NewChunk("collections", "undelete", part.height, page))
    return chunks


def _planned(run: RunContext, step: Step, written: Written, *, links: pl.DataFrame) -> _Plan:
    plan = _Plan()
    leaving = _Leaving(run, step)
    for rows in _parts(run, written.made()):
        _deletes(run, step, plan.made, rows, links=links, leaving=leaving)
    leaving.keep()
    for rows in _parts(run, written.changed()):
        _restores(run, step, plan, rows, written=written, leaving=leaving)
    for for_good, rows in written.deleted():
        run.pulse.check()
        _bring_back(run, step, plan, rows, for_good=for_good)
    return plan


def _parts(run: RunContext, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for frame in frames:
        for start in range(0, frame.height, _ROWS_AT_ONCE):
            run.pulse.check()
            yield frame.slice(start, _ROWS_AT_ONCE)


class _Leaving:
    """Ids of records that this undo deletes, of every mapping that was planned before."""

    def __init__(self, run: RunContext, step: Step) -> None:
        self._run = run
        self._page = f"leaving/{step.name}"
        folder = [run.spool.read(name) for name in run.spool.names("leaving")]
        self.ids: set[str] = {record for page in folder for record in page.get_column(ID)}
        self._own: list[str] = []

    def add(self, ids: list[str]) -> None:
        """Notes records of this mapping."""
        self._own += ids
        self.ids.update(ids)

    def keep(self) -> None:
        """Stores them for the parents' mappings, whoever looks at those."""
        self._run.spool.write(self._page, pl.DataFrame({ID: self._own}, schema={ID: pl.String}))


def _deletes(
    run: RunContext,
    step: Step,
    made: Prepared,
    rows: pl.DataFrame,
    *,
    links: pl.DataFrame,
    leaving: _Leaving,
) -> None:
    made.totals["read_rows"] += rows.height
    sent = [n for n in rows.columns if n in step.target.fields and n != ID]
    read = list(dict.fromkeys((*step.columns, *sent)))
    blank = [n for n in read if n not in sent]
    rows = rows.with_columns(pl.lit(None, pl.String).alias(n) for n in blank)
    now = target_rows(run.target, step, rows.get_column("target_id"), read)
    hashes = row_hash(step, spelt(step, now.select(list(step.columns))))
    state = now.with_columns(hashes.alias("#now")).rename({ID: "target_id"})
    known = links.select(pl.col("source_id").alias(SOURCE), "target_id", "found_hash")
    both = rows.join(state, on="target_id", how="left", suffix="#now").join(
        known, on=[SOURCE, "target_id"], how="left"
    )
    gone = both.get_column("#now").is_null()
    made.totals["skipped"] += int(gone.sum())
    both = both.filter(~gone)
    as_found = (pl.col("#now") == pl.col("found_hash")).fill_null(value=False)
    as_left = ~(_moved(step, sent, leaving) | _filled(step, read)) | as_found
    changed = both.filter(~as_left)
    _conflict(made, changed, "UNDO_CHANGED", "The record was changed after the run wrote it.")
    both = both.filter(as_left)
    ids = both.get_column("target_id").to_list()
    theirs = _with_children_of_others(run, step, ids, leaving.ids | set(ids))
    others = pl.col("target_id").is_in(list(theirs))
    message = "Deleting the record would delete records that this run did not make."
    _conflict(made, both.filter(others), "UNDO_CHILDREN", message)
    both = both.filter(~others)
    leaving.add(both.get_column("target_id").to_list())
    if both.height:
        made.deletes.append(_engine(both).with_columns(Id=pl.col(TARGET)))


def _restores(
    run: RunContext,
    step: Step,
    plan: _Plan,
    rows: pl.DataFrame,
    *,
    written: Written,
    leaving: _Leaving,
) -> None:
    made = plan.made
    made.totals["read_rows"] += rows.height
    sent = [n for n in rows.columns if n in step.target.fields and n != ID]
    rows = written.with_former(rows, sent)
    kept = [n for n in sent if n + WAS in rows.columns]
    now = target_rows(run.target, step, rows.get_column("target_id"), sent)
    there = now.with_columns(pl.lit(value=True).alias("#there"))
    both = rows.join(there, left_on="target_id", right_on=ID, how="left", suffix="#now")
    made.totals["skipped"] += int(both.get_column("#there").is_null().sum())
    both = both.filter(pl.col("#there"))
    moved = _moved(step, sent, leaving)
    _conflict(
        made, both.filter(moved), "UNDO_CHANGED", "A field was changed after the run wrote it."
    )
    both = both.filter(~moved)
    unknown = pl.any_horizontal(
        pl.lit(value=False), *(pl.col(n).is_not_null() for n in sent if n not in kept)
    )
    message = "Nothing was kept of what the record held before."
    plan.hopeless += _conflict(made, both.filter(unknown), "UNDO_UNKNOWN", message)
    both = both.filter(~unknown)
    if both.height:
        both = without_deleted(run, step, made, both, kept)
        former = [
            pl.when(pl.col(n).is_not_null()).then(pl.col(n + WAS).fill_null(BLANK)).alias(n)
            for n in kept
            if step.target.fields[n].updateable
        ]
        made.updates.append(
            _engine(both).hstack(both.select(former)).with_columns(Id=pl.col(TARGET))
        )


def _moved(step: Step, sent: list[str], leaving: _Leaving) -> pl.Expr:
    """Whether a field that was sent holds something else now (rule 7.1).

    A lookup that the org emptied because this very undo deleted its parent was moved by us.
    """
    gone = pl.lit(pl.Series(sorted(leaving.ids), dtype=pl.String)).implode()
    moved = [pl.lit(value=False)]
    for name in sent:
        field, now = step.target.fields[name], pl.col(f"{name}#now")
        asked = pl.when(pl.col(name) != BLANK).then(pl.col(name))
        differs = pl.col(name).is_not_null() & ~equal_expr(field, asked, now)
        if field.is_reference and leaving.ids:
            differs &= ~(now.is_null() & pl.col(name).is_in(gone))
        moved.append(differs)
    return pl.any_horizontal(moved)


def _filled(step: Step, names: list[str]) -> pl.Expr:
    """Whether a field that we left blank on a record that we made holds something now (rule 7.1).

    What the org fills in by itself when a record is made tells nothing of a person.
    """
    filled = [pl.lit(value=False)]
    for name in names:
        field, left = step.target.fields[name], pl.col(name)
        if not field.defaulted_on_create:
            filled.append(left.is_null() & ~equal_expr(field, left, pl.col(f"{name}#now")))
    return pl.any_horizontal(filled)


def _bring_back(
    run: RunContext, step: Step, plan: _Plan, rows: pl.DataFrame, *, for_good: bool
) -> None:
    """Deleted records come back from the recycle bin; what is not in it stays gone (rule 7.3)."""
    made = plan.made
    made.totals["read_rows"] += rows.height
    if for_good:
        message = "The record was deleted for good; nothing brings it back."
        plan.hopeless += _conflict(made, rows, "UNDO_HARD_DELETE", message)
        return
    bin_of = in_the_bin(run, step.target.name, rows.get_column("target_id").to_list())
    told = rows.with_columns(
        pl.col("target_id")
        .replace_strict(bin_of, default=None, return_dtype=pl.Boolean)
        .alias("bin")
    )
    made.totals["skipped"] += int((~told.get_column("bin")).sum() or 0)
    message = "The record is no longer in the recycle bin."
    purged = told.filter(pl.col("bin").is_null())
    plan.hopeless += _conflict(made, purged, "UNDO_PURGED", message)
    back = told.filter(pl.col("bin"))
    if back.height:
        plan.undeletes.append(_engine(back).with_columns(Id=pl.col(TARGET)))


def _engine(rows: pl.DataFrame) -> pl.DataFrame:
    n = rows.height
    return pl.DataFrame(
        {
            SOURCE: rows.get_column(SOURCE),
            TARGET: rows.get_column("target_id"),
            HASH: pl.Series([None] * n, dtype=pl.Int64),
            TOUCHED: pl.Series(np.zeros(n, dtype=np.bool_)),
            LAST: pl.Series([None] * n, dtype=pl.Int64),
            FOUND: pl.Series(np.zeros(n, dtype=np.int64)),
            READ: pl.Series([None] * n, dtype=pl.Int64),
        }
    ).select(ENGINE_COLUMNS)


def _conflict(made: Prepared, rows: pl.DataFrame, code: str, message: str) -> int:
    made.totals["blocked"] += rows.height
    for source_id, target_id in rows.select(SOURCE, "target_id").iter_rows():
        made.failures.append(Failure("blocked", code, message, source_id, target_id))
    return rows.height


def _with_children_of_others(
    run: RunContext, step: Step, ids: list[str], leaving: set[str]
) -> set[str]:
    """Records among these whose deletion would take children along (rule 7.2).

    Children that the run itself made are leaving: their objects were undone before.
    """
    found: set[str] = set()
    for child in step.target.child_relationships:
        if child.cascade_delete and child.relationship_name:
            for start in range(0, len(ids), IDS_A_QUERY):
                found |= _parents_of(run, child, ids[start : start + IDS_A_QUERY], leaving)
    return found


def _parents_of(
    run: RunContext, child: ChildRelationship, ids: list[str], leaving: set[str]
) -> set[str]:
    listed = in_list(ids)
    soql = f"SELECT Id, {child.field} FROM {child.child_sobject} WHERE {child.field} IN {listed}"
    try:
        rows = run.target.query(soql)
        return {str(row[child.field]) for row in rows if row["Id"] not in leaving}
    except RefusedError as refused:
        if type(refused) is not RefusedError:
            raise
        return set()  # an object that cannot be queried holds nothing that can be looked at
