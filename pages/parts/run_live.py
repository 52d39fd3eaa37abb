"""Everything of a run that moves: progress, five figures, the table of objects, throughput.

One fragment redraws it every two seconds while the run can change; the page around it stays still.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.domain.states import FINISHED_RUNS, RunState, StepState
from core.services import run_reads
from pages.parts import figures, palette, tables, visit, words

TICK = "2s"
#: how the passes after the load are told apart
PASSES = {
    "extract": " (read)",
    "second_pass": " (2nd pass)",
    "finally": " (finally)",
    "verify": " (verify)",
    "undo": " (undo)",
}
COLUMNS = {
    "object": st.column_config.TextColumn("Object", pinned=True, width=150),
    "status": words.pills("Status", words.STATUSES.values(), width=105),
    "done": tables.share_column("Progress", width=130),
    "written": tables.rows_column("Written", width=80),
    "failed": tables.rows_column("Failed", width=70),
    "rows": tables.rows_column("Rows", width=80),
    "took": st.column_config.TextColumn("Took", width=80),
}


def draw(name: str, *, is_moving: bool) -> None:
    """Draw the live part; polls only while the run moves, then redraws the page once."""

    @st.fragment(run_every=TICK if is_moving else None, key="run.live")
    def part() -> None:
        view = run_reads.shown(visit.bridge(), visit.actor(), name)
        if is_moving and view.row.status in FINISHED_RUNS:
            st.rerun()
        _progress(view)
        _figures(view)
        left, right = st.columns([0.6, 0.4], gap="medium")
        with left:
            tables.show(
                steps_frame(shown_steps(view)),
                COLUMNS,
                key="run.steps",
                alt="Progress of every object of this run",
            )
        with right:
            _throughput(run_reads.throughput(visit.bridge(), visit.actor(), name))

    part()


def steps_frame(steps: Sequence[run_reads.StepLine]) -> pd.DataFrame:
    """One row per object and pass."""
    return tables.frame(
        [
            {
                "object": step.mapping_name + PASSES.get(step.phase, ""),
                "status": [words.word(words.STATUSES, status_of(step)).label],
                "done": share_done(step),
                "written": step.written,
                "failed": step.not_ok,
                "rows": step.read_rows,
                "took": figures.duration(took_s(step)),
            }
            for step in steps
        ],
        list(COLUMNS),
    )


def shown_steps(view: run_reads.RunView) -> list[run_reads.StepLine]:
    """Steps that were or will be carried: what a finished run never came to is left out."""
    is_over = view.row.status in FINISHED_RUNS
    return [step for step in view.steps if not (is_over and step.status == StepState.PENDING)]


def status_of(step: run_reads.StepLine) -> str:
    """A step that ended with rows that are not ok is partial, never green."""
    is_partial = step.status == StepState.SUCCEEDED and step.not_ok
    return StepState.PARTIAL if is_partial else step.status


def share_done(step: run_reads.StepLine) -> float:
    """How much of a step is settled, 0–100; a step that ended without a row is done."""
    if step.finished_at is not None:
        return 100.0
    return figures.share(step.done, step.read_rows)


def took_s(step: run_reads.StepLine) -> float | None:
    """Seconds that a step took, or has taken so far."""
    if step.started_at is None:
        return None
    return ((step.finished_at or datetime.now(UTC)) - step.started_at).total_seconds()


def _progress(view: run_reads.RunView) -> None:
    row = view.row
    told = [
        f"**{figures.percent(view.totals.done, view.totals.planned)}**",
        f"{figures.count(view.totals.done)} of {figures.count(view.totals.planned)} rows",
    ]
    if row.status is RunState.RUNNING and view.seconds_left is not None:
        told.append(f"about {figures.duration(view.seconds_left)} left")
    if row.wait_reason:
        told.append(row.wait_reason)
    st.progress(
        min(1.0, figures.share(view.totals.done, view.totals.planned) / 100), " · ".join(told)
    )


def _figures(view: run_reads.RunView) -> None:
    row = view.row
    written, failed, speed, calls, elapsed = st.columns(5)
    plain: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "border": True}
    written.metric(
        "Rows written" if row.mode != "dry-run" else "Would be written",
        figures.count(view.totals.written),
        f"{figures.percent(view.totals.written, view.totals.planned)} of plan",
        **plain,
    )
    failed.metric(
        "Failed rows",
        figures.count(view.totals.failed),
        f"{figures.percent(view.totals.failed, view.totals.done)} of rows",
        delta_color="inverse" if view.totals.failed else "off",
        delta_arrow="off",
        border=True,
    )
    speed.metric("Throughput", f"{figures.count(view.rows_per_s)} rows/s", "average", **plain)
    calls.metric(
        "API calls",
        figures.count(view.api_calls),
        "source and target",
        **plain,
    )
    elapsed.metric("Elapsed", figures.duration(view.seconds), _ends(row), **plain)


def _ends(row: run_reads.RunRow) -> str:
    if row.finished_at is not None:
        return f"finished {figures.when(row.finished_at)}"
    return "not started" if row.started_at is None else f"since {figures.when(row.started_at)}"


def _throughput(ticks: Sequence[run_reads.Tick]) -> None:
    if not ticks:
        st.caption("Throughput appears with the first rows.")
        return
    shades = palette.shades()
    at = [tick.at.astimezone(figures.zone()) for tick in ticks]
    figure = go.Figure()
    figure.add_scatter(
        x=at,
        y=[tick.rows for tick in ticks],
        name="rows/s",
        mode="lines",
        fill="tozeroy",
        line={"color": shades["blue"], "width": 2},
        fillcolor=shades["blue_area"],
    )
    figure.add_bar(
        x=at, y=[tick.failed for tick in ticks], name="failed/s", marker_color=shades["red"]
    )
    figure.update_layout(title={"text": "Throughput", "font": {"size": 13}, "x": 0})
    figure.update_yaxes(rangemode="tozero")
    palette.draw(figure, key="run.throughput", alt="Rows written and failed per second", height=300)
