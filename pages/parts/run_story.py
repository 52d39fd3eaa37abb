"""What a run tells: its log, and the settings that it was launched with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from core.domain.names import object_name
from core.domain.states import FINISHED_RUNS
from core.services import run_reads, running
from pages.parts import (
    boxes,
    export,
    figures,
    launch_form,
    launch_loads,
    run_live,
    tables,
    visit,
    words,
)
from pages.parts.boxes import escaped

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
    """The run's story in order; while the run moves the newest line is on top, in view."""
    moves = run_live.moves(view.row)
    here = (visit.bridge(), visit.actor(), view.row.name)
    found = running.events(*here, limit=EVENTS_SHOWN, newest=True)
    if not found:
        if view.row.status in FINISHED_RUNS:
            boxes.empty("Nothing to tell", "It ended before its first step.")
        else:
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
    targets = {step.mapping_name: step.target_object for step in view.steps}
    data = tables.frame(
        [
            {
                "at": event.at,
                "level": [words.word(LEVELS, event.level).label],
                "step": object_name(event.step or "", targets.get(event.step or "", "")),
                "message": event.message,
            }
            for event in (reversed(found) if moves else found)
            if wanted in f"{event.step} {event.message}".lower()
        ],
        list(LOG_COLUMNS),
    )
    tables.show(data, LOG_COLUMNS, key="run.log", alt="Log of the run", height=420)
    name = view.row.name
    with st.container(horizontal=True, vertical_alignment="center"):
        export.button(
            f"log-{name}", lambda: csv_of(name), key="run.log.csv", help="Every event, as CSV"
        )
        told = ["newest first while the run goes on"] if moves else []
        if len(found) == EVENTS_SHOWN:
            told.insert(0, f"the newest {figures.count(EVENTS_SHOWN)} lines; the CSV holds all")
        if told:
            said = " · ".join(told)
            st.caption(f"{said[:1].upper()}{said[1:]}.")


def csv_of(name: str) -> bytes:
    """The whole story as a file."""
    found = running.events(visit.bridge(), visit.actor(), name, limit=1_000_000)
    return export.csv_bytes(
        ["at", "level", "object", "message"],
        ([event.at, event.level, event.step, event.message] for event in found),
    )


def settings(view: run_reads.RunView) -> None:
    """The options that the run was launched with, in words; as stored below for those who ask."""
    row, options = view.row, view.row.options
    st.caption(f"Plan version v{row.plan_version}, frozen at launch.")
    st.table(_told(row, options), border="horizontal")
    with st.expander("As stored", type="compact", key="run.settings.stored"):
        st.json(dict(options), expanded=True)


def _told(row: run_reads.RunRow, options: Mapping[str, Any]) -> dict[str, str]:
    """Options that say something, by the words of the launch page."""
    percent, start = options.get("stop_at_failed_percent"), options.get("start_at")
    only, loads = options.get("only") or (), options.get("loads") or {}
    who = escaped(figures.person(row.requested_by))
    answer = launch_form.EMAIL_ANSWERS.get(str(options.get("email_answer")), "not asked")
    told = {
        "Mode": launch_form.MODES.get(row.mode, row.mode.replace("-", " ").capitalize()),
        "Objects": ", ".join(escaped(name) for name in only) or "all of the plan",
        "Launched": f"{figures.absolute(row.created_at)} by {who}",
        "Reason": escaped(row.reason or figures.MISSING),
    }
    if "email_answer" in options:  # runs that send rows; an undo has no such options
        told |= {
            "To start": figures.absolute(datetime.fromisoformat(start)) if start else "at once",
            "Batch size": figures.count(options["batch"]) if options.get("batch") else "by API",
            "API": launch_loads.APIS.get(str(options.get("api") or "auto"), "By cost"),
            "Options per object": ", ".join(escaped(name) for name in loads) or "none",
            "Stops at failed rows": f"{percent} %" if percent else "never",
            "Undo data": "kept" if options.get("keep_undo") else "not kept",
            "Fields compared afterwards": "yes" if options.get("verify") else "no",
            "E-mail from the target": answer,
        }
    if row.mode == "canary":
        told["Canary"] = f"about {options.get('canary_percent')} % of each object first"
    if options.get("irreversible"):
        told["No undo takes back"] = " ".join(escaped(each) for each in options["irreversible"])
    return told
