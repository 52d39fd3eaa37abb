"""What a worker carries for a page: launched, watched, stopped; how it stands after a reload too.

The page draws what the last launch found; above it stands what is under way or how it failed. All
of it is read from the log row, so that it is there for whoever opens the page, in any window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import streamlit as st

from core.domain.roles import Role
from core.services import operations
from pages.parts import boxes, figures, visit
from pages.parts.boxes import escaped

TICK = "1s"
MOVING = frozenset({"pending", "running"})
#: a launch that nobody took up for so long asks for a worker
PATIENCE_S = 20


def launch(kind: str, given: Mapping[str, Any]) -> None:
    """Give it to a worker and draw the page anew; a refusal is drawn here."""
    here = (visit.bridge(), visit.actor(), kind)
    if boxes.acted(operations.enqueue, *here, given=given):
        st.rerun()


def newest(kind: str, about: Mapping[str, Any]) -> operations.LogEntry | None:
    """The newest launch about this, however it stands."""
    return operations.latest(visit.bridge(), visit.actor(), kind, given=about, with_result=False)


def is_moving(entry: operations.LogEntry | None) -> bool:
    """Whether it waits for a worker or is carried."""
    return entry is not None and entry.status in MOVING


def draw(kind: str, entry: operations.LogEntry | None, *, what: str) -> None:
    """How the newest launch stands; nothing for one that ended well.

    Args:
        what: the launch as a noun: ``Comparison``.
    """
    if entry is None:
        return
    if is_moving(entry):
        _watched(kind, entry.id, what=what)
    elif entry.status == "failed":
        st.error(
            escaped(entry.error_message or "") or " ",
            title=f"{what} failed {figures.when(entry.finished_at)}",
            icon=":material/error:",
        )
    elif entry.status == "cancelled":
        st.caption(f":material/block: {what} was stopped {figures.when(entry.finished_at)}.")


def _watched(kind: str, log_id: UUID, *, what: str) -> None:
    @st.fragment(run_every=TICK, key=f"under_way.{kind}")
    def part() -> None:
        now = operations.shown(visit.bridge(), visit.actor(), kind, log_id=log_id)
        if now.status not in MOVING:
            st.rerun()
        _card(kind, now, what=what)

    part()


def _card(kind: str, now: operations.LogEntry, *, what: str) -> None:
    took_s = (visit.now() - (now.started_at or now.created_at)).total_seconds()
    since = f"{figures.duration(max(took_s, 0))} · {figures.person(now.requested_by)}"
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container():
            st.markdown(
                f":blue[:material/progress_activity:] **{what}** "
                f":gray[{escaped(_told(now, took_s))}]"
            )
            st.caption(f"{escaped(since)} · goes on when you leave this page")
        if visit.may(Role.ANALYST) and st.button(
            "Stop",
            icon=":material/stop_circle:",
            key=f"under_way.{kind}.stop",
            disabled=now.message == operations.STOPPING,
        ):
            here = (visit.bridge(), visit.actor(), kind)
            if boxes.acted(operations.stop, *here, log_id=now.id):
                st.rerun()


def _told(now: operations.LogEntry, waited_s: float) -> str:
    if now.status == "running":
        return now.message or "A worker has begun."
    if waited_s > PATIENCE_S:
        return "No worker has taken it up yet. One may be busy, or none runs."
    return "Waits for a worker."
