"""What one does to a registered org: small acts, and dialogs for those that need a word first."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from core.services import orgs
from pages.parts import boxes, confirm, state, visit
from pages.parts.boxes import escaped


def test(org_id: UUID) -> None:
    """Ask the org whether it answers."""
    orgs.check_health(visit.bridge(), visit.actor(), org_id)


def refresh(org_id: UUID) -> None:
    """Have the org's metadata read again, in the background."""
    orgs.describe_soon(visit.bridge(), visit.actor(), org_id)


def read_only(org_id: UUID) -> None:
    """Refuse every write into the org."""
    orgs.set_read_only(visit.bridge(), visit.actor(), org_id, on=True)


def writable(org_id: UUID) -> None:
    """Allow writes again."""
    orgs.set_read_only(visit.bridge(), visit.actor(), org_id, on=False)


def protect(org_id: UUID) -> None:
    """Ask for the typed name before writes."""
    orgs.set_protected(visit.bridge(), visit.actor(), org_id, on=True)


@st.dialog("Rename org", icon=":material/edit:")
def rename_dialog(card: orgs.OrgCard) -> None:
    """Plans refer to an org by identity, so a new name breaks nothing."""
    with st.form("orgs.rename", border=False):
        name = st.text_input("Name", value=card.name, autocomplete="off")
        st.caption("Plans keep working; plan files exported earlier name the old one.")
        sent = st.form_submit_button("Rename", type="primary")
    if sent and boxes.acted(
        orgs.rename, visit.bridge(), visit.actor(), card.id, name=(name or "").strip()
    ):
        _done(f"{card.name} is now {name}.")


@st.dialog("Take protection off?", icon=":material/warning:")
def unprotect_dialog(card: orgs.OrgCard) -> None:
    """Without protection a launch into this org needs no typed name."""
    st.markdown(f"Launches into **{escaped(card.name)}** will need one click, no typed name.")
    ready = confirm.typed(card.name, key="orgs.unprotect.name")
    if confirm.buttons("Take protection off", key="orgs.unprotect", ready=ready) and boxes.acted(
        orgs.set_protected, visit.bridge(), visit.actor(), card.id, on=False
    ):
        _done(f"{card.name} is no longer protected.")


@st.dialog("Remove org?", icon=":material/warning:")
def remove_dialog(card: orgs.OrgCard) -> None:
    """Says what goes and what stays."""
    st.markdown(
        f"**{escaped(card.name)}** is disconnected and its tokens are deleted. Runs and logs stay; "
        f"reviewed field matches of this org are deleted. Nothing changes in Salesforce."
    )
    if card.plans_using:
        names = ", ".join(escaped(name) for name in card.plans_using)
        st.warning(f"These plans lose it as source or target: {names}", icon=":material/warning:")
    ready = confirm.typed(card.name, key="orgs.remove.name")
    if confirm.buttons("Remove org", key="orgs.remove", ready=ready) and boxes.acted(
        orgs.remove, visit.bridge(), visit.actor(), card.id, confirm=card.name
    ):
        _done(f"{card.name} was removed.")


def _done(told: str) -> None:
    st.session_state[state.TOAST] = told
    st.rerun()
