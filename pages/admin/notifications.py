"""Notifications: who is told what, and what was delivered."""

from __future__ import annotations

import streamlit as st

from core.services import notices
from core.services.notices import NoticeEvent
from pages.parts import boxes, export, notice_rules, rows, tables, visit, words

STATES = {
    "sent": words.Word("Sent", "green", "check"),
    "pending": words.Word("Waiting", "gray", "schedule"),
    "failed": words.Word("Failed", "red", "cancel"),
}
SWITCH = {True: words.Word("On", "green", "check"), False: words.Word("Off", "gray", "block")}
RULE_COLUMNS = {
    "name": st.column_config.TextColumn("Rule", pinned=True, width=200),
    "when": st.column_config.TextColumn("When", width=360),
    "about": st.column_config.TextColumn("About", width=200),
    "to": st.column_config.TextColumn("To", width=140),
    "on": words.pills("State", SWITCH.values(), width=90),
}
LOG_COLUMNS = {
    "at": tables.time_column("Made", width=160),
    "rule": st.column_config.TextColumn("Rule", width=110),
    "title": st.column_config.TextColumn("Message", width=220),
    "state": words.pills("State", STATES.values(), width=75),
    "attempts": tables.rows_column("Tries", width=50),
    "error": st.column_config.TextColumn("Why not", width=180),
    "body": st.column_config.TextColumn("What it said", width=300),
}
CSV = "created_at rule_name event title body status attempts error_message".split()


def draw() -> None:
    """The page."""
    with rows.head("Notifications"):
        if st.button("New rule…", type="primary", icon=":material/add:", key="notices.new"):
            notice_rules.rule_dialog()
    found = notices.rules(visit.bridge(), visit.actor())
    if found:
        draw_rules(found)
    else:
        boxes.empty(
            "Nobody is told anything yet",
            "A rule says when to tell whom: a failed run, a canary that waits, a lost session.",
            icon=":material/notifications_off:",
        )
    draw_log()


def draw_rules(found: tuple[notices.RuleRow, ...]) -> None:
    """The rules; picking one opens what can be done with it."""
    data = tables.frame(
        [
            {
                "name": rule.name,
                "when": ", ".join(notice_rules.EVENTS[NoticeEvent(each)] for each in rule.events),
                "about": " · ".join(filter(None, (rule.plan_name, rule.org_name))) or "Everything",
                "to": notice_rules.CHANNEL_WORDS[rule.channel],
                "on": [SWITCH[rule.enabled].label],
            }
            for rule in found
        ],
        list(RULE_COLUMNS),
    )
    chosen = tables.show(
        data,
        RULE_COLUMNS,
        key="notices.rules",
        alt="Notification rules",
        on_select="rerun",
        selection_mode="single-row",
    )
    position = tables.picked(chosen)
    if position is not None:
        notice_rules.card(found[position])
        return
    st.caption("Pick a rule to change, test or remove it.")


def draw_log() -> None:
    """What was delivered, newest first."""
    page = int(st.session_state.get("notices.page", 1))
    found = notices.log(visit.bridge(), visit.actor(), page=page, page_rows=tables.PAGE_ROWS)
    st.subheader("Delivered", anchor=False)
    if not found.total:
        st.caption("Nothing was sent yet.")
        return
    tables.show(
        tables.frame([told(each) for each in found.rows], list(LOG_COLUMNS)),
        LOG_COLUMNS,
        key="notices.log",
        alt="Delivered notifications",
    )
    tables.page_of(found.total, key="notices.page")
    export.button("notifications", csv_of, key="notices.csv")


def told(row: notices.DeliveryRow) -> dict[str, object]:
    """One message as the table shows it."""
    return {
        "at": row.created_at,
        "rule": row.rule_name,
        "title": row.title,
        "state": [STATES[row.status].label],
        "attempts": row.attempts,
        "error": row.error_message,
        "body": row.body,
    }


def csv_of() -> bytes:
    """The whole delivery log as CSV."""
    whole = notices.log(visit.bridge(), visit.actor(), page=1, page_rows=100_000)
    return export.csv_bytes(CSV, ([getattr(row, name) for name in CSV] for row in whole.rows))


boxes.acted(draw)
