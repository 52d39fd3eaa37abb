"""Confirmation of what cannot be taken back: the name of the thing has to be typed."""

from __future__ import annotations

import streamlit as st

from pages.parts.boxes import escaped, without_joiners


def typed(expected: str, *, key: str, what: str = "the name") -> bool:
    """Ask for a name to be typed; True while it is. Follows every keystroke, no blur needed."""
    given = st.text_input(
        f"Type {what} **{escaped(expected)}** to confirm",
        key=key,
        live=True,
        autocomplete="off",
        placeholder=expected,
    )
    # the label, which people copy it from, may hold an invisible joiner
    return without_joiners(given or "").strip() == expected


def buttons(act_label: str, *, key: str, ready: bool = True, icon: str | None = None) -> bool:
    """Cancel left, the act right; True when the act was chosen. Cancel closes the dialog."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key=f"{key}.cancel"):
            st.rerun()
        return st.button(act_label, key=f"{key}.act", type="primary", disabled=not ready, icon=icon)
