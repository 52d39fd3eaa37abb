"""Settings: safety on production, retention, API budget, time zone, practice orgs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from zoneinfo import available_timezones

import streamlit as st

from core.services import settings
from core.services.settings import WorkspaceSettings
from pages.parts import boxes, practice_orgs, rows, state, visit


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting as the form asks for it."""

    name: str
    label: str
    help: str = ""


TABS: dict[str, tuple[Entry, ...]] = {
    "Production safety": (
        Entry(
            "typed_confirmation",
            "Ask for the typed org name before writing into a protected org",
            "Deletes and undo always ask.",
        ),
        Entry(
            "approval_needed",
            "A launch into a protected org needs the approval of another person",
            "Somebody with the role approver or admin, never the person who asks.",
        ),
        Entry(
            "approval_above_rows",
            "Rows above which a launch into any org needs approval",
            "0 means no such limit.",
        ),
        Entry(
            "max_rows",
            "Most rows of one launch into a protected org",
            "0 means no such limit.",
        ),
    ),
    "Retention": (
        Entry(
            "run_log_days",
            "Days that runs and their logs stay",
            "At least 365. Pinned runs stay for good; the audit trail always does.",
        ),
        Entry(
            "before_image_days",
            "Days that a run can be undone",
            "As long as extracted rows and before-images are kept, encrypted.",
        ),
        Entry("temporary_days", "Days that temporary data stays"),
        Entry("notification_days", "Days that delivered notifications stay listed"),
        Entry("session_days", "Days that ended sessions stay listed"),
    ),
    "General": (
        Entry("time_zone", "Time zone of schedules and notices"),
        Entry(
            "api_budget_percent",
            "Share of an org's daily API calls that runs may use (%)",
            "A run pauses there and can go on later.",
        ),
    ),
}
PRACTICE = "Practice orgs"


def draw() -> None:
    """The page."""
    now = settings.settings(visit.bridge(), visit.actor())
    with rows.head("Settings"):
        pass
    drawn = st.tabs([*TABS, PRACTICE], key="settings.tab", on_change="rerun")
    for (title, entries), place in zip(TABS.items(), drawn, strict=False):
        if place.open:
            with place:
                form(title, entries, now)
    if drawn[-1].open:
        with drawn[-1]:
            boxes.acted(practice_orgs.card)


def form(title: str, entries: tuple[Entry, ...], now: WorkspaceSettings) -> None:
    """The settings of one tab; nothing changes before Save."""
    values = asdict(now)
    with st.form(f"settings.{title}", width=640):
        given = {entry.name: asked(entry, values[entry.name]) for entry in entries}
        sent = st.form_submit_button("Save", type="primary")
    if sent and boxes.acted(settings.change_settings, visit.bridge(), visit.actor(), **given):
        st.session_state[state.TOAST] = "Settings saved."
        st.rerun()


def asked(entry: Entry, value: bool | int | str) -> bool | int | str:
    """The widget that fits the setting's type."""
    key = f"settings.{entry.name}"
    help_text = entry.help or None
    if isinstance(value, bool):
        return st.toggle(entry.label, value=value, key=key, help=help_text)
    if isinstance(value, int):
        return int(st.number_input(entry.label, value=value, step=1, key=key, help=help_text))
    zones = sorted(available_timezones())
    return str(st.selectbox(entry.label, zones, index=zones.index(value), key=key, help=help_text))


boxes.acted(draw)
