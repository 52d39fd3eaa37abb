"""Taking a run's writes back: inserted rows are deleted, updated fields get their former values
(rules 7.1–7.3).

    what the run wrote (its own pages) ─┐
    the target as it is now ────────────┼─▶ as we left it: deleted, or restored
    children that others made ──────────┘   changed since, or with such children: a conflict, left
    alone

Objects go in the reverse of the loading order, so children leave before their parents. Adopted and
matched rows are never deleted: the run did not make them. What a hard delete, an activation or an
e-mail did stays done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import polars as pl

from core.db.run_state import Failure, RunStore, StepRow
from core.domain.describe import ChildRelationship
from core.domain.normalise import equal_expr
from core.domain.states import ChunkState
from core.errors import RefusedError
from core.migration.before import spelt, target_rows
from core.migration.chunks import plan_chunks
from core.migration.context import RunContext
from core.migration.load import Lane
from core.migration.prepare import (
    BLANK,
    ENGINE_COLUMNS,
    FOUND,
    HASH,
    LAST,
    SOURCE,
    TARGET,
    TOUCHED,
    Prepared,
    row_hash,
)
from core.migration.settle import UNDO
from core.migration.spec import ID, Step
from core.migration.verify import sent_rows
from core.spool import RunSpool

#: ids of one question for children
_IDS_A_QUERY = 200


def undo_step(
    run: RunContext,
    step: Step,
    row: StepRow,
    *,
    parent: RunStore,
    spool: RunSpool,
    links: pl.DataFrame,
    leaving: set[str],
) -> None:
    """Takes back what a run wrote of one mapping; goes on where an earlier worker stopped.

    Args:
        parent: memory of the run that is undone; `spool` its pages.
        links: the mapping's part of the ledger as it is now.
        leaving: ids of children that this undo deletes; the mapping's own are added.
    """
    lane = Lane(run, step, UNDO)
    try:
        lane.add(run.store.chunks(row.id))
        if not row.cursor.get("planned"):
            made = _plan(run, step, parent=parent, spool=spool, links=links, leaving=leaving)
            chunks = plan_chunks(step, made, run.spool, name="undo") if run.writes else []
            if not run.writes:
                made.totals["updated"] += made.rows
            with run.store.commit() as commit:
                commit.step(row.id, totals=made.totals, cursor={"planned": True})
                commit.failures(row.id, made.failures)
                commit.buckets({step.name: _figures(made)})
                planned = commit.add_chunks(row.id, chunks)
            lane.add(planned)
        lane.drain()
    finally:
        lane.close()


def _figures(made: Prepared) -> dict[str, int]:
    return {
        "delete": sum(frame.height for frame in made.deletes),
        "restore": sum(frame.height for frame in made.updates),
        "conflict": made.totals["blocked"],
        "gone": made.totals["skipped"],
    }


def _plan(
    run: RunContext,
    step: Step,
    *,
    parent: RunStore,
    spool: RunSpool,
    links: pl.DataFrame,
    leaving: set[str],
) -> Prepared:
    made = Prepared(totals=Counter())
    inserted: list[pl.DataFrame] = []
    updated: list[pl.DataFrame] = []
    for phase in parent.steps():
        if phase.mapping_name != step.name or phase.phase not in ("load", "second_pass", "finally"):
            continue
        for chunk in parent.chunks(phase.id):
            if chunk.state is not ChunkState.DONE or "done" not in chunk.outcome:
                continue
            run.pulse.check()
            rows = sent_rows(spool, chunk)
            if chunk.operation in ("insert", "upsert"):
                inserted.append(rows.select(SOURCE, "target_id"))
            elif chunk.operation == "update" and phase.phase == "load":
                updated.append(rows)
            elif chunk.operation in ("delete", "hard_delete"):
                made.totals["read_rows"] += rows.height
                _conflict(made, rows, "UNDO_DELETE", "Deleted rows come back by undelete only.")
    if inserted:
        _deletes(run, step, made, pl.concat(inserted), links=links, leaving=leaving)
    if updated:
        images = pl.concat(
            [spool.read(name) for name in spool.names(f"before/{step.name}")], how="diagonal"
        )
        _restores(run, step, made, updated, images)
    return made


def _deletes(
    run: RunContext,
    step: Step,
    made: Prepared,
    rows: pl.DataFrame,
    *,
    links: pl.DataFrame,
    leaving: set[str],
) -> None:
    made.totals["read_rows"] += rows.height
    now = target_rows(run.target, step, rows.get_column("target_id"), step.columns)
    hashes = row_hash(step, spelt(step, now.select(list(step.columns))))
    state = now.select(target_id=pl.col(ID)).with_columns(hashes.alias("now"))
    known = links.select(pl.col("source_id").alias(SOURCE), "target_id", "sent_hash", "found_hash")
    both = rows.join(state, on="target_id", how="left").join(
        known, on=[SOURCE, "target_id"], how="left"
    )
    gone = both.get_column("now").is_null()
    made.totals["skipped"] += int(gone.sum())
    both = both.filter(~gone)
    as_left = pl.col("now").eq(pl.col("sent_hash")) | pl.col("now").eq(pl.col("found_hash"))
    changed = both.filter(~as_left.fill_null(value=False))
    _conflict(made, changed, "UNDO_CHANGED", "The record was changed after the run wrote it.")
    both = both.filter(as_left.fill_null(value=False))
    theirs = _with_children_of_others(run, step, both.get_column("target_id").to_list(), leaving)
    others = pl.col("target_id").is_in(list(theirs))
    message = "Deleting the record would delete records that this run did not make."
    _conflict(made, both.filter(others), "UNDO_CHILDREN", message)
    both = both.filter(~others)
    leaving.update(both.get_column("target_id"))
    if both.height:
        made.deletes.append(_engine(both).with_columns(Id=pl.col(TARGET)))


def _restores(
    run: RunContext, step: Step, made: Prepared, sent: Iterable[pl.DataFrame], images: pl.DataFrame
) -> None:
    rows = pl.concat(list(sent), how="diagonal").unique(subset="target_id", keep="last")
    made.totals["read_rows"] += rows.height
    names = [n for n in rows.columns if n in step.target.fields and n in images.columns]
    now = target_rows(run.target, step, rows.get_column("target_id"), names)
    both = rows.join(now, left_on="target_id", right_on=ID, how="left", suffix="#now").join(
        images.unique(subset=ID, keep="first"),
        left_on="target_id",
        right_on=ID,
        how="left",
        suffix="#was",
    )
    moved = pl.any_horizontal(
        [
            pl.col(n).is_not_null()
            & ~equal_expr(
                step.target.fields[n],
                pl.when(pl.col(n) != BLANK).then(pl.col(n)),
                pl.col(f"{n}#now"),
            )
            for n in names
        ]
    )
    conflict = both.filter(moved)
    _conflict(made, conflict, "UNDO_CHANGED", "A field was changed after the run wrote it.")
    kept = both.filter(~moved)
    if kept.height:
        former = [
            pl.when(pl.col(n).is_not_null()).then(pl.col(f"{n}#was").fill_null(BLANK)).alias(n)
            for n in names
        ]
        made.updates.append(
            _engine(kept).hstack(kept.select(former)).with_columns(Id=pl.col(TARGET))
        )


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
        }
    ).select(ENGINE_COLUMNS)


def _conflict(made: Prepared, rows: pl.DataFrame, code: str, message: str) -> None:
    made.totals["blocked"] += rows.height
    for source_id, target_id in rows.select(SOURCE, "target_id").iter_rows():
        made.failures.append(Failure("blocked", code, message, source_id, target_id))


def _with_children_of_others(
    run: RunContext, step: Step, ids: list[str], leaving: set[str]
) -> set[str]:
    """Records among these whose deletion would take children along (rule 7.2).

    Children that the run itself made are leaving: their objects were undone before.
    """
    found: set[str] = set()
    for child in step.target.child_relationships:
        if child.cascade_delete and child.relationship_name:
            for start in range(0, len(ids), _IDS_A_QUERY):
                found |= _parents_of(run, child, ids[start : start + _IDS_A_QUERY], leaving)
    return found


def _parents_of(
    run: RunContext, child: ChildRelationship, ids: list[str], leaving: set[str]
) -> set[str]:
    listed = "','".join(ids)
    soql = (
        f"SELECT Id, {child.field} FROM {child.child_sobject} WHERE {child.field} IN ('{listed}')"
    )
    try:
        rows = run.target.query(soql)
        return {str(row[child.field]) for row in rows if row["Id"] not in leaving}
    except RefusedError as refused:
        if type(refused) is not RefusedError:
            raise
        return set()  # an object that cannot be queried holds nothing that can be looked at
