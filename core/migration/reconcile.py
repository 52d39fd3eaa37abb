"""A closed job that nobody can tell of any more: the rows themselves are asked for, by their key.

Updates are simply sent again, since the record is named. Of deletes only the records that are
still there are sent again: one that is gone would be refused, though all is as it was asked for. An
insert with a stamped key is looked for; what is there is ours, what is not was never written.
Without a key nobody can know: the rows are reported as not processed and not sent again, because a
second copy is worse than a gap that is named.
"""

from __future__ import annotations

import polars as pl

from core.db.retries import UNKNOWN_FATE
from core.db.run_state import ChunkRow
from core.errors import LostError, sentences
from core.migration.context import RunContext
from core.migration.load_collections import rows_by_key
from core.migration.outcomes import ACCEPTED_SCHEMA, ROW, Outcomes, Refusal
from core.migration.spec import Step


def reconcile(
    run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame, lost: LostError
) -> Outcomes:
    """What the org has of the rows of a chunk whose answers are gone for good."""
    rows = list(range(page.height))
    nobody = pl.DataFrame(schema=ACCEPTED_SCHEMA)
    if chunk.operation in ("update", "upsert"):
        return Outcomes(nobody, [], rows, reason=lost.happened)
    if chunk.operation in ("delete", "hard_delete"):
        there = rows_by_key(run, step, "Id", page)
        numbered = page.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW), target_id="Id")
        gone = numbered.filter(~pl.col(ROW).is_in(list(there)))
        return Outcomes(gone, [], list(there), reason=lost.happened)
    key = step.stamped_key
    if key is None:
        why = sentences(
            lost.happened, "Without a key it cannot be found out whether it was written."
        )
        return Outcomes(nobody, [Refusal(row, UNKNOWN_FATE, why) for row in rows], [])
    found = rows_by_key(run, step, key, page)
    accepted = pl.DataFrame(
        {ROW: list(found), "target_id": list(found.values())}, schema=ACCEPTED_SCHEMA
    )
    left = [row for row in rows if row not in found]
    return Outcomes(accepted, [], left, reason=lost.happened)
