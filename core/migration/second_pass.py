"""Lookups that had to wait: parents of a cycle, or of the same object, that were not there yet.

Pages of waiting rows (``wait/…``) name the source's ids. Now every object is loaded: what can be
translated is sent as an update of just these lookups, what cannot is counted as left blank and
named. The rows' hashes become those of rows in which nothing ever waited, so that the next run
finds them unchanged. A row that the load could not write waits for nothing: its hash would say that
it had arrived.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from core.db import retries
from core.db.run_state import Failure, StepRow
from core.domain.plan import OnTargetChange
from core.migration.before import as_if_sent, keep_fields, others_changed, target_rows
from core.migration.chunks import plan_chunks
from core.migration.context import RunContext
from core.migration.idmap import NONE
from core.migration.load import Lane
from core.migration.prepare import (
    BLANK,
    CLEARS,
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
    lookup_hash,
)
from core.migration.settle import SECOND_PASS
from core.migration.spec import ID, Step


def second_pass(run: RunContext, step: Step, row: StepRow) -> None:
    """Fills in the waiting lookups of one mapping; goes on where an earlier worker stopped."""
    lane = Lane(run, step, SECOND_PASS)
    try:
        lane.add(run.store.chunks(row.id))
        done = str(row.cursor.get("page", ""))
        refused = _refused(run, step)
        ahead = run.spool.names(f"recheck/{step.name}")
        for name in (*ahead, *run.spool.names(f"wait/{step.name}")):
            if name <= done:
                continue
            run.pulse.check()
            page = run.spool.read(name)
            page = page.filter(~page.get_column(SOURCE).is_in(refused.implode()))
            made = _rechecked(run, step, page) if name in ahead else _updates(run, step, page)
            stem = f"second-{name.replace('/', '-')}"
            _keep_needed(run, step, made, name=stem)
            chunks = plan_chunks(step, made, run.spool, name=stem)
            with run.store.commit() as commit:
                commit.step(row.id, totals=made.totals, cursor={"page": name})
                commit.failures(row.id, made.failures)
                for links in made.links:
                    commit.links(run.link_sets[step.name], links)
                planned = commit.add_chunks(row.id, chunks)
            lane.add(planned)
        lane.drain()
    finally:
        lane.close()


def _keep_needed(run: RunContext, step: Step, made: Prepared, *, name: str) -> None:
    """Leaves the updates that change something; rows whose lookups lead there already are noted as
    if they had been sent."""
    sent = []
    for rows in made.updates:
        needed, equal = keep_fields(run, step, rows, name=name)
        if needed.height:
            sent.append(needed)
        if equal.height:
            made.links.append(as_if_sent(equal))
    made.updates = sent


def _refused(run: RunContext, step: Step) -> pl.Series:
    """Source ids of rows that this run has read and could not write."""
    choice = retries.RowChoice(mappings=(step.name,))
    with run.store.look() as session:
        left = retries.rows_left(session, run.store.run_id, choice)
    return pl.Series(SOURCE, left.get(step.name, []), dtype=pl.String)


def _updates(run: RunContext, step: Step, waiting: pl.DataFrame) -> Prepared:
    made = Prepared(totals=Counter())
    codes = run.maps[step.name].look_up(run.ids.encode(waiting.get_column(SOURCE)))
    # rows that did not arrive have no lookup to fill
    there = pl.Series(codes != NONE)
    if TOUCHED not in waiting.columns:  # a page of a version that asked nothing of such rows
        waiting = waiting.with_columns(_nothing_said(waiting.height))
    if CLEARS not in waiting.columns:  # a page of a version whose load emptied them itself
        waiting = waiting.with_columns(pl.lit(value=False).alias(CLEARS))
    waiting, targets = waiting.filter(there), run.ids.decode(codes[codes != NONE])
    hashes = waiting.get_column(HASH)
    clears = waiting.get_column(CLEARS)
    names = [n for n in waiting.columns if n not in (*ENGINE_COLUMNS, CLEARS)]
    columns: dict[str, pl.Series] = {}
    for name in names:
        lookup = next(entry for entry in step.lookups if entry.field.name == name)
        found = run.translator.translate(step, lookup, waiting.get_column(name), last=True)
        ids, stand_in = found.ids, run.translator.fallback(lookup)
        if stand_in is not None:
            missing = pl.Series(found.unresolved)
            ids = pl.select(pl.when(missing).then(pl.lit(stand_in)).otherwise(ids)).to_series()
        elif found.unresolved.any():
            _report(made, waiting, name, found.unresolved)
        empty = ids.is_null() & pl.Series(found.unresolved) & clears & lookup.field.nillable
        columns[name] = pl.select(pl.when(empty).then(pl.lit(BLANK)).otherwise(ids)).to_series()
        hashes = hashes + lookup_hash(name, ids)
    frame = _frame(waiting.get_column(SOURCE), targets, hashes, columns)
    frame = frame.with_columns(waiting.select(TOUCHED, LAST, FOUND))
    frame = frame.filter(pl.any_horizontal(pl.col(names).is_not_null()))
    frame = _left_to_others(run, step, made, frame)
    if frame.height:
        made.updates.append(frame)
    return made


def _rechecked(run: RunContext, step: Step, rows: pl.DataFrame) -> Prepared:
    """Rows whose parent was known ahead of its turn, where it turned out to be another record."""
    made = Prepared(totals=Counter())
    names = [n.removesuffix(WAS) for n in rows.columns if n.endswith(WAS)]
    hashes, columns = rows.get_column(HASH), {}
    for name in names:
        lookup = next(entry for entry in step.lookups if entry.field.name == name)
        found = run.translator.translate(step, lookup, rows.get_column(name), last=False).ids
        was = rows.get_column(name + WAS)
        moved = found.is_not_null() & was.is_not_null() & (found != was)
        columns[name] = pl.select(pl.when(moved).then(found)).to_series().alias(name)
        change = lookup_hash(name, found) - lookup_hash(name, was)
        hashes = hashes + pl.select(pl.when(moved).then(change).otherwise(0)).to_series()
    codes = run.maps[step.name].look_up(run.ids.encode(rows.get_column(SOURCE)))
    frame = _frame(rows.get_column(SOURCE), run.ids.decode(codes), hashes, columns)
    frame = frame.filter(
        pl.col(TARGET).is_not_null() & pl.any_horizontal(pl.col(names).is_not_null())
    )
    if frame.height:
        made.updates.append(frame)
    return made


def _frame(
    sources: pl.Series, targets: pl.Series, hashes: pl.Series, columns: dict[str, pl.Series]
) -> pl.DataFrame:
    """Updates of lookups with the engine's columns."""
    n = len(sources)
    return pl.DataFrame(
        {
            SOURCE: sources,
            TARGET: targets,
            HASH: hashes,
            **_nothing_said(n),
            **columns,
        }
    ).with_columns(Id=pl.col(TARGET))


