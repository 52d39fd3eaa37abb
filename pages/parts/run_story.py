"""What a run tells: its log, the canary's verdict, objects with all counts, its settings."""

from __future__ import annotations

import streamlit as st

from core.services import run_reads, running
from pages.parts import boxes, export, figures, tables, visit, words

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
COUNTS = {
    "read_rows": "Read",
    "inserted": "Inserted",
    "updated": "Updated",
    "unchanged": "Unchanged",
    "skipped": "Skipped",
    "blocked": "Blocked",
    "failed": "Failed",
    "not_processed": "Not processed",
    "lookups_left_blank": "Lookups blank",
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


def objects(view: run_reads.RunView) -> None:
    """Every object with the sum that must come out: read = what became of each row."""
    columns = {
        "object": st.column_config.TextColumn("Object", pinned=True, width=150),
        "operation": words.pills("Operation", words.OPERATIONS.values(), width=100),
        "wave": st.column_config.NumberColumn("Wave", width=60),
        **{name: tables.rows_column(label, width=92) for name, label in COUNTS.items()},
    }
    data = tables.frame(
        [
            {
                "object": step.mapping_name,
                "operation": [words.word(words.OPERATIONS, step.operation).label],
                "wave": step.wave,
                **{name: getattr(step, name) for name in COUNTS},
            }
            for step in view.steps
        ],
        list(columns),
    )
    st.caption(
        "Read is the sum of inserted, updated, unchanged, skipped, blocked, failed and not "
        "processed; a lookup left blank counts beside."
    )
    tables.show(data, columns, key="run.objects", alt="Every object with all its counts")
    export.button(
        f"objects-{view.row.name}",
        lambda: export.csv_bytes(
            ["object", "source", "target", *COUNTS],
            (
                [s.mapping_name, s.source_object, s.target_object]
                + [getattr(s, name) for name in COUNTS]
                for s in view.steps
            ),
        ),
        key="run.objects.csv",
    )


def canary(view: run_reads.RunView) -> None:
    """What the canary showed, per object."""
    st.caption(
        f"The canary took whole parent trees: {figures.count(view.totals.planned)} rows. "
        f"{figures.count(view.totals.failed)} failed."
    )
    objects(view)


def settings(view: run_reads.RunView) -> None:
    """The frozen options that the run was launched with."""
    st.caption(f"Plan version v{view.row.plan_version}, frozen at launch.")
    st.json(dict(view.row.options), expanded=True)
