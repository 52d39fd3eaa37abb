"""New migration: choose a plan, see what it would do, check it, launch it."""

from __future__ import annotations

import datetime as dt

import streamlit as st

from core.domain.roles import Role
from core.errors import OrgbridgeError, UserError
from core.services import orgs, plans, preflight
from pages import registry
from pages.parts import (
    boxes,
    launch_checks,
    launch_form,
    launch_ready,
    launch_steps,
    rows,
    visit,
    words,
)
from pages.parts.boxes import escaped

NOT_CONNECTED = "The plan is kept; connect an org under this name, and it launches again."


def chosen_plan() -> plans.PlanRow | None:
    """The plan that the address names, or the one picked from the list."""
    found = plans.plans(visit.bridge(), visit.actor())
    if not found:
        boxes.empty("No plan yet", "A migration carries out a plan; make one first.")
        if st.button("Open plans", type="primary", key="launch.plans"):
            registry.go("plans")
        return None
    by_id = {str(row.id): row for row in found}
    asked = st.query_params.get("plan")
    if asked in by_id:
        return by_id[asked]
    if asked is not None:
        gone = "The plan that this link names is not there, or was deleted."
        boxes.error(UserError(gone, state="Nothing was started.", next_step="Choose a plan below."))
    picked = st.selectbox(
        "Plan",
        list(by_id),
        index=None,
        format_func=lambda key: by_id[key].name,
        placeholder="Which plan?",
        key="launch.plan",
        width=420,
    )
    if picked is not None:
        st.query_params["plan"] = picked
        if asked is not None:
            st.rerun()  # without the box above
        return by_id[picked]
    return None


def checked(row: plans.PlanRow) -> tuple[preflight.Report, dt.datetime] | None:
    """What the launch would do, what speaks against it, and when that was asked."""
    try:
        with boxes.asking(f"Checking the plan against {words.named_orgs(row)}…", height=280):
            return launch_checks.report(row)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return None


def draw() -> None:
    """The page."""
    with rows.head("New migration"):
        pass
    row = chosen_plan()
    if row is None:
        return
    known = {card.id: card for card in orgs.sources(visit.bridge(), visit.actor())}
    source, target = (
        known.get(org_id) if org_id else None for org_id in (row.source_org_id, row.target_org_id)
    )
    if source is None or target is None:
        plan = plans.plan(visit.bridge(), visit.actor(), row.id).plan
        sides = {plan.source: source, plan.target: target}
        lost = " and ".join(name for name, card in sides.items() if card is None)
        boxes.empty(f"{lost} is not connected", NOT_CONNECTED, icon=":material/cloud_off:")
        if st.button("Open orgs", type="primary", key="launch.orgs"):
            registry.go("orgs")
        return
    rows.facts(
        f":material/conversion_path: **{escaped(row.name)}** "
        + words.org_pair((source.name, source.environment), (target.name, target.environment))
    )
    plan = plans.plan(visit.bridge(), visit.actor(), row.id).plan
    left, right = st.columns([0.64, 0.36], gap="medium")
    with right:
        chosen = launch_form.how_to_run(row, plan)
    with left:
        asked = checked(row)
        if asked is None:
            return
        found, ran_at = asked
        with st.container(border=True):
            steps = launch_steps.draw(row, plan, found)
        with st.container(border=True):
            launch_checks.draw(row, found, ran_at=ran_at)
    with right, st.container(border=True):
        launch_ready.draw(row, target, chosen=chosen, steps=steps, found=found)


if visit.may(Role.ANALYST):
    boxes.acted(draw)
