"""What a worker carries for a page: launched, watched, stopped; how it stands after a reload too.

The page draws what the last launch found; above it stands what is under way or how it failed. All
of it is read from the log row, so that it is there for whoever opens the page, in any window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.domain.roles import Role
from core.services import operations
from pages.parts import boxes, figures, operation_form, visit
from pages.parts.boxes import escaped

TICK = "1s"
MOVING = frozenset({"pending", "running"})
#: a launch that nobody took up for so long asks for a worker
PATIENCE_S = 20


@dataclass(frozen=True, slots=True)
class Launches:
    """What a page launches, and how it speaks of it."""

    kind: str
    #: what its buttons' keys begin with
    key: str
    #: with "now" and "again" behind it the name of the button
    verb: str
    #: ``Comparison``
    noun: str
    #: title and sentence where nobody launched it yet
    never: str
    told: str
    icon: str = ":material/inbox:"


def latest(
    what: Launches,
    about: Mapping[str, Any],
    *,
    place: DeltaGenerator,
    given: Mapping[str, Any] | None = None,
) -> operations.LogEntry | None:
    """Draw how the newest launch stands; what the last one found, for the page to draw.

    Args:
        about: the parameters that say whose launches these are.
        place: where the buttons go.
        given: what they launch; ``about`` where nothing is said.
    """
    given = about if given is None else given
    here = (visit.bridge(), visit.actor(), what.kind)
    entry = operations.latest(*here, given=about)
    newest = operations.latest(*here, given=about, with_result=False)
    is_moving = newest is not None and newest.status in MOVING
    with place:
        wanted = visit.may(Role.ANALYST) and st.button(
            f"{what.verb} {'again' if entry else 'now'}",
            type="primary",
            icon=":material/refresh:",
            key=f"{what.key}.act",
            disabled=is_moving,
        )
        operation_form.button(what.kind, given=given, key=f"{what.key}.more")
    if wanted:
        launch(what.kind, given)
    if newest is not None:
        _stands(newest, what)
    if entry is None and not is_moving:
        boxes.empty(what.never, what.told, icon=what.icon)
    return entry


def launch(kind: str, given: Mapping[str, Any]) -> None:
    """Give it to a worker and draw the page anew; a refusal is drawn here."""
    here = (visit.bridge(), visit.actor(), kind)
    if boxes.acted(operations.enqueue, *here, given=given):
        st.rerun()


def _stands(entry: operations.LogEntry, what: Launches) -> None:
    """A card for one that moves, a box for one that failed; nothing for one that ended well."""
    if entry.status in MOVING:
        _watched(what.kind, entry.id, what=what.noun)
    elif entry.status == "failed":
        st.error(
            escaped(entry.error_message or "") or " ",
            title=f"{what.noun} failed {figures.when(entry.finished_at)}",
            icon=":material/error:",
        )
    elif entry.status == "cancelled":
        st.caption(f":material/block: {what.noun} was stopped {figures.when(entry.finished_at)}.")


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
