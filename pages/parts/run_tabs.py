"""The tabs of a run's page: only the open one is computed, and it moves while the run does."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.services import run_reads
from pages.parts import (
    boxes,
    choice,
    figures,
    run_errors,
    run_files,
    run_live,
    run_objects,
    run_plan,
    run_proof,
    run_story,
    visit,
)

TABS = ("errors", "proof", "canary", "objects", "plan", "checks", "log", "files", "settings")
#: tabs whose figures grow while the run goes on
MOVING_TABS = frozenset({"errors", "objects", "log"})
TAB_TICK = "10s"
TAB_WORDS = {
    "errors": "Errors",
    "proof": "Proof",
    "log": "Log",
    "canary": "Canary",
    "objects": "Objects",
    "plan": "Plan",
    "checks": "Checks",
    "files": "Files",
    "settings": "Settings",
}


def titles_of(view: run_reads.RunView) -> dict[str, str]:
    """The tabs that the run has, by name, with what each is called."""
    kept = {
        "canary": view.row.mode == "canary",
        "plan": view.row.mode != "undo",
        "checks": "preflight" in view.row.summary,
    }
    shown = [tab for tab in TABS if kept.get(tab, True)]
    moves, failed = run_live.moves(view.row), view.still_failed
    titles = {tab: TAB_WORDS[tab] for tab in shown}
    unfilled = view.still_unfilled
    if (failed or unfilled) and not moves:  # titles stand still while the run goes on
        color = "red" if failed else "orange"
        titles["errors"] = f"Errors :{color}-badge[{figures.count(failed or unfilled)}]"
    return titles


def draw(view: run_reads.RunView) -> None:
    """Only the open tab is computed."""
    titles = titles_of(view)
    moves = run_live.moves(view.row)
    tab, place = choice.tabs(titles, key="tab")
    bodies = {
        "errors": run_errors.draw,
        "proof": run_proof.draw,
        "log": run_story.log,
        "canary": run_objects.canary,
        "objects": run_objects.draw,
        "plan": run_plan.draw,
        "checks": run_objects.checks,
        "files": run_files.draw,
        "settings": run_story.settings,
    }
    with place:
        if moves and tab in MOVING_TABS:
            moving(bodies[tab], view)
        else:
            boxes.acted(bodies[tab], view)


@st.fragment(run_every=TAB_TICK, key="run.tab")
def moving(body: Callable[[run_reads.RunView], None], view: run_reads.RunView) -> None:
    """The open tab of a run that goes on, fresh every few seconds."""
    here = str(view.row.workspace_id)
    boxes.acted(body, run_live.now(visit.bridge(), visit.actor(), view.row.name, workspace=here))
