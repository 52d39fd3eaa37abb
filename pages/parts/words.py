"""One vocabulary of states for badges, table pills and charts: word, colour, icon."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.services.plans import PlanRow
from pages.parts.boxes import escaped


@dataclass(frozen=True, slots=True)
class Word:
    """How one state is written everywhere."""

    label: str
    #: a colour name of Streamlit's theme; its exact shade comes from config.toml
    color: str
    #: Material symbol
    icon: str

    @property
    def badge(self) -> str:
        """Markdown of a badge with icon; colour is never the only sign."""
        return f":{self.color}-badge[:material/{self.icon}: {self.label}]"


#: by the state's value in small letters: runs, steps, plans, schedules
STATUSES: dict[str, Word] = {
    "draft": Word("Draft", "gray", "edit_note"),
    "ready": Word("Ready", "green", "task_alt"),
    "needs_review": Word("Needs review", "orange", "rate_review"),
    "pending": Word("Queued", "gray", "schedule"),
    "scheduled": Word("Scheduled", "gray", "schedule"),
    "waiting for approval": Word("Needs approval", "violet", "pause_circle"),
    "checking": Word("Checking", "blue", "progress_activity"),
    "running": Word("Running", "blue", "progress_activity"),
    "waiting for decision": Word("Waiting for you", "violet", "pause_circle"),
    "pausing": Word("Pausing", "violet", "pause_circle"),
    "paused": Word("Paused", "violet", "pause_circle"),
    "cancelling": Word("Cancelling", "gray", "block"),
    "cancelled": Word("Cancelled", "gray", "block"),
    "succeeded": Word("Succeeded", "green", "check_circle"),
    "partial": Word("Partial", "orange", "error"),
    "failed": Word("Failed", "red", "cancel"),
    "skipped": Word("Skipped", "gray", "skip_next"),
    "undoing": Word("Undoing", "violet", "undo"),
    "undone": Word("Undone", "gray", "undo"),
    "late": Word("Late", "orange", "alarm"),
    "interrupted": Word("Interrupted", "orange", "restart_alt"),
}
SEVERITIES: dict[str, Word] = {
    "blocker": Word("Blocker", "red", "cancel"),
    "error": Word("Error", "red", "cancel"),
    "warning": Word("Warning", "orange", "warning"),
    "unknown": Word("Unknown", "orange", "help"),
    "note": Word("Note", "blue", "info"),
    "info": Word("Note", "blue", "info"),
    "passed": Word("Passed", "green", "check_circle"),
}
ENVIRONMENTS: dict[str, Word] = {
    "production": Word("PRODUCTION", "red", "warning"),
    "sandbox": Word("sandbox", "blue", "cloud"),
    "developer": Word("developer edition", "blue", "cloud"),
    "scratch": Word("scratch org", "blue", "cloud"),
    "trial": Word("trial", "blue", "cloud"),
    "practice": Word("PRACTICE", "violet", "school"),
    "files": Word("files", "gray", "description"),
}
#: what rows are matched by where no field is their key: the ledger
MOVED_BEFORE = "records moved before"
#: of an org that a run or plan names and that is not registered, or no longer
NOT_CONNECTED = Word("not connected", "gray", "cloud_off")
VERDICTS: dict[str, Word] = {
    "match": Word("Match", "green", "check_circle"),
    "missing": Word("Missing", "red", "cancel"),
    "extra": Word("Extra", "orange", "add_circle"),
}
OPERATIONS: dict[str, Word] = {
    "insert": Word("Insert", "green", "add"),
    "upsert": Word("Upsert", "blue", "swap_vert"),
    "update": Word("Update", "violet", "edit"),
    "delete": Word("Delete", "red", "delete"),
    "hard_delete": Word("Hard delete", "red", "delete_forever"),
    "preserve": Word("Preserve", "gray", "link"),
}
FILE_STATES: dict[str, Word] = {
    "kept": Word("Not read yet", "orange", "hourglass_empty"),
    "read": Word("Ready", "green", "task_alt"),
}
HEALTH: dict[str, Word] = {
    "connected": Word("Connected", "green", "check_circle"),
    "session_expired": Word("Session expired", "red", "key_off"),
    "unreachable": Word("Unreachable", "orange", "cloud_off"),
    "revoked": Word("Revoked", "red", "link_off"),
}


def word(of: dict[str, Word], state: object) -> Word:
    """The word of a state; a state without one is written as it is, in gray."""
    name = str(getattr(state, "value", state)).lower()
    return of.get(name) or Word(name.replace("_", " ").capitalize(), "gray", "help")


def org_badge(name: str, environment: object) -> str:
    """Markdown of an org: name and environment; production is red and says so in capitals, an org
    without an environment is not connected, or no longer."""
    kind = NOT_CONNECTED if environment is None else word(ENVIRONMENTS, environment)
    return f":{kind.color}-badge[:material/{kind.icon}: {escaped(name)} · {kind.label}]"


def org_pair(source: tuple[str, object], target: tuple[str, object]) -> str:
    """Markdown of source and target, each ``(name, environment)``; the frame's second row."""
    return f"{org_badge(*source)} :material/arrow_forward: {org_badge(*target)}"


def named_orgs(row: PlanRow, *, of: str = "the orgs") -> str:
    """Both orgs of a plan, for what is said while they are asked; ``of`` where none is connected
    any more."""
    return " and ".join(filter(None, (row.source_org, row.target_org))) or of


def pill(of: dict[str, Word], state: object) -> list[str]:
    """The cell of a column of pills; no pill without a state."""
    return [] if state is None else [word(of, state).label]


def pills(label: str, words: Iterable[Word], **config: Any) -> Any:
    """Column of coloured pills; cells are one-element lists of labels.

    Blue pills vanish on a selected row, whose background is blue: tables that select pass words
    without it.
    """
    unique = {shown.label: shown.color for shown in words}
    return st.column_config.MultiselectColumn(
        label, options=list(unique), color=list(unique.values()), **config
    )
