"""Home: what runs, what waits for you, what comes next; for a newcomer, the first steps."""

from __future__ import annotations

from core.services import orgs, plans
from pages.parts import first_run, home_cards, rows, visit


def draw() -> None:
    """The page: one failed card does not blank it."""
    here = visit.visitor()
    cards = orgs.orgs(visit.bridge(), visit.actor())
    known = plans.plans(visit.bridge(), visit.actor())
    steps = first_run.steps(cards, known)
    is_newcomer = not all(step.is_done for step in steps) and not first_run.has_real_org(cards)
    first_name = here.display_name.split()[0] if here else ""
    with rows.head(f"Welcome, {first_name}" if is_newcomer else "Home"):
        home_cards.launch_button()
    if is_newcomer:
        first_run.draw(steps, has_orgs=bool(cards))
    home_cards.draw(cards, known)


draw()
