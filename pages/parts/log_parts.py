"""The parts of the logs page: entries per day, the table, one entry whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.services import logs
from pages.parts import boxes, palette, tables, visit, words

COLUMNS = {
    "at": tables.time_column("When", width=170, pinned=True),
    "kind": st.column_config.TextColumn("Kind", width=140),
    "status": words.pills("Status", words.STATUSES.values(), width=110),
    "who": st.column_config.TextColumn("Who", width=160),
    "message": st.column_config.TextColumn("What happened", width=360),
    "orgs": st.column_config.TextColumn("Orgs", width=220),
}


def frame(found: Sequence[logs.LogRow]) -> pd.DataFrame:
    """One row per entry."""
    return tables.frame(
        [
            {
                "at": row.created_at,
                "kind": row.kind.replace("_", " ").capitalize(),
                "status": [words.word(words.STATUSES, row.status).label],
                "who": row.who,
                "message": row.message or "",
                "orgs": " → ".join(each for each in (row.source_org, row.target_org) if each),
            }
            for row in found
        ],
        list(COLUMNS),
    )


def chart(days: Sequence[logs.DayCount]) -> None:
    """Entries per day, stacked by what became of them; nothing for a single day."""
    if len({each.day for each in days}) < 2:
        return
    shades = palette.shades()
    by_label: dict[str, tuple[str, list[Any], list[int]]] = {}
    for each in days:
        word = words.word(words.STATUSES, each.status)
        _, moments, numbers = by_label.setdefault(word.label, (shades[word.color], [], []))
        moments.append(each.day)
        numbers.append(each.entries)
    figure = go.Figure()
    for label, (color, moments, numbers) in by_label.items():
        figure.add_bar(x=moments, y=numbers, name=label, marker_color=color)
    figure.update_layout(barmode="stack", bargap=0.4)
    palette.draw(figure, key="logs.chart", alt="Log entries per day by status", height=160)


def entry(row: logs.LogRow) -> None:
    """All that is kept of one entry."""
    with st.expander("All columns", expanded=True, key="logs.entry"):
        boxes.acted(_whole, row)


def _whole(row: logs.LogRow) -> None:
    found = logs.entry(visit.bridge(), visit.actor(), row.kind, entry_id=row.id)
    st.json({name: value for name, value in found.items() if value is not None}, expanded=1)
