"""The table of plans: what each line tells, its columns and its CSV."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.services import plans
from pages.parts import export, figures, tables, words

COLUMNS = {
    "name": st.column_config.TextColumn("Plan", pinned=True),
    "source": st.column_config.TextColumn("Source", width=118),
    "target": st.column_config.TextColumn("Target", width=118),
    "objects": tables.rows_column("Objects", width=66),
    "review": tables.rows_column("To review", width=76, help="Counted when a plan is opened"),
    "version": st.column_config.TextColumn("Version", width=64),
    "last": words.pills("Last run", words.STATUSES.values(), width=96),
    "ran": st.column_config.TextColumn("Ran", width=88),
    "by": st.column_config.TextColumn("Changed by", width=84),
    "at": tables.time_column("Changed", width=150),
}
#: pixels of the names' column: as wide as the longest, so that none is cut; others may scroll
NAME_WIDTH = (160, 560)
NAME_CHAR_WIDTH = 7


def columns(found: tuple[plans.PlanRow, ...]) -> dict[str, Any]:
    """How each column is drawn."""
    least, most = NAME_WIDTH
    longest = max(len(row.name) for row in found)
    width = min(most, max(least, NAME_CHAR_WIDTH * longest + 24))
    return COLUMNS | {"name": st.column_config.TextColumn("Plan", pinned=True, width=width)}


def frame(found: tuple[plans.PlanRow, ...]) -> pd.DataFrame:
    """One row per plan."""
    return tables.frame(
        [
            {
                "name": row.name,
                "source": row.source_org or figures.MISSING,
                "target": row.target_org or figures.MISSING,
                "objects": row.objects,
                "review": row.to_review,
                "version": f"v{row.newest_version}" if row.newest_version else "draft",
                "last": words.pill(words.STATUSES, row.last_run_status),
                "ran": figures.when(row.last_run_at),
                "by": figures.person(row.updated_by),
                "at": row.updated_at,
            }
            for row in found
        ],
        list(COLUMNS),
    )


def csv_of(found: tuple[plans.PlanRow, ...]) -> bytes:
    """The list as CSV."""
    data = frame(found)
    return export.csv_bytes(list(data.columns), data.itertuples(index=False))