def _nothing_said(n: int) -> dict[str, pl.Series]:
    """Engine columns of rows that this run has written already: nobody else is asked about."""
    return {
        TOUCHED: pl.Series(TOUCHED, np.zeros(n, dtype=np.bool_)),
        LAST: pl.Series(LAST, [None] * n, dtype=pl.Int64),
        FOUND: pl.Series(FOUND, np.zeros(n, dtype=np.int64)),
        READ: pl.Series(READ, [None] * n, dtype=pl.Int64),
    }


def _left_to_others(
    run: RunContext, step: Step, made: Prepared, rows: pl.DataFrame
) -> pl.DataFrame:
    """Without rows that the load found unchanged in the source, but others changed in the target
    (rule 3.2); the load had no reason to look."""
    policy = step.mapping.on_target_change
    asked = rows.filter(TOUCHED).select(ENGINE_COLUMNS)
    if policy is OnTargetChange.OVERWRITE or not asked.height:
        return rows
    found = target_rows(run.target, step, asked.get_column(TARGET), step.columns)
    there = asked.join(found, left_on=TARGET, right_on=ID, how="left", maintain_order="left")
    theirs = asked.filter(others_changed(step, asked, there.select(step.columns)))
    if policy is OnTargetChange.REPORT:
        _report_theirs(made, theirs)
    return rows.filter(~pl.col(SOURCE).is_in(theirs.get_column(SOURCE).implode()))


def _report_theirs(made: Prepared, theirs: pl.DataFrame) -> None:
    message = (
        "Somebody changed this record in the target after it was last sent, so its lookups were "
        "not filled in."
    )
    made.failures.extend(
        Failure("left_blank", "TARGET_CHANGED", message, source_id, target_id)
        for source_id, target_id in theirs.select(SOURCE, TARGET).iter_rows()
    )
    made.totals["lookups_left_blank"] += theirs.height


def _report(made: Prepared, waiting: pl.DataFrame, name: str, missing: np.ndarray) -> None:
    message = f"The record that {name} names did not arrive in the target."
    for source_id in waiting.get_column(SOURCE).filter(pl.Series(missing)):
        made.failures.append(
            Failure("left_blank", "LOOKUP_UNRESOLVED", message, source_id, fields=(name,))
        )
    made.totals["lookups_left_blank"] += int(missing.sum())
