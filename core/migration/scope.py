"""Children of rows in this plan only: evaluated by us, since SOQL cannot know which rows we read
(rule 1.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from core.domain.plan import ObjectMapping
from core.migration.context import RunContext
from core.migration.idmap import NONE, Codes
from core.migration.spec import ID, Step


def within(
    run: RunContext,
    step: Step,
    page: pl.DataFrame,
    *,
    fields: Sequence[str],
    mappings: Sequence[ObjectMapping],
    is_delta: bool = False,
) -> pl.DataFrame:
    """The rows of a page that name, in one of the fields, a row that this run has read; in a delta
    also one that earlier runs have."""
    kept = np.zeros(page.height, dtype=np.bool_)
    for name in fields:
        allowed = {entry.lower() for entry in step.source.fields[name].reference_to}
        codes = run.ids.encode(page.get_column(name))
        for parent in mappings:
            if parent.source.lower() in allowed:
                kept |= np.isin(codes, read_rows(run, parent.name))
                if is_delta:
                    kept |= run.maps[parent.name].look_up(codes) != NONE
    return page.filter(pl.Series(kept))


def read_rows(run: RunContext, name: str) -> Codes:
    """Codes of the rows of a mapping that lie on the spool, sorted."""
    parts = [run.ids.encode(p.get_column(ID)) for p in run.spool.pages(f"src/{name}", [ID])]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
