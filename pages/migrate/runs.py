"""Runs: every execution of a plan, what became of it, and how long it took."""

from __future__ import annotations

import streamlit as st

from core.domain.states import RunState
from core.services import run_reads
from pages import registry
from pages.parts import boxes, choice, export, figures, rows, run_list, tables, visit, words

TICK = "5s"
#: a state without a run is left out, but for these
ALWAYS = (RunState.RUNNING, RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED)


def asked() -> run_reads.RunFilter:
    """The filter row: states with how many runs each has, and a word."""
    states, words_typed = st.columns([0.75, 0.25], vertical_alignment="bottom")
    text = words_typed.text_input(
        "Filter runs",
        type="search",
        live=True,
        key="run_q",
        bind="query-params",
        placeholder="Plan, person or run…",
        label_visibility="collapsed",
    )
    needle = (text or "").strip()
    counts = run_reads.counts(visit.bridge(), visit.actor(), run_reads.RunFilter(text=needle))
    held = st.session_state.get("choice.status") or st.query_params.get_all("status")
    kept = {*ALWAYS, *counts, *held}  # what is chosen stays in view
    with states:
        chosen = choice.pills(
            "Status",
            [state.value for state in RunState if state.value in kept],
            key="status",
            default=(),
            format_func=lambda state: (
                f"{words.word(words.STATUSES, state).label} {figures.count(counts.get(state, 0))}"
            ),
            label_visibility="collapsed",
        )
    return run_reads.RunFilter(statuses=tuple(chosen), text=needle)


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
    days = run_reads.history(visit.bridge(), visit.actor(), wanted)
    run_list.charts(found.rows, days, statuses=wanted.statuses)
    data = run_list.frame(found.rows)
    chosen = tables.show(
        data,
        run_list.columns_of(data),
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
    return run_list.csv_of(everything.rows)


boxes.acted(draw)
