"""Schedules: what runs by itself, when next, and what came of it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.roles import Role
from core.services import plans, schedules
from pages.parts import (
    boxes,
    export,
    figures,
    rows,
    schedule_acts,
    schedule_form,
    tables,
    visit,
    words,
)

COLUMNS = {
    "name": st.column_config.TextColumn("Schedule", pinned=True, width=165),
    "what": st.column_config.TextColumn("What", width=175),
    "rhythm": st.column_config.TextColumn("When", width=215),
    "next": st.column_config.DatetimeColumn("Next", format="distance", width=112),
    "last": words.pills("Last result", schedule_acts.OUTCOMES.values(), width=105),
    "strip": st.column_config.BarChartColumn(
        "Last 30",
        width=110,
        y_min=0,
        y_max=max(schedule_acts.HEIGHTS.values()),
        help="One bar a firing, the newest at the right: full is succeeded, half is partial or "
        "still open, low is failed, none is skipped",
    ),
    "state": words.pills(
        "State",
        [words.Word("On", "green", ""), words.Word("Off", "gray", ""), words.STATUSES["late"]],
        width=65,
    ),
}


def state_of(view: schedules.ScheduleView) -> str:
    """On, off, or late."""
    if not view.row.enabled:
        return "Off"
    return words.STATUSES["late"].label if view.is_late else "On"


def frame(found: tuple[schedules.ScheduleView, ...]) -> pd.DataFrame:
    """One row per schedule."""
    return tables.frame(
        [
            {
                "name": view.row.name,
                "what": schedule_acts.what(view),
                "rhythm": view.words,
                "next": view.next_times[0] if view.next_times else None,
                "last": schedule_acts.last_words(view),
                "strip": schedule_acts.strip(view),
                "state": [state_of(view)],
            }
            for view in found
        ],
        list(COLUMNS),
    )


def csv_of(data: pd.DataFrame) -> bytes:
    """The list as CSV; the strip is a picture."""
    told = data.drop(columns="strip")
    return export.csv_bytes(list(told.columns), told.itertuples(index=False))


def draw() -> None:
    """The page."""
    found = schedules.schedules(visit.bridge(), visit.actor())
    known = plans.plans(visit.bridge(), visit.actor())
    may_change = visit.may(Role.ANALYST)
    data = frame(found)
    with rows.head("Schedules"):
        if found:
            export.button(
                "schedules",
                lambda: csv_of(data),
                key="schedules.csv",
            )
        if may_change and st.button(
            "New schedule…", type="primary", icon=":material/add:", key="schedules.new"
        ):
            schedule_form.drawer(known)
    if not found:
        boxes.empty(
            "No schedule yet",
            "A schedule launches by itself: a plan every night as a delta, record counts, a search"
            " for duplicates.",
            icon=":material/calendar_clock:",
        )
        return
    chosen = tables.show(
        data,
        COLUMNS,
        key="schedules.table",
        alt="Schedules, the next due first",
        on_select="rerun",
        selection_mode="single-row",
    )
    position = tables.picked(chosen)
    if position is None:
        st.caption(
            "Pick a schedule to see its next times, change it or switch it off. "
            f"Times are shown in {figures.zone()}."
        )
    else:
        schedule_acts.card(found[position], known, may_change=may_change)


boxes.acted(draw)
