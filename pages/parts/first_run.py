"""The first-run card: from nothing to a finished practice migration, one button at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from core.domain.roles import Role
from core.domain.states import FINISHED_RUNS
from core.services import orgs, plans, run_reads
from pages import registry
from pages.parts import org_connect, plan_acts, practice_orgs, visit

LEFT, RIGHT = 0.62, 0.38


@dataclass(frozen=True, slots=True)
class Step:
    """One step."""

    title: str
    what: str
    is_done: bool
    button: str
    act: Callable[[], None]


def steps(
    cards: Sequence[orgs.OrgCard],
    known: Sequence[plans.PlanRow],
    ran: Sequence[run_reads.RunLine],
    *,
    has_counted: bool,
) -> tuple[Step, ...]:
    """The steps with what is done already, read from what exists; nothing is remembered apart."""
    practice = {card.name for card in cards if card.environment == "practice"}
    made = [row for row in known if {row.source_org, row.target_org} <= practice]
    ids = {row.id for row in made}
    done = [run for run in ran if run.plan_id in ids and run.status in FINISHED_RUNS]
    written = [run for run in done if run.mode != "dry-run"]
    plan = {"plan": str(made[0].id)} if made else {}
    return (
        Step(
            "Create practice orgs",
            "“Northwind Legacy” with records and an almost empty “Northwind New”",
            len(practice) >= 2,
            "Create practice orgs",
            practice_orgs.create,
        ),
        Step(
            "Make a plan",
            "Most fields match by name; a few wait for you",
            bool(made),
            "New plan",
            plan_acts.new_plan,
        ),
        Step(
            "Rehearse it",
            "A dry run reads everything and writes nothing",
            bool(done),
            "Check and rehearse",
            lambda: registry.go("launch", mode="dry-run", **plan),
        ),
        Step(
            "Launch it",
            "Some rows fail on purpose: see why, mend the plan, run again",
            bool(written),
            "Launch",
            lambda: registry.go("launch", mode="full", **plan),
        ),
        Step(
            "Check it",
            "Counts of both orgs side by side",
            bool(written) and has_counted,
            "Count records",
            lambda: registry.go("counts"),
        ),
    )


def has_real_org(cards: Sequence[orgs.OrgCard]) -> bool:
    """Whether somebody works with more than practice orgs."""
    return any(card.environment != "practice" for card in cards)


def draw(found: Sequence[Step], *, has_orgs: bool) -> None:
    """The card, and beside it the way to a real org."""
    if not has_orgs:
        st.caption(
            "You have no Salesforce orgs connected yet. Try everything on two practice orgs first: "
            "they run on this machine, behave like Salesforce and never call out."
        )
    left, right = st.columns([LEFT, RIGHT], gap="medium")
    with left, st.container(border=True):
        _card(found)
    if visit.may(Role.ANALYST):
        with right, st.container(border=True):
            _other_ways()


def _other_ways() -> None:
    """What is there to begin with instead."""
    if visit.may(Role.ADMIN):
        st.subheader("Or connect a real org", anchor=False)
        st.caption("Sandboxes first. Production is protected until an admin says otherwise.")
        if st.button(
            "Connect an org…", icon=":material/cloud:", width="stretch", key="home.connect"
        ):
            org_connect.dialog()
    if st.button(
        "Upload CSV files instead",
        icon=":material/upload_file:",
        type="tertiary",
        width="stretch",
        key="home.files",
    ):
        registry.go("csv_files")


def _card(found: Sequence[Step]) -> None:
    done = sum(step.is_done for step in found)
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.subheader("Finish a practice migration", anchor=False, width="stretch")
        st.markdown(":gray-badge[:material/timer: about 3 minutes]", width="content")
    st.progress(done / len(found), text=f"{done} of {len(found)} steps done")
    next_up = next((step for step in found if not step.is_done), None)
    for number, step in enumerate(found, start=1):
        pressed = False
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            _line(step, is_next=step is next_up)
            if step is next_up and visit.may(Role.ANALYST):
                pressed = st.button(step.button, type="primary", key=f"home.step.{number}")
            elif step.is_done:
                st.caption("done", width="content")
        if pressed:  # under the line: what it draws needs the card's width
            step.act()


def _line(step: Step, *, is_next: bool) -> None:
    if step.is_done:
        icon = ":green[:material/check_circle:]"
    else:
        icon = (
            ":blue[:material/radio_button_checked:]"
            if is_next
            else ":gray[:material/radio_button_unchecked:]"
        )
    st.markdown(f"{icon} **{step.title}** :gray[— {step.what}]", width="stretch")
