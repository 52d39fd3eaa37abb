"""One run: watch it, decide its canary, see what failed and why, retry, undo."""

from __future__ import annotations

import streamlit as st

from core.errors import NotFoundError
from core.services import run_reads
from pages import registry
from pages.parts import (
    boxes,
    figures,
    rows,
    run_acts,
    run_live,
    run_tabs,
    run_waits,
    visit,
    words,
)
from pages.parts.boxes import escaped


def draw(view: run_reads.RunView) -> None:
    """The page of one run."""
    row = view.row
    with rows.head(
        f"{row.plan_name or 'Deleted plan'} · {'undo' if row.mode == 'undo' else 'run'}",
        badge=words.word(words.STATUSES, run_live.shown_status(row)).badge,
    ):
        run_acts.buttons(view)
    rows.facts(
        words.org_pair(
            (row.source_name or figures.MISSING, row.source_environment),
            (row.target_name or figures.MISSING, row.target_environment),
        ),
        f"`{row.name}`",
        f"v{row.plan_version}",
        row.mode.replace("-", " ") + (" preview" if row.options.get("preview") else ""),
        f"by {escaped(figures.person(row.requested_by))}",
        f"{figures.when(row.started_at or row.created_at)}",
    )
    run_waits.relatives(view)
    run_waits.draw(view)
    run_live.draw(view)
    run_tabs.draw(view)


def nothing_to_draw(*, asked: str) -> None:
    """No run was asked for, or none of that name is here: the way back to the list."""
    with rows.head("Run"):
        pass
    if asked:
        boxes.empty(
            f"There is no run {asked} in this workspace",
            "It may have been deleted with its plan's history, or the address is cut.",
            icon=":material/search_off:",
        )
    else:
        boxes.empty("No run chosen", "Open one from the list of runs.")
    if st.button("Runs", icon=":material/arrow_back:", key="run.none"):
        registry.go("runs")


def draw_asked(name: str) -> None:
    """The run of that name, or that there is none."""
    try:
        view = run_reads.shown(visit.bridge(), visit.actor(), name)
    except NotFoundError:
        nothing_to_draw(asked=name)
        return
    draw(view)


asked = st.query_params.get("run")
if asked:
    boxes.acted(draw_asked, asked)
else:
    nothing_to_draw(asked="")
