"""What a run tells: its log, and the settings that it was launched with."""

from __future__ import annotations

import streamlit as st

from core.services import run_reads, running
from pages.parts import boxes, export, tables, visit, words

EVENTS_SHOWN = 500
LEVELS = {
    "debug": words.Word("Debug", "gray", "bug_report"),
    "info": words.Word("Info", "gray", "info"),
    "warning": words.Word("Warning", "orange", "warning"),
    "error": words.Word("Error", "red", "cancel"),
}
LOG_COLUMNS = {
    "at": tables.time_column("When", width=180),
    "level": words.pills("Level", LEVELS.values(), width=90),
    "step": st.column_config.TextColumn("Object", width=130),
    "message": st.column_config.TextColumn("What happened", width=640),
}


def log(view: run_reads.RunView) -> None:
    """The run's story in order, newest last."""
    found = running.events(visit.bridge(), visit.actor(), view.row.name, limit=EVENTS_SHOWN)
    if not found:
        boxes.empty("Nothing happened yet", "The story starts when a worker takes the run.")
        return
    needle = st.text_input(
        "Filter the log",
        type="search",
        live=True,
        key="log_q",
        placeholder="Filter the log…",
        label_visibility="collapsed",
        width=360,
    )
    wanted = (needle or "").lower()
    data = tables.frame(
        [
            {
                "at": event.at,
                "level": [words.word(LEVELS, event.level).label],
                "step": event.step or "",
                "message": event.message,
            }
            for event in found
            if wanted in f"{event.step} {event.message}".lower()
        ],
        list(LOG_COLUMNS),
    )
    tables.show(data, LOG_COLUMNS, key="run.log", alt="Log of the run", height=420)
    name = view.row.name
    export.button(
        f"log-{name}", lambda: csv_of(name), key="run.log.csv", help="Every event, as CSV"
    )


def csv_of(name: str) -> bytes:
    """The whole story as a file."""
    found = running.events(visit.bridge(), visit.actor(), name, limit=1_000_000)
    return export.csv_bytes(
        ["at", "level", "object", "message"],
        ([event.at, event.level, event.step, event.message] for event in found),
    )


def settings(view: run_reads.RunView) -> None:
    """The frozen options that the run was launched with."""
    st.caption(f"Plan version v{view.row.plan_version}, frozen at launch.")
    st.json(dict(view.row.options), expanded=True)
