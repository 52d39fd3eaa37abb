"""Users: people, their roles, their sessions."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.services import people
from pages.parts import boxes, export, people_acts, rows, tables, visit, words

ROLE_WORDS = {
    Role.VIEWER: words.Word("Viewer", "gray", "visibility"),
    Role.ANALYST: words.Word("Analyst", "green", "edit"),
    Role.APPROVER: words.Word("Approver", "violet", "verified_user"),
    Role.ADMIN: words.Word("Admin", "orange", "admin_panel_settings"),
}
STATES = {
    "active": words.Word("Active", "green", "check"),
    "invited": words.Word("Invited", "violet", "mail"),
    "deactivated": words.Word("Deactivated", "gray", "block"),
}
COLUMNS = {
    "name": st.column_config.TextColumn("Name", pinned=True, width=200),
    "email": st.column_config.TextColumn("E-mail", width=240),
    "role": words.pills("Role", ROLE_WORDS.values(), width=110),
    "state": words.pills("State", STATES.values(), width=120),
    "seen": tables.time_column("Last seen", width=180),
    "sessions": tables.rows_column("Sessions", width=90),
}


def state_of(person: people.PersonRow) -> str:
    """What a person can do right now."""
    if not person.active:
        return "deactivated"
    return "invited" if person.invited else "active"


def draw() -> None:
    """The page."""
    found = people.people(visit.bridge(), visit.actor())
    with rows.head("Users"):
        export.button("users", lambda: csv_of(found), key="users.csv")
        if st.button("Invite…", type="primary", icon=":material/person_add:", key="users.invite"):
            people_acts.invite_dialog()
    st.caption(
        "A viewer reads, an analyst maps and launches, an approver lets launches of others "
        "into production happen, an admin connects orgs and people."
    )
    data = tables.frame(
        [
            {
                "name": person.name,
                "email": person.email,
                "role": [ROLE_WORDS[person.role].label],
                "state": [STATES[state_of(person)].label],
                "seen": person.last_seen_at,
                "sessions": person.sessions,
            }
            for person in found
        ],
        list(COLUMNS),
    )
    chosen = tables.show(
        data,
        COLUMNS,
        key="users.table",
        alt="People of this workspace",
        on_select="rerun",
        selection_mode="single-row",
    )
    position = tables.picked(chosen)
    if position is None:
        st.caption("Pick a person to change their role, end their sessions or deactivate them.")
    else:
        people_acts.card(found[position])


def csv_of(found: tuple[people.PersonRow, ...]) -> bytes:
    """The list as CSV."""
    return export.csv_bytes(
        ["name", "email", "role", "state", "last_seen", "sessions"],
        (
            [p.name, p.email, p.role.name.lower(), state_of(p), p.last_seen_at, p.sessions]
            for p in found
        ),
    )


boxes.acted(draw)
