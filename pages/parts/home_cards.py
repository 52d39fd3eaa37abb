"""The cards of Home: what needs a person."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain.roles import Role
from core.services import orgs, plans
from pages import registry
from pages.parts import boxes, visit
from pages.parts.boxes import escaped


def launch_button() -> None:
    """The page's one primary action, where the role allows it."""
    if (
        registry.is_listed("launch")
        and visit.may(Role.ANALYST)
        and st.button(
            "New migration",
            type="primary",
            icon=":material/rocket_launch:",
            shortcut="N",
            key="home.new",
        )
    ):
        registry.go("launch")


def draw(cards: Sequence[orgs.OrgCard], known: Sequence[plans.PlanRow]) -> None:
    """What waits for somebody."""
    if cards:
        with st.container(border=True):
            st.subheader("Needs you", anchor=False)
            needs_you(cards)


def needs_you(cards: Sequence[orgs.OrgCard]) -> None:
    """Lines with the button that leads to the place."""
    lost = [card for card in cards if card.status != "connected"]
    for card in lost:
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            st.markdown(
                f":orange[:material/key_off:] {escaped(card.name)}: "
                f"{escaped(card.status_reason or card.status.replace('_', ' '))}",
                width="stretch",
            )
            if st.button("Reconnect", type="tertiary", key=f"home.org.{card.id}"):
                registry.go("orgs", org=str(card.id))
    if not lost:
        boxes.empty("Nothing waits for you", "Decisions, reconnects and reviews appear here.")
