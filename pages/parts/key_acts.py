"""Making and revoking an API key; its text is shown once, when it is made."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.errors import OrgbridgeError
from core.services import api_keys
from pages.parts import boxes, confirm, figures, state, visit
from pages.parts.boxes import escaped

#: how long a key is valid, as the dialog offers it; only an admin gives one for ever
LIVES: dict[str, int | None] = {
    "30 days": 30,
    "90 days": 90,
    "1 year": 365,
    "Until it is revoked": None,
}


@st.dialog("Make an API key", icon=":material/vpn_key:")
def make_dialog() -> None:
    """Ask for name, role and life; then show the key, once."""
    own = visit.actor().role
    name = st.text_input(
        "Name", key="key.name", autocomplete="off", placeholder="nightly build", live=True
    )
    role = st.segmented_control(
        "Role",
        [each for each in Role if each <= own],
        default=min(own, Role.ANALYST),
        required=True,
        format_func=lambda given: given.name.capitalize(),
        key="key.role",
    )
    lives = [label for label, days in LIVES.items() if days is not None or own >= Role.ADMIN]
    life = st.selectbox("Valid for", lives, index=lives.index("90 days"), key="key.life")
    if not st.button("Make key", type="primary", key="key.act"):
        return
    try:
        made = api_keys.make(
            visit.bridge(), visit.actor(), name=name or "", role=role, days=LIVES[str(life)]
        )
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    st.success("Copy the key now: it is not shown again.", icon=":material/vpn_key:")
    st.code(made.text.reveal(), language=None)


def card(key: api_keys.KeyRow, *, may_revoke: bool) -> None:
    """One key, with what can be done to it."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        used = f"last used {figures.ago(key.last_used_at)}" if key.last_used_at else "never used"
        st.markdown(f"**{escaped(key.name)}** :gray[{used}]", width="stretch")
        if may_revoke and st.button("Revoke…", icon=":material/block:", key="keys.revoke"):
            _revoke(key)


@st.dialog("Revoke key?", icon=":material/warning:")
def _revoke(key: api_keys.KeyRow) -> None:
    st.markdown(f"Scripts that use **{escaped(key.name)}** are refused from now on.")
    if confirm.buttons("Revoke", key="keys.revoke.act") and boxes.acted(
        api_keys.revoke, visit.bridge(), visit.actor(), key.id
    ):
        st.session_state[state.TOAST] = f"{key.name} was revoked."
        st.rerun()
