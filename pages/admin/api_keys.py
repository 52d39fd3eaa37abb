"""API keys: what scripts show in place of a person; made here, shown once, revoked here."""

from __future__ import annotations

from dataclasses import fields

import streamlit as st

from core.domain.roles import Role
from core.services import api_keys
from pages.parts import api_reference, boxes, export, key_acts, rows, tables, visit, words

STATES = {
    "valid": words.Word("Valid", "green", "check_circle"),
    "expired": words.Word("Expired", "orange", "timer_off"),
    "revoked": words.Word("Revoked", "gray", "block"),
}
NOT_IN_CSV = ("id", "owner_id")
COLUMNS = {
    "name": st.column_config.TextColumn("Name", pinned=True, width=190),
    "key": st.column_config.TextColumn("Begins with", width=180),
    "role": st.column_config.TextColumn("Role", width=90),
    "owner": st.column_config.TextColumn("Acts for", width=220),
    "state": words.pills("State", STATES.values(), width=100),
    "used": tables.time_column("Last used", width=180),
    "expires": tables.time_column("Valid until", width=180),
    "made": tables.time_column("Made", width=180),
}


def draw() -> None:
    """The page."""
    found = api_keys.keys(visit.bridge(), visit.actor())
    with rows.head("API keys"):
        if found:
            export.button("api-keys", lambda: csv_of(found), key="keys.csv")
        if st.button("Make a key…", type="primary", icon=":material/add:", key="keys.make"):
            key_acts.make_dialog()
    st.caption(
        "A script sends its key as a bearer token to the addresses below /api/v1/. It may do what "
        "the key's role allows, and never more than the person it acts for."
    )
    if not found:
        boxes.empty(
            "No key yet",
            "Keys let CI and scripts launch operations and ask how they ended.",
            icon=":material/vpn_key:",
        )
    else:
        listing(found)
    api_reference.draw()


def listing(found: tuple[api_keys.KeyRow, ...]) -> None:
    """All keys as a table; the picked one can be revoked."""
    chosen = tables.show(
        tables.frame(
            [
                {
                    "name": key.name,
                    "key": f"{key.prefix}_…",
                    "role": key.role.name.capitalize(),
                    "owner": key.owner,
                    "state": [STATES[key.state_at(visit.now())].label],
                    "used": key.last_used_at,
                    "expires": key.expires_at,
                    "made": key.created_at,
                }
                for key in found
            ],
            list(COLUMNS),
        ),
        COLUMNS,
        key="keys.table",
        alt="API keys of this workspace",
        on_select="rerun",
        selection_mode="single-row",
    )
    position = tables.picked(chosen)
    if position is None or found[position].revoked_at is not None:
        st.caption("Pick a valid key to revoke it.")
    else:
        key_acts.card(found[position], may_revoke=may_revoke(found[position]))


def may_revoke(key: api_keys.KeyRow) -> bool:
    """One's own, or anybody's for an admin; the service checks again."""
    return visit.may(Role.ADMIN) or key.owner_id == visit.actor().user_id


def csv_of(found: tuple[api_keys.KeyRow, ...]) -> bytes:
    """The list without any secret; a row holds none."""
    return export.csv_bytes(
        [field.name for field in fields(api_keys.KeyRow) if field.name not in NOT_IN_CSV],
        (
            [value_of(key, field.name) for field in fields(key) if field.name not in NOT_IN_CSV]
            for key in found
        ),
    )


def value_of(key: api_keys.KeyRow, name: str) -> object:
    """A column of the CSV."""
    return key.role.name.lower() if name == "role" else getattr(key, name)


boxes.acted(draw)
