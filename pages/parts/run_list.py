"""Runs as a table and as bars of how long they took; Home shows the same table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.domain.states import RunState
from core.services import run_reads
from pages import registry
from pages.parts import export, figures, palette, tables, words

#: column of what rows that arrived go without, there where a run of the page has any
BLANK = "blank"
COLUMNS = {
    "plan": st.column_config.TextColumn("Plan", width=145),
    "target": st.column_config.TextColumn("Into", width=78),
    "mode": st.column_config.TextColumn("Mode", width=62),
    "status": words.pills("Status", words.STATUSES.values(), width=118),
    "done": tables.share_column("Progress", width=75),
    "rows": tables.rows_column("Rows", width=58),
    "failed": tables.rows_column("Failed", width=50),
    BLANK: tables.rows_column(
        "Blank",
        width=45,
        help="Lookups, or fields of the last pass, left blank on rows that arrived",
    ),
    "by": st.column_config.TextColumn("By", width=55),
    "started": st.column_config.TextColumn("Started", width=105),
    "took": st.column_config.TextColumn("Took", width=58),
    "run": st.column_config.TextColumn("Run", width=168),
}
#: narrower where there is one column more
WITH_BLANKS = COLUMNS | {
    "plan": st.column_config.TextColumn("Plan", width=125),
    "status": words.pills("Status", words.STATUSES.values(), width=112),
    "done": tables.share_column("Progress", width=63),
    "failed": tables.rows_column("Failed", width=46),
    "run": st.column_config.TextColumn("Run", width=165),
}
CSV = (
    "run",
    "plan",
    "target",
    "mode",
    "status",
    "rows",
    "written",
    "failed",
    "lookups_left_blank",
    "last_fields_left",
    "requested_by",
    "created_at",
    "started_at",
    "finished_at",
    "seconds",
)


def frame(found: Sequence[run_reads.RunLine]) -> pd.DataFrame:
    """One row per run."""
    shown = [name for name in COLUMNS if name != BLANK or any(map(unfilled_of, found))]
    return tables.frame(
        [
            {
                "run": figures.short_run(row.name),
                "plan": row.plan_name or figures.MISSING,
                "target": row.target_name or figures.MISSING,
                "mode": row.mode.replace("-", " ").capitalize(),
                "status": [words.word(words.STATUSES, row.status).label],
                "done": share_done(row),
                "rows": row.totals.planned,
                "failed": row.totals.failed,
                BLANK: unfilled_of(row),
                "by": figures.person(row.requested_by).partition(":")[0],
                "started": figures.when(row.started_at or row.created_at),
                "took": figures.duration(took_s(row)),
            }
            for row in found
        ],
        shown,
    )


def unfilled_of(row: run_reads.RunLine) -> int:
    """What makes a run partial although its rows arrived."""
    return row.totals.lookups_left_blank + row.totals.last_fields_left


def columns_of(data: pd.DataFrame) -> dict[str, Any]:
    """The columns of such a table."""
    return WITH_BLANKS if BLANK in data else COLUMNS


def share_done(row: run_reads.RunLine) -> float:
    """How much of a run is settled, 0–100; one that found nothing to do is done as well."""
    if row.status is RunState.SUCCEEDED and not row.totals.planned:
        return 100.0
    return figures.share(row.totals.done, row.totals.planned)


def csv_of(found: Sequence[run_reads.RunLine]) -> bytes:
    """The runs as a file: names and times in full."""
    return export.csv_bytes(CSV, (_csv_row(row) for row in found))


def _csv_row(row: run_reads.RunLine) -> tuple[object, ...]:
    sums = row.totals
    counts = (sums.planned, sums.written, sums.failed)
    unfilled = (sums.lookups_left_blank, sums.last_fields_left)
    times = (row.created_at, row.started_at, row.finished_at, took_s(row))
    named = (row.name, row.plan_name, row.target_name, row.mode, row.status.value)
    return (*named, *counts, *unfilled, row.requested_by, *times)


def took_s(row: run_reads.RunLine) -> float | None:
    """Seconds from start to end, None while it has not ended."""
    if row.started_at is None or row.finished_at is None:
        return None
    return (row.finished_at - row.started_at).total_seconds()


def charts(
    found: Sequence[run_reads.RunLine],
    days: Sequence[run_reads.DayCount],
    *,
    statuses: Sequence[str],
) -> None:
    """How long runs took, and beside it how many there were a day once there is a second day."""
    if len({each.day for each in days}) < 2:
        _durations(found)
        return
    left, right = st.columns(2, gap="medium")
    with left:
        _durations(found)
    with right:
        _history(days, statuses=statuses)


def _durations(found: Sequence[run_reads.RunLine]) -> None:
    """Bars of how long the ended runs of this page took, coloured by what became of them; a click
    opens the run."""
    ended = [row for row in reversed(found) if took_s(row) is not None]
    if len(ended) < 2:
        return
    shades = palette.shades()
    colors = [shades[words.word(words.STATUSES, row.status).color] for row in ended]
    figure = go.Figure()
    figure.add_bar(
        x=[row.name for row in ended],
        y=[took_s(row) for row in ended],
        marker_color=colors,
        customdata=[
            [palette.plain(row.plan_name or figures.MISSING), figures.duration(took_s(row))]
            for row in ended
        ],
        hovertemplate="%{customdata[0]}: %{customdata[1]}<br>%{x}<extra></extra>",
    )
    figure.update_layout(
        hovermode="closest",
        title={"text": "Seconds per run, a click opens it", "font": {"size": 13}},
    )
    figure.update_xaxes(showticklabels=False)
    chosen = palette.draw(
        figure,
        key="runs.durations",
        alt="Duration of each run on this page; a click opens the run",
        height=150,
        on_select="rerun",
        selection_mode="points",
    )
    if chosen.selection.points:
        registry.go("run", run=str(chosen.selection.points[0]["x"]))


def _history(days: Sequence[run_reads.DayCount], *, statuses: Sequence[str]) -> None:
    """Runs per day, stacked by what became of them; a click filters by it."""
    shades = palette.shades()
    by_label: dict[str, tuple[str, list[date], list[int]]] = {}
    status_of: dict[str, str] = {}
    for each in days:
        word = words.word(words.STATUSES, each.status)
        _, at, numbers = by_label.setdefault(word.label, (shades[word.color], [], []))
        status_of[word.label] = each.status
        at.append(each.day)
        numbers.append(each.runs)
    figure = go.Figure()
    for label, (color, at, numbers) in by_label.items():
        figure.add_bar(x=at, y=numbers, name=label, marker_color=color)
    figure.update_layout(
        barmode="stack", bargap=0.4, title={"text": "Runs per day", "font": {"size": 13}, "x": 0}
    )
    chosen = palette.draw(
        figure,
        key=f"runs.history.{'.'.join(statuses)}",  # with the filter the click is done with
        alt="Runs per day by status; a click shows the runs of that status",
        height=150,
        on_select="rerun",
        selection_mode="points",
    )
    if chosen.selection.points:
        asked = list(by_label)[int(chosen.selection.points[0]["curve_number"])]
        only = status_of[asked]
        st.session_state.pop("choice.status", None)  # the address decides now
        registry.go("runs", **({} if list(statuses) == [only] else {"status": only}))
