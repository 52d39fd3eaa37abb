"""The form of an operation, made from its declaration; a drawer that launches or schedules it.

Every parameter is one input by its JSON type; what is written there goes through the same words as
on a command line, and the operation's own model checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.domain.roles import Role
from core.services import operations, schedules
from pages.parts import boxes, state, visit

NOW, AGAIN = "Now, once", "Again and again"
CRON = "30 2 * * *"


def fields(card: operations.OperationCard, given: Mapping[str, Any], *, key: str) -> dict[str, str]:
    """One input per parameter; the words written there."""
    required = set(card.schema.get("required", ()))
    words: dict[str, str] = {}
    for name, schema in card.schema["properties"].items():
        label = f"{schema.get('title', name)}{' *' if name in required else ''}"
        now = given.get(name, schema.get("default"))
        words[name] = _field(schema, label, now, key=f"{key}.{name}")
    return words


def _field(schema: Mapping[str, Any], label: str, now: Any, *, key: str) -> str:
    kind = operations.type_of(schema)
    if "enum" in schema:
        options = [str(one) for one in schema["enum"]]
        at = options.index(str(now)) if str(now) in options else 0
        return str(st.selectbox(label, options, index=at, key=key))
    if kind == "boolean":
        return str(st.toggle(label, value=bool(now), key=key)).lower()
    if kind == "array":
        shown = ", ".join(map(str, now or ()))
        return st.text_input(f"{label} (by commas)", shown, key=key, autocomplete="off") or ""
    shown = "" if now is None else str(now)
    return st.text_input(label, shown, key=key, autocomplete="off") or ""


def button(kind: str, *, given: Mapping[str, Any], key: str) -> None:
    """Opens the drawer of an operation, filled with what the page shows."""
    if visit.may(Role.ANALYST) and st.button(
        "More…", icon=":material/tune:", key=key, help="Other parameters, or a schedule"
    ):
        drawer(kind, given)


@st.dialog("Launch", position="right", width=480, icon=":material/tune:")
def drawer(kind: str, given: Mapping[str, Any]) -> None:
    """All parameters of an operation: launched now by a worker, or kept as a schedule."""
    cards = {card.kind: card for card in operations.offered(visit.actor())}
    if kind not in cards:
        boxes.empty("Not yours to launch", "Ask an admin for the role of an analyst.")
        return
    card = cards[kind]
    st.caption(card.purpose)
    when = st.segmented_control(
        "When", [NOW, AGAIN], default=NOW, required=True, key=f"op.{kind}.when"
    )
    with st.form(f"op.{kind}", border=False):
        words = fields(card, given, key=f"op.{kind}")
        name = cron = zone = ""
        if when == AGAIN:
            name = st.text_input("Name of the schedule", key=f"op.{kind}.name") or ""
            cron = st.text_input("Rhythm", CRON, key=f"op.{kind}.cron") or ""
            zone = st.text_input("Time zone", "UTC", key=f"op.{kind}.zone") or ""
            st.caption("Minute, hour, day, month, weekday: 30 2 * * 1-5 is 02:30 on weekdays.")
        sent = st.form_submit_button(
            "Launch" if when == NOW else "Keep the schedule", type="primary"
        )
    if not sent:
        return
    act = _launched if when == NOW else _scheduled
    if boxes.acted(act, kind, words, name, cron, zone):
        st.rerun()


def _launched(kind: str, words: Mapping[str, str], *_: str) -> None:
    given = operations.parsed(kind, words)
    operations.enqueue(visit.bridge(), visit.actor(), kind, given=given)
    st.session_state[state.TOAST] = "Launched; a worker carries it. Logs tell how it stands."


def _scheduled(kind: str, words: Mapping[str, str], *rest: str) -> None:
    name, cron, zone = rest
    request = schedules.ScheduleRequest(
        name=name.strip(),
        cron=cron.strip(),
        time_zone=zone.strip(),
        operation=kind,
        options=operations.parsed(kind, words),
    )
    schedules.create(visit.bridge(), visit.actor(), request)
    st.session_state[state.TOAST] = f"{name} fires from its next time on."
