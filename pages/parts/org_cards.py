"""Cards of orgs: who they are, whether they answer, how much of the day's calls is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import streamlit as st

from core.services import orgs
from pages import registry
from pages.parts import (
    boxes,
    figures,
    org_acts,
    org_connect,
    org_describing,
    practice_orgs,
    state,
    words,
)
from pages.parts.boxes import code, escaped

CARD_WIDTH = 340
OPEN = "Open"
TEST = "Test connection"
REFRESH = "Refresh metadata"
RECONNECT = "Reconnect…"
RENAME = "Rename…"
READ_ONLY = {False: "Make read-only", True: "Allow writes"}
PROTECTED = {False: "Protect", True: "Take protection off…"}
REMOVE = "Remove…"


def draw(cards: Sequence[orgs.OrgCard], *, can_change: bool) -> None:
    """One card each."""
    with st.grid(columns="auto", min_column_width=CARD_WIDTH):
        for card in cards:
            with st.container(border=True, key=f"orgs.card.{card.id}"):
                _card(card, can_change=can_change)


def nothing_yet(*, can_connect: bool) -> None:
    """What an org is for, and the two ways to get one."""
    with st.container(border=True, width=560):
        boxes.empty(
            "No org connected yet",
            "Orgbridge reads one org and writes into another. Two practice orgs run on this "
            "machine, behave like Salesforce and never call out.",
            icon=":material/cloud_off:",
        )
        if not can_connect:
            st.caption("An admin connects orgs.")
            return
        with st.container(horizontal=True):
            if st.button(
                "Create practice orgs",
                type="primary",
                icon=":material/school:",
                key="orgs.practice",
            ):
                practice_orgs.create()
            if st.button("Connect an org…", icon=":material/add:", key="orgs.connect.first"):
                org_connect.dialog()


def _card(card: orgs.OrgCard, *, can_change: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(f"**{escaped(card.name)}**", width="stretch")
        chosen = st.menu_button(
            "",
            _menu(card, can_change=can_change),
            key=f"orgs.menu.{card.id}",
            icon=":material/more_horiz:",
            type="tertiary",
            help=f"What to do with {escaped(card.name)}",
        )
    kind = words.word(words.ENVIRONMENTS, card.environment)
    health = words.word(words.HEALTH, card.status)
    marks = [kind.badge, health.badge]
    if card.read_only:
        marks.append(":gray-badge[:material/lock: read-only]")
    if card.protected:
        marks.append(":gray-badge[:material/shield: protected]")
    st.markdown(" ".join(marks))
    edition = f"{card.organization_name or figures.MISSING} · {card.organization_type or ''}"
    # No caption: it fades what is in it, and code in it becomes too pale to read (axe, 4.5:1).
    st.markdown(
        f":gray[{escaped(edition.strip(' ·'))}]  \n{code(card.username or figures.MISSING)}"
    )
    _usage(card)
    org_describing.line(card)
    if card.status != "connected" and card.status_reason:
        boxes.remark(escaped(card.status_reason))
    if chosen is not None:
        _choose(card, chosen)


def _usage(card: orgs.OrgCard) -> None:
    if card.api_used is None or not card.api_allowed:
        st.progress(0.0, text="API calls today: not asked yet")
        return
    st.progress(
        min(1.0, card.api_used / card.api_allowed),
        text=f"API calls today: {figures.count(card.api_used)} "
        f"of {figures.count(card.api_allowed)} · asked {figures.when(card.usage_at)}",
    )


def _menu(card: orgs.OrgCard, *, can_change: bool) -> list[str]:
    if not can_change:
        return [OPEN]
    return [
        OPEN,
        TEST,
        REFRESH,
        RECONNECT,
        RENAME,
        READ_ONLY[card.read_only],
        PROTECTED[card.protected],
        REMOVE,
    ]


def _choose(card: orgs.OrgCard, chosen: str) -> None:
    dialogs: dict[str, Callable[[], None]] = {
        OPEN: lambda: registry.go("orgs", org=str(card.id)),
        RECONNECT: lambda: org_connect.dialog(again=card),
        RENAME: lambda: org_acts.rename_dialog(card),
        PROTECTED[True]: lambda: org_acts.unprotect_dialog(card),
        REMOVE: lambda: org_acts.remove_dialog(card),
    }
    acts: dict[str, tuple[str, Callable[[UUID], object]]] = {
        TEST: ("answers", org_acts.test),
        REFRESH: ("is being read again", org_acts.refresh),
        READ_ONLY[False]: ("is read-only", org_acts.read_only),
        READ_ONLY[True]: ("takes writes again", org_acts.writable),
        PROTECTED[False]: ("is protected", org_acts.protect),
    }
    if chosen in dialogs:
        dialogs[chosen]()
        return
    said, act = acts[chosen]
    with boxes.asking(f"Asking {card.name}…", height=40):
        went_well = boxes.acted(act, card.id)
    if went_well:
        st.session_state[state.TOAST] = f"{card.name} {said}."
        st.rerun()
