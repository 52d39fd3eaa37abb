"""Runs: every execution of a plan, what became of it, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.domain.states import RunState
from core.services import run_reads
from pages import registry
from pages.parts import boxes, export, figures, palette, rows, tables, visit, words

TICK = "5s"
FILTERED = (
    RunState.RUNNING,
    RunState.WAITING_DECISION,
    RunState.PENDING,
    RunState.SUCCEEDED,
    RunState.PARTIAL,
    RunState.FAILED,
    RunState.CANCELLED,
)
COLUMNS = {
    "run": st.column_config.TextColumn("Run", pinned=True, width=120),
    "plan": st.column_config.TextColumn("Plan", width=230),
    "target": st.column_config.TextColumn("Into", width=190),
    "mode": st.column_config.TextColumn("Mode", width=80),
    "status": words.pills("Status", words.STATUSES.values(), width=125),
    "done": tables.share_column("Progress", width=120),
    "rows": tables.rows_column("Rows", width=90),
    "failed": tables.rows_column("Failed", width=80),
    "by": st.column_config.TextColumn("By", width=150),
    "started": st.column_config.TextColumn("Started", width=130),
    "took": st.column_config.TextColumn("Took", width=90),
}


def frame(found: Sequence[run_reads.RunLine]) -> pd.DataFrame:
    """One row per run."""
    return tables.frame(
        [
            {
                "run": row.name,
                "plan": row.plan_name or figures.MISSING,
                "target": row.target_name or figures.MISSING,
                "mode": row.mode.replace("-", " ").capitalize(),
                "status": [words.word(words.STATUSES, row.status).label],
                "done": figures.share(row.totals.done, row.totals.planned),
                "rows": row.totals.planned,
                "failed": row.totals.failed,
                "by": figures.person(row.requested_by),
                "started": figures.when(row.started_at or row.created_at),
                "took": figures.duration(took_s(row)),
            }
            for row in found
        ],
        list(COLUMNS),
    )


def took_s(row: run_reads.RunLine) -> float | None:
    """Seconds from start to end, None while it has not ended."""
    if row.started_at is None or row.finished_at is None:
        return None
    return (row.finished_at - row.started_at).total_seconds()


def asked() -> run_reads.RunFilter:
    """The filter row."""
    states, words_typed = st.columns([0.7, 0.3], vertical_alignment="bottom")
    chosen = states.pills(
        "Status",
        [state.value for state in FILTERED],
        selection_mode="multi",
        format_func=lambda state: words.word(words.STATUSES, state).label,
        key="status",
        bind="query-params",
        label_visibility="collapsed",
    )
    text = words_typed.text_input(
        "Filter runs",
        type="search",
        live=True,
        key="run_q",
        bind="query-params",
        placeholder="Plan, person or run…",
        label_visibility="collapsed",
    )
    return run_reads.RunFilter(statuses=tuple(chosen or ()), text=(text or "").strip())


def durations(found: Sequence[run_reads.RunLine]) -> None:
    """Bars of how long the ended runs of this page took, coloured by what became of them."""
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
        hovertemplate="%{x}: %{y:.0f} s<extra></extra>",
    )
    figure.update_layout(
        hovermode="closest", title={"text": "Seconds per run", "font": {"size": 13}}
    )
    figure.update_xaxes(showticklabels=False)
    palette.draw(figure, key="runs.durations", alt="Duration of each run on this page", height=150)


@st.fragment(run_every=TICK, key="runs.live")
def listing(wanted: run_reads.RunFilter) -> None:
    """The table, fresh every few seconds; a click opens a run."""
    page = int(st.session_state.get("runs.page", 1))
    found = run_reads.listed(
        visit.bridge(), visit.actor(), wanted, page=page, page_rows=tables.PAGE_ROWS
    )
    if not found.total:
        nothing_yet(is_filtered=bool(wanted.statuses or wanted.text))
        return
    durations(found.rows)
    chosen = tables.show(
        frame(found.rows),
        COLUMNS,
        key="runs.table",
        alt="Runs, the newest first",
        on_select="rerun",
        selection_mode="single-row",
    )
    tables.page_of(found.total, key="runs.page")
    position = tables.picked(chosen)
    if position is not None:
        registry.go("run", run=found.rows[position].name)


def nothing_yet(*, is_filtered: bool) -> None:
    """Why there is nothing, and what to do."""
    if is_filtered:
        boxes.empty("No run matches", "Change the filter.", icon=":material/search_off:")
        return
    boxes.empty(
        "No run yet",
        "A run is one execution of a plan. Start with a dry run: it writes nothing.",
        icon=":material/rocket_launch:",
    )
    if st.button("New migration", type="primary", key="runs.first"):
        registry.go("launch")


def draw() -> None:
    """The page."""
    with rows.head("Runs"):
        place = st.container(width="content")
    wanted = asked()
    with place:
        export.button("runs", lambda: csv_of(wanted), key="runs.csv")
    listing(wanted)


def csv_of(wanted: run_reads.RunFilter) -> bytes:
    """All runs that the filter matches."""
    everything = run_reads.listed(visit.bridge(), visit.actor(), wanted, page=1, page_rows=100_000)
    data = frame(everything.rows)
    return export.csv_bytes(list(data.columns), data.itertuples(index=False))


boxes.acted(draw)
