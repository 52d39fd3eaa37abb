"""Errors: what goes wrong again and again, over all runs, with what is known about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core.services import logs
from pages.parts import boxes, choice, error_card, error_reads, export, figures, rows, tables, words

COLUMNS = {
    "count": tables.rows_column("Rows", width=54),
    "message": st.column_config.TextColumn("Message", width=430),
    "code": st.column_config.TextColumn("Reason", width=150),
    "objects": st.column_config.TextColumn("Objects", width=90),
    "runs": tables.rows_column("Runs", width=46),
    "days": st.column_config.BarChartColumn("Last 30 days", width=86, y_min=0),
    "last": tables.time_column("Last seen", width=155),
    "state": words.pills("State", error_card.STATES.values(), width=80),
}


def frame(found: Sequence[logs.ErrorGroup], days: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """One row per kind of error."""
    return tables.frame(
        [
            {
                "count": group.count,
                "code": group.code,
                "message": group.message,
                "objects": ", ".join(group.objects),
                "runs": group.runs,
                "days": list(days.get(group.fingerprint, ())),
                "last": group.last_seen,
                "state": [error_card.STATES[group.state].label],
            }
            for group in found
        ],
        list(COLUMNS),
    )


def draw() -> None:
    """The page."""
    found, days = error_reads.groups(), error_reads.days()
    data = frame(found, days).drop(columns="days")
    with rows.head("Errors"):
        export.button(
            "errors",
            lambda: export.csv_bytes(list(data.columns), data.itertuples(index=False)),
            key="errors.csv",
        )
    counts = Counter(group.state for group in found) | Counter(all=len(found))
    labels = {"all": "All"} | {name: word.label for name, word in error_card.STATES.items()}
    shown = choice.segmented(
        "State",
        list(labels),
        default="all",
        format_func=lambda name: f"{labels[name]} {figures.count(counts[name])}",
        key="error_state",
        label_visibility="collapsed",
    )
    kept = [group for group in found if shown in {"all", group.state}]
    if not kept:
        boxes.empty(
            "No error of this kind",
            "Rows that were refused and acts that failed in the last 30 days appear here, grouped.",
            icon=":material/task_alt:",
        )
        return
    chosen = tables.show(
        frame(kept, days),
        COLUMNS,
        key=f"errors.table.{shown}",
        alt="Kinds of errors of the last 30 days, the most frequent first",
        on_select="rerun",
        selection_mode="single-row-required",
    )
    error_card.draw(kept[tables.picked(chosen) or 0])


boxes.acted(draw)
