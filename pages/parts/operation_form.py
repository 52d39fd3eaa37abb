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
    if when == AGAIN:
        schedule(card, given=given)
        return
    with st.form(f"op.{kind}", border=False):
        words = fields(card, given, key=f"op.{kind}")
        sent = st.form_submit_button("Launch", type="primary")
    if sent and boxes.acted(_launched, kind, words):
        st.rerun()


def schedule(
    card: operations.OperationCard,
    *,
    given: Mapping[str, Any],
    view: schedules.ScheduleView | None = None,
) -> None:
    """The form of an operation's schedule, inside an open dialog: a new one, or a changed one."""
    row, key = view.row if view else None, f"op.{card.kind}.again"
    with st.form(key, border=False):
        name = st.text_input("Name of the schedule", row.name if row else "", key=f"{key}.name")
        words = fields(card, row.options if row else given, key=key)
        cron = st.text_input("Rhythm", row.cron if row else CRON, key=f"{key}.cron")
        st.caption("Minute, hour, day, month, weekday: 30 2 * * 1-5 is 02:30 on weekdays.")
        zone = st.text_input("Time zone", row.time_zone if row else "UTC", key=f"{key}.zone")
        sent = st.form_submit_button("Save schedule", type="primary")
    rhythm = ((name or "").strip(), (cron or "").strip(), (zone or "").strip())
    if sent and boxes.acted(_scheduled, card.kind, words, rhythm, view=view):
        st.rerun()


def _launched(kind: str, words: Mapping[str, str]) -> None:
    given = operations.parsed(kind, words)
    operations.enqueue(visit.bridge(), visit.actor(), kind, given=given)
    st.session_state[state.TOAST] = "Launched; a worker carries it. Logs tell how it stands."


def _scheduled(
    kind: str,
    words: Mapping[str, str],
    rhythm: tuple[str, str, str],
    *,
    view: schedules.ScheduleView | None,
) -> None:
    name, cron, zone = rhythm
    policies: dict[str, str] = {}
    if view is not None:
        policies["late_policy"] = view.row.late_policy
        policies["overlap_policy"] = view.row.overlap_policy
    request = schedules.ScheduleRequest(
        name=name,
        cron=cron,
        time_zone=zone,
        operation=kind,
        options=operations.parsed(kind, words),
        **policies,
    )
    here = (visit.bridge(), visit.actor())
    if view is None:
        schedules.create(*here, request)
    else:
        schedules.change(*here, view.row.id, request=request)
    st.session_state[state.TOAST] = f"{name} fires from its next time on."
