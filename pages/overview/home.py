"""Home: what runs, what waits for you, what comes next; for a newcomer, the first steps."""

from __future__ import annotations

import streamlit as st

from core.services import operations, orgs, plans, run_reads
from pages.parts import first_run, home_cards, rows, visit

TICK = "10s"


@st.fragment(run_every=TICK, key="home.live")
def live() -> None:
    """Figures, recent runs and what needs a person, fresh every ten seconds."""
    home_cards.draw(
        orgs.orgs(visit.bridge(), visit.actor()), run_reads.overview(visit.bridge(), visit.actor())
    )


def draw() -> None:
    """The page: one failed card does not blank it."""
    here = visit.visitor()
    cards = orgs.orgs(visit.bridge(), visit.actor())
    known = plans.plans(visit.bridge(), visit.actor())
    ran = run_reads.overview(visit.bridge(), visit.actor()).recent
    counts = operations.entries(visit.bridge(), visit.actor(), "record_counts", limit=1)
    steps = first_run.steps(cards, known, ran, has_counted=bool(counts))
    is_newcomer = not all(step.is_done for step in steps) and not first_run.has_real_org(cards)
    first_name = here.display_name.split()[0] if here else ""
    with rows.head(f"Welcome, {first_name}" if is_newcomer else "Home"):
        if cards:
            home_cards.launch_button()
    if is_newcomer:
        first_run.draw(steps, has_orgs=bool(cards))
    if cards:
        live()


draw()
