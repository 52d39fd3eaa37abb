"""The parts of the logs page: entries per day, the table, one entry whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.services import logs
from pages import registry
from pages.parts import audit_words, boxes, figures, palette, tables, visit, words
from pages.parts.boxes import escaped

COLUMNS = {
    "at": tables.time_column("When", width=155, pinned=True),
    "kind": st.column_config.TextColumn("Kind", width=130),
    "status": words.pills("Status", words.STATUSES.values(), width=100),
    "who": st.column_config.TextColumn("Who", width=125),
    "message": st.column_config.TextColumn("What happened", width=270),
    "orgs": st.column_config.TextColumn("Orgs", width=190),
}
#: about that of the charts
ASKING_HEIGHT = 220
#: round lengths of time, in seconds
_ROUND_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000, 36_000, 86_400)


def frame(found: Sequence[logs.LogRow]) -> pd.DataFrame:
    """One row per entry."""
    return tables.frame(
        [
            {
                "at": row.created_at,
                "kind": kind_name(row.kind),
                "status": [words.word(words.STATUSES, row.status).label],
                "who": row.who,
                "message": _told(row),
                "orgs": " → ".join(each for each in (row.source_org, row.target_org) if each),
            }
            for row in found
        ],
        list(COLUMNS),
    )


def _told(row: logs.LogRow) -> str:
    """What happened; the message of an entry of the audit trail is the name of its act."""
    message = row.message or ""
    return audit_words.action(message) if row.kind == "audit" else message


def charts(chosen: logs.LogFilter, known: logs.DayFigures | None) -> None:
    """Entries per day by what became of them, how long they took, rows per object.

    Args:
        known: figures per day that came with the page.
    """
    workspace = str(visit.actor().workspace_id)
    # of days that no night has counted, the entries themselves are counted, which can take a while
    with boxes.asking("Counting the entries of each day…", height=ASKING_HEIGHT):
        days, durations = known or _per_days(workspace, chosen)
        objects = _per_objects(workspace, chosen.since, chosen.until)
    if len({each.day for each in days}) < 2:
        _per_object(objects)
        return
    # as high as the one whose bars need most, so that they stand as one row
    height = _objects_height(objects)
    parts: list[Callable[[], None]] = [lambda: _per_day(days, height=height)]
    if len(durations) > 1:
        parts.append(lambda: _durations(durations, height=height))
    if objects:
        parts.append(lambda: _per_object(objects))
    for place, part in zip(st.columns(len(parts), gap="medium"), parts, strict=True):
        with place:
            part()


@st.cache_data(ttl=60, max_entries=50, show_spinner=False)
def _per_days(workspace: str, chosen: logs.LogFilter) -> logs.DayFigures:
    """Figures per day, a minute old at the most.

    The workspace is part of the key: figures of one are never shown in another.
    """
    return logs.per_day(visit.bridge(), visit.actor(), chosen)


@st.cache_data(ttl=60, max_entries=50, show_spinner=False)
def _per_objects(
    workspace: str, since: datetime | None, until: datetime | None
) -> tuple[logs.ObjectCount, ...]:
    """Figures per object; they know of a filter no more than its days."""
    return logs.per_object(visit.bridge(), visit.actor(), logs.LogFilter(since=since, until=until))


def _durations(days: Sequence[logs.DayDuration], *, height: int) -> None:
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
    ticks = _ticks([s for each in days for s in (each.median_s, each.p95_s)])
    labels = [figures.duration(seconds) for seconds in ticks]
    figure.update_yaxes(type="log", tickvals=ticks, ticktext=labels)
    palette.draw(figure, key="logs.durations", alt="How long entries took per day", height=height)


def _ticks(seconds: Sequence[float]) -> list[float]:
    """Round lengths of time around those of a chart, five or so."""
    low, high = min(seconds), max(seconds)
    near = [one for one in _ROUND_S if low / 3 <= one <= high * 3]
    return near[:: max(1, len(near) // 5)]


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
    palette.draw(
        figure,
        key="logs.objects",
        alt="Rows that arrived and failed, per object",
        height=_objects_height(objects),
    )


def _objects_height(objects: Sequence[logs.ObjectCount]) -> int:
    """Pixels in which every name of the chart per object has its place."""
    return max(160, 20 * len(objects) + 60)


def _per_day(days: Sequence[logs.DayCount], *, height: int) -> None:
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
    palette.draw(figure, key="logs.chart", alt="Log entries per day by status", height=height)


def opened(row: logs.LogRow | None) -> None:
    """Opens the drawer of the row that was just chosen; one that was closed stays closed."""
    chosen = "" if row is None else str(row.id)
    before = st.session_state.get("logs.opened")
    st.session_state["logs.opened"] = chosen
    if row is not None and chosen != before:
        drawer(row)


@st.dialog("Log entry", position="right", width=560, icon=":material/receipt_long:")
def drawer(row: logs.LogRow) -> None:
    """All that is kept of one entry, and the way to its run."""
    word = words.word(words.STATUSES, row.status)
    st.markdown(f"**{escaped(kind_name(row.kind))}** {word.badge}")
    st.caption(escaped(f"{figures.when(row.created_at)} · {row.who} · {_told(row)}"))
    if row.run_name and st.button(f"Open run {escaped(row.run_name)}", key="logs.run"):
        registry.go("run", run=row.run_name)
    boxes.acted(_whole, row)


def kind_name(kind: str) -> str:
    """A kind of entry in words."""
    return kind.replace("_", " ").capitalize()


def _whole(row: logs.LogRow) -> None:
    found = logs.entry(visit.bridge(), visit.actor(), row.kind, entry_id=row.id)
    # as text: the element would show ids and moments the way Python writes them
    told = {name: value for name, value in found.items() if value is not None}
    st.json(json.dumps(told, ensure_ascii=False, default=_plain), expanded=1)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
