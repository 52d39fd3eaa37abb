"""The person's menu at the foot of the sidebar: who I am, change password, sign out."""

from __future__ import annotations

import streamlit as st

from core.services import people
from pages.parts import boxes, state, visit
from pages.parts.boxes import escaped

CHANGE_PASSWORD = "Change password…"  # noqa: S105 - a menu entry
SIGN_OUT = "Sign out"
KEY = "person.menu"


def draw(visitor: people.Visitor) -> None:
    """Draw the menu and do what was chosen; shows a waiting toast as well."""
    with st.sidebar:
        chosen = st.menu_button(
            escaped(visitor.display_name),
            [CHANGE_PASSWORD, SIGN_OUT],
            key=KEY,
            icon=":material/account_circle:",
            type="tertiary",
            help=f"{escaped(visitor.email)} · {visitor.actor.role.name.capitalize()}",
        )
    _toast()
    if chosen == SIGN_OUT:
        people.sign_out(visit.bridge(), visit.token())
        st.rerun()
    elif chosen == CHANGE_PASSWORD:
        _change_password()


def _toast() -> None:
    waiting = st.session_state.pop(state.TOAST, None)
    if waiting:
        st.toast(escaped(waiting), icon=":material/check_circle:")


@st.dialog("Change password", icon=":material/key:")
def _change_password() -> None:
    with st.form("person.password", border=False):
        old = st.text_input("Password now", type="password", autocomplete="current-password")
        new = st.text_input(
            "New password",
            type="password",
            autocomplete="new-password",
            help="At least 12 characters; a short sentence is easy to remember.",
        )
        st.caption("Your other sessions end; this one stays.")
        sent = st.form_submit_button("Change password", type="primary")
    if sent and boxes.acted(_change, old, new):
        st.session_state[state.TOAST] = "Password changed."
        st.rerun()


def _change(old: str, new: str) -> None:
    here = visit.visitor()
    people.change_password(
        visit.bridge(),
        visit.actor(),
        old=old or "",
        new=new or "",
        keep=here.session_id if here else None,
    )
