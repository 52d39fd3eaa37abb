"""Practice orgs from a page: create them, put them back to how they were, remove them."""

from __future__ import annotations

import streamlit as st

from core.services import practice
from pages.parts import boxes, confirm, state, visit


def create() -> None:
    """Start both practice orgs and register them; says how far it got."""
    with st.status("Creating practice orgs", type="step", expanded=True) as progress:
        done = boxes.acted(practice.up, visit.bridge(), visit.actor(), tell=st.write)
        progress.update(
            label="Practice orgs are ready" if done else "Practice orgs could not be created",
            state="complete" if done else "error",
        )
    if done:
        st.session_state[state.TOAST] = "Two practice orgs are ready."
        st.rerun()


def card() -> None:
    """The part of Settings about practice orgs."""
    st.caption(
        "Two orgs that run on this machine, speak Salesforce's API and never call out. Resetting "
        "brings back their first records; what was migrated into them is gone."
    )
    with st.container(horizontal=True):
        wanted = st.button("Create or start", icon=":material/school:", key="practice.up")
        if st.button("Reset…", icon=":material/restart_alt:", key="practice.reset"):
            reset_dialog()
    if wanted:  # under the buttons: how far it got needs the whole width
        create()


@st.dialog("Reset practice orgs?", icon=":material/restart_alt:")
def reset_dialog() -> None:
    """Everything that was migrated into them is lost."""
    st.markdown("Both practice orgs lose every change and get their first records back.")
    if confirm.buttons("Reset practice orgs", key="practice.reset") and boxes.acted(
        practice.reset, visit.bridge(), visit.actor()
    ):
        st.session_state[state.TOAST] = "Practice orgs are as new."
        st.rerun()
