"""What is set last: fields that lock their record, after every child of it has arrived (rule 3.7).

Only rows that this run inserted or updated are touched. An activated order or contract takes no
more children, so these updates run after the second pass, children's objects first.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from core.db.run_state import StepRow
from core.domain.plan import KeySpec
from core.domain.rules import compile_mapping
from core.migration.before import keep_fields
from core.migration.chunks import plan_chunks
from core.migration.context import RunContext
from core.migration.extract import source_folder
from core.migration.idmap import NONE, IdMap
from core.migration.load import Lane
from core.migration.prepare import BLANK, FOUND, HASH, LAST, SOURCE, TARGET, TOUCHED, Prepared
from core.migration.settle import FINALLY
from core.migration.spec import ID, Step
from core.migration.verify import read_back


def set_finally(run: RunContext, step: Step, row: StepRow, *, reads_back: bool) -> None:
    """Sets the `finally` fields of every row that this run wrote.

    Args:
        reads_back: no proof follows that does: rows whose mapped field was set anew are read, so
            that the next run does not take our own last word for a person's.
    """
    rules = compile_mapping(
        step.mapping.model_copy(
            update={"fields": dict(step.mapping.final_fields), "lookups": {}, "key": KeySpec()}
        ),
        step.source,
        step.target,
    )
    written = written_rows(run, step)
    lane = Lane(run, step, FINALLY)
    try:
        lane.add(run.store.chunks(row.id))
        done = int(row.cursor.get("page", 0))
        for number in range(done + 1, len(run.sizes[step.name]) + 1):
            run.pulse.check()
            page = run.spool.read(f"{source_folder(step)}/{number:06d}")
            codes = written.look_up(run.ids.encode(page.get_column(ID)))
            chosen = pl.Series(codes != NONE)
            made = Prepared()
            if chosen.any():
                values = rules.apply(page).frame.filter(chosen)
                made.updates.append(_frame(run, page.filter(chosen), codes[codes != NONE], values))
            stem = f"finally-{number:06d}"
            sent = [keep_fields(run, step, rows, name=stem)[0] for rows in made.updates]
            made.updates = [rows for rows in sent if rows.height]
            chunks = plan_chunks(step, made, run.spool, name=stem)
            with run.store.commit() as commit:
                commit.step(row.id, cursor={"page": number})
                planned = commit.add_chunks(row.id, chunks)
            lane.add(planned)
        lane.drain()
    finally:
        lane.close()
    mapped = {name.lower() for name in step.columns}
    if reads_back and any(name.lower() in mapped for name in step.mapping.final_fields):
        read_back(run, step, row)


def written_rows(run: RunContext, step: Step) -> IdMap:
    """Source and target of every row of a mapping that this run wrote."""
    written = IdMap()
    for page in run.spool.pages(f"done/{step.name}"):
        written.add(
            run.ids.encode(page.get_column(SOURCE)), run.ids.encode(page.get_column("target_id"))
        )
    return written


def _frame(
    run: RunContext, page: pl.DataFrame, codes: np.ndarray, values: pl.DataFrame
) -> pl.DataFrame:
    n = page.height
    return (
        pl.DataFrame(
            {
                SOURCE: page.get_column(ID),
                TARGET: run.ids.decode(codes),
                HASH: pl.Series([None] * n, dtype=pl.Int64),
                TOUCHED: pl.Series(np.zeros(n, dtype=np.bool_)),
                LAST: pl.Series([None] * n, dtype=pl.Int64),
                FOUND: pl.Series(np.zeros(n, dtype=np.int64)),
            }
        )
        .hstack(values.with_columns(pl.all().fill_null(BLANK)))
        .with_columns(Id=pl.col(TARGET))
    )
