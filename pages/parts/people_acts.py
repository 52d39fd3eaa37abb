"""What an admin does to a person: invite, change the role, end sessions, deactivate."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.errors import OrgbridgeError
from core.services import people
from pages.parts import boxes, confirm, figures, state, tables, visit
from pages.parts.boxes import escaped

SESSION_COLUMNS = {
    "origin": st.column_config.TextColumn("From", width=130),
    "agent": st.column_config.TextColumn("Browser", width=320),
    "created": tables.time_column("Signed in", width=180),
    "seen": tables.time_column("Last seen", width=180),
}


@st.dialog("Invite a person", icon=":material/person_add:")
def invite_dialog() -> None:
    """Makes an account that waits for its password; the link is shown once."""
    name = st.text_input("Name", key="invite.name", autocomplete="off")
    email = st.text_input("E-mail", key="invite.email", type="email", autocomplete="off")
    role = st.segmented_control(
        "Role",
        list(Role),
        default=Role.ANALYST,
        required=True,
        format_func=lambda given: given.name.capitalize(),
        key="invite.role",
    )
    if not st.button("Create invitation", type="primary", key="invite.act"):
        return
    try:
        made = people.invite(
            visit.bridge(), visit.actor(), name=name or "", email=email or "", role=role
        )
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    st.success("Send this link to the person; it works once.", icon=":material/link:")
    st.code(_link(made.token), language=None)
    st.caption(f"Valid until {figures.absolute(made.expires_at)}. It is not shown again.")


def card(person: people.PersonRow) -> None:
    """One person: role, sessions, deactivation."""
    with st.container(border=True):
        st.markdown(f"**{escaped(person.name)}** :gray[{escaped(person.email)}]")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            role = st.selectbox(
                "Role",
                list(Role),
                index=list(Role).index(person.role),
                format_func=lambda given: given.name.capitalize(),
                key=f"users.role.{person.id}",
                width=200,
            )
            if (
                role is not None
                and role != person.role
                and st.button(
                    f"Make {role.name.lower()}", type="primary", key=f"users.role.act.{person.id}"
                )
            ):
                _set_role(person, role)
            _activation(person)
        boxes.acted(_sessions, person)


def _set_role(person: people.PersonRow, role: Role) -> None:
    if boxes.acted(people.change_role, visit.bridge(), visit.actor(), person.id, role=role):
        st.session_state[state.TOAST] = f"{person.name} is now {role.name.lower()}."
        st.rerun()


def _activation(person: people.PersonRow) -> None:
    if person.active:
        if st.button("Deactivate…", icon=":material/block:", key=f"users.off.{person.id}"):
            _deactivate(person)
    elif st.button("Reactivate", icon=":material/undo:", key=f"users.on.{person.id}") and (
        boxes.acted(people.reactivate, visit.bridge(), visit.actor(), person.id)
    ):
        st.session_state[state.TOAST] = f"{person.name} can sign in again."
        st.rerun()


@st.dialog("Deactivate person?", icon=":material/warning:")
def _deactivate(person: people.PersonRow) -> None:
    st.markdown(
        f"**{escaped(person.name)}** is signed out everywhere and cannot sign in. Their plans, "
        f"schedules and audit entries stay."
    )
    if confirm.buttons("Deactivate", key="users.deactivate") and boxes.acted(
        people.deactivate, visit.bridge(), visit.actor(), person.id
    ):
        st.session_state[state.TOAST] = f"{person.name} was deactivated."
        st.rerun()


def _sessions(person: people.PersonRow) -> None:
    here = visit.visitor()
    found = people.sessions_of(
        visit.bridge(), visit.actor(), person.id, current=here.session_id if here else None
    )
    if not found:
        st.caption("No open session.")
        return
    chosen = tables.show(
        tables.frame(
            [
                {
                    "origin": s.origin + (" (this one)" if s.is_current else ""),
                    "agent": s.agent,
                    "created": s.created_at,
                    "seen": s.last_seen_at,
                }
                for s in found
            ],
            list(SESSION_COLUMNS),
        ),
        SESSION_COLUMNS,
        key=f"users.sessions.{person.id}",
        alt=f"Open sessions of {person.name}",
        on_select="rerun",
        selection_mode="single-row",
    )
    position = tables.picked(chosen)
    if position is not None and st.button("End this session", key="users.session.end"):
        if boxes.acted(people.revoke_session, visit.bridge(), visit.actor(), found[position].id):
            st.session_state[state.TOAST] = "The session has ended."
            st.rerun()


def _link(token: str) -> str:
    shown = st.context.url or "http://localhost:8501/"
    scheme, _, rest = shown.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}/invite?token={token}"
