"""One run: watch it, decide its canary, see what failed and why, retry, undo."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.errors import NotFoundError
from core.services import run_reads
from pages import registry
from pages.parts import (
    boxes,
    choice,
    figures,
    rows,
    run_acts,
    run_errors,
    run_files,
    run_live,
    run_objects,
    run_proof,
    run_story,
    run_waits,
    visit,
    words,
)
from pages.parts.boxes import escaped

TABS = ("errors", "proof", "canary", "objects", "checks", "log", "files", "settings")
#: tabs whose figures grow while the run goes on
MOVING_TABS = frozenset({"errors", "objects", "log"})
TAB_TICK = "10s"
TAB_WORDS = {
    "errors": "Errors",
    "proof": "Proof",
    "log": "Log",
    "canary": "Canary",
    "objects": "Objects",
    "checks": "Checks",
    "files": "Files",
    "settings": "Settings",
}


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
    tabs(view)


def tabs(view: run_reads.RunView) -> None:
    """Only the open tab is computed."""
    kept = {"canary": view.row.mode == "canary", "checks": "preflight" in view.row.summary}
    shown = [tab for tab in TABS if kept.get(tab, True)]
    moves, failed = run_live.moves(view.row), view.totals.failed
    titles = {tab: TAB_WORDS[tab] for tab in shown}
    if failed and not moves:  # titles stand still while the run goes on
        titles["errors"] = f"Errors :red-badge[{figures.count(failed)}]"
    tab, place = choice.tabs(titles, key="tab")
    bodies = {
        "errors": run_errors.draw,
        "proof": run_proof.draw,
        "log": run_story.log,
        "canary": run_objects.canary,
        "objects": run_objects.draw,
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
