"""Logs: everything that was launched, of every kind, in one list."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from core.services import logs
from pages import registry
from pages.parts import boxes, days, export, figures, log_parts, rows, tables, visit

DAYS_SHOWN = 30


def asked() -> logs.LogFilter:
    """The filter row."""
    kinds, when, words = st.columns([0.44, 0.26, 0.3], vertical_alignment="bottom")
    chosen = kinds.multiselect(
        "Kind",
        logs.KINDS,
        format_func=lambda kind: kind.replace("_", " ").capitalize(),
        key="kind_of_log",
        bind="query-params",
        placeholder="Every kind",
    )
    today = datetime.now(figures.zone()).date()
    span = when.date_input(
        "Days",
        (today - timedelta(days=DAYS_SHOWN), today),
        key="logs.days",
        persist_state="session",
    )
    text = words.text_input(
        "Contains",
        type="search",
        live=True,
        key="log_text",
        bind="query-params",
        placeholder="Message, run, person…",
    )
    since, until = days.bounds(span)
    return logs.LogFilter(kinds=tuple(chosen), text=(text or "").strip(), since=since, until=until)


def draw() -> None:
    """The page."""
    with rows.head("Logs"):
        place = st.container(width="content")
    wanted = asked()
    page = int(st.session_state.get("logs.page", 1))
    found = logs.logs(visit.bridge(), visit.actor(), wanted, page=page, page_rows=tables.PAGE_ROWS)
    with place:
        export.button(
            "logs",
            lambda: b"".join(logs.logs_csv(visit.bridge(), visit.actor(), wanted)),
            key="logs.csv",
        )
    if not found.total:
        boxes.empty("Nothing matches", "Runs, counts, comparisons and changes appear here.")
        return
    log_parts.chart(logs.per_day(visit.bridge(), visit.actor(), wanted))
    told = "more than " if found.is_at_least else ""
    st.caption(
        f"{told}{figures.plural(found.total, 'entry').replace('entrys', 'entries')}, newest first"
    )
    chosen = tables.show(
        log_parts.frame(found.rows),
        log_parts.COLUMNS,
        key="logs.table",
        alt="Log entries, the newest first",
        on_select="rerun",
        selection_mode="single-row",
    )
    tables.page_of(found.total, key="logs.page")
    position = tables.picked(chosen)
    if position is None:
        return
    row = found.rows[position]
    if row.run_name and st.button(f"Open run {row.run_name}", key="logs.run"):
        registry.go("run", run=row.run_name)
    log_parts.entry(row)


boxes.acted(draw)
