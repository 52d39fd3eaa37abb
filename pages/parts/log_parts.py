"""The parts of the logs page: entries per day, the table, one entry whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.services import logs
from pages.parts import boxes, figures, palette, tables, visit, words

COLUMNS = {
    "at": tables.time_column("When", width=160, pinned=True),
    "kind": st.column_config.TextColumn("Kind", width=140),
    "status": words.pills("Status", words.STATUSES.values(), width=110),
    "who": st.column_config.TextColumn("Who", width=130),
    "message": st.column_config.TextColumn("What happened", width=300),
    "orgs": st.column_config.TextColumn("Orgs", width=160),
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


def charts(chosen: logs.LogFilter) -> None:
    """Entries per day by what became of them, how long they took, rows per object."""
    (days, durations), objects = _figures(str(visit.actor().workspace_id), chosen)
    if len({each.day for each in days}) < 2:
        _per_object(objects)
        return
    parts: list[Callable[[], None]] = [lambda: _per_day(days)]
    if len(durations) > 1:
        parts.append(lambda: _durations(durations))
    if objects:
        parts.append(lambda: _per_object(objects))
    for place, part in zip(st.columns(len(parts), gap="medium"), parts, strict=True):
        with place:
            part()


Days = tuple[tuple[logs.DayCount, ...], tuple[logs.DayDuration, ...]]


@st.cache_data(ttl=60, max_entries=50, show_spinner=False)
def _figures(workspace: str, chosen: logs.LogFilter) -> tuple[Days, tuple[logs.ObjectCount, ...]]:
    """The charts' figures, a minute old at the most.

    The workspace is part of the key: figures of one are never shown in another.
    """
    here = (visit.bridge(), visit.actor(), chosen)
    return logs.per_day(*here), logs.per_object(*here)


def _durations(days: Sequence[logs.DayDuration]) -> None:
    shades = palette.shades()
    figure = go.Figure()
    for label, color, numbers in (
        ("Half take at most", shades["blue"], [each.median_s for each in days]),
        ("95 % take at most", shades["orange"], [each.p95_s for each in days]),
    ):
        shown = [figures.duration(seconds) for seconds in numbers]
        figure.add_scatter(
            x=[each.day for each in days],
            y=numbers,
            name=label,
            mode="lines+markers",
            line_color=color,
            customdata=shown,
            hovertemplate="%{customdata}",
        )
    figure.update_yaxes(type="log", ticksuffix=" s")
    palette.draw(figure, key="logs.durations", alt="How long entries took per day", height=160)


def _per_object(objects: Sequence[logs.ObjectCount]) -> None:
    if not objects:
        return
    shades = palette.shades()
    worst_last = sorted(objects, key=lambda one: (one.failed, one.arrived))
    figure = go.Figure()
    for label, color, numbers in (
        ("Arrived", shades["green"], [one.arrived for one in worst_last]),
        ("Failed or held back", shades["red"], [one.failed for one in worst_last]),
    ):
        names = [one.sobject for one in worst_last]
        figure.add_bar(y=names, x=numbers, name=label, orientation="h", marker_color=color)
    figure.update_layout(
        barmode="stack", bargap=0.35, hovermode="y unified", legend_traceorder="normal"
    )
    # so high that every name has its place
    height = max(160, 20 * len(objects) + 60)
    palette.draw(
        figure, key="logs.objects", alt="Rows that arrived and failed, per object", height=height
    )


def _per_day(days: Sequence[logs.DayCount]) -> None:
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
