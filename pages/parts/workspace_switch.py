"""The workspace switch in the sidebar; drawn for people who belong to more than one."""

from __future__ import annotations

import streamlit as st

from core.services import people, workspaces
from pages import registry
from pages.parts import boxes, state, visit

KEY = "frame.workspace"


def draw(visitor: people.Visitor) -> None:
    """Draw it, and go on in the workspace that was chosen."""
    mine = workspaces.workspaces(visit.bridge(), visitor.actor)
    if len(mine) < 2:
        return
    current = next(at for at, each in enumerate(mine) if each.is_current)
    with st.sidebar:
        chosen = st.selectbox(
            "Workspace",
            mine,
            index=current,
            format_func=lambda each: each.name,
            # another key after each move: the widget would keep the workspace that was left
            key=f"{KEY}.{mine[current].id}",
        )
        if chosen.is_current or not boxes.acted(
            workspaces.enter,
            visit.bridge(),
            visitor.actor,
            chosen.id,
            session_id=visitor.session_id,
        ):
            return
    _forget_the_other_one()
    st.session_state[state.TOAST] = f"You are in {chosen.name}."
    registry.go("home")


def _forget_the_other_one() -> None:
    """What pages keep belongs to the workspace that was left: ids there mean nothing here."""
    for key in [key for key in st.session_state if key != state.TOKEN]:
        del st.session_state[key]
