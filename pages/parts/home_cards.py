"""The cards of Home: five figures, recent runs, what needs a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.domain.roles import Role
from core.domain.states import RunState
from core.services import approvals, orgs, run_reads, schedules
from pages import registry
from pages.parts import boxes, figures, run_list, tables, visit
from pages.parts.boxes import escaped

RECENT = ("plan", "mode", "status", "done", "rows", "failed", "started")


def launch_button() -> None:
    """The page's one primary action, where the role allows it."""
    if visit.may(Role.ANALYST) and st.button(
        "New migration",
        type="primary",
        icon=":material/rocket_launch:",
        shortcut="N",
        key="home.new",
    ):
        registry.go("launch")


def draw(cards: Sequence[orgs.OrgCard], found: run_reads.Overview) -> None:
    """All cards."""
    boxes.acted(_figures, cards, found)
    left, right = st.columns([0.64, 0.36], gap="medium")
    with left:
        boxes.acted(_recent, found)
    with right, st.container(border=True):
        st.subheader("Needs you", anchor=False)
        boxes.acted(_needs_you, cards, found)


def _figures(cards: Sequence[orgs.OrgCard], found: run_reads.Overview) -> None:
    plain: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "border": True}
    rows, failed, running, upcoming, api = st.columns(5)
    week = found.week
    rows.metric(
        "Rows migrated, 7 days",
        figures.short_count(week.rows),
        figures.plural(week.runs, "run"),
        **plain,
    )
    failed.metric(
        "Failed rows",
        figures.percent(week.failed, week.rows + week.failed),
        figures.plural(week.failed, "row"),
        **plain,
    )
    waits = len(found.waiting)
    told = f"{figures.count(waits)} {'waits' if waits == 1 else 'wait'} for you"
    running.metric("Running now", figures.count(found.running), told, **plain)
    due = next(
        (each for each in schedules.schedules(visit.bridge(), visit.actor()) if each.next_times),
        None,
    )
    upcoming.metric(
        "Next scheduled",
        figures.ahead(due.next_times[0]) if due else figures.MISSING,
        escaped(due.row.name) if due else "no schedule",
        help=figures.absolute(due.next_times[0]) if due else None,
        **plain,
    )
    used = [card for card in cards if card.api_allowed]
    busiest = max(used, key=lambda c: (c.api_used or 0) / (c.api_allowed or 1), default=None)
    api.metric(
        "API used today",
        figures.percent(busiest.api_used or 0, busiest.api_allowed or 1) if busiest else "—",
        escaped(busiest.name) if busiest else "no org answered yet",
        **plain,
    )


def _recent(found: run_reads.Overview) -> None:
    st.subheader("Recent runs", anchor=False)
    if not found.recent:
        boxes.empty("No run yet", "Launch a plan; a dry run writes nothing.")
        return
    columns = {name: run_list.COLUMNS[name] for name in RECENT}
    columns["plan"] = st.column_config.TextColumn("Plan", width=140)
    columns["mode"] = st.column_config.TextColumn("Mode", width=58)
    columns["done"] = tables.share_column("Progress", width=84)
    columns["rows"] = tables.rows_column("Rows", width=62)
    columns["failed"] = tables.rows_column("Failed", width=58)
    columns["started"] = st.column_config.TextColumn("Started", width=82)
    chosen = tables.show(
        run_list.frame(found.recent),
        columns,
        key="home.runs",
        alt="Recent runs, the newest first",
        on_select="rerun",
        selection_mode="single-row",
    )
    position = tables.picked(chosen)
    if position is not None:
        registry.go("run", run=found.recent[position].name)


def _needs_you(cards: Sequence[orgs.OrgCard], found: run_reads.Overview) -> None:
    """Lines with the button that leads to the place."""
    asked = (
        approvals.approvals(visit.bridge(), visit.actor(), status="asked")
        if visit.may(Role.APPROVER)
        else ()
    )
    told_below = {each.run_name for each in asked}
    lines = 0
    for run in found.waiting:
        if run.name in told_below:
            continue
        what = (
            "asks for your decision"
            if run.status is RunState.WAITING_DECISION
            else (f"is {run.status.value.lower()}")
        )
        told = f":violet[:material/pause_circle:] {escaped(run.plan_name or run.name)} {what}"
        if _line(told, "Open", key=f"home.run.{run.name}"):
            registry.go("run", run=run.name)
        lines += 1
    for each in asked:
        told = (
            f":violet[:material/verified_user:] {escaped(figures.person(each.asked_by))} asks for "
            f"approval: {escaped(each.plan_name)}, {escaped(each.mode)}, into "
            f"{escaped(each.target_org or 'a removed org')}"
        )
        if each.run_name and _line(told, "Decide", key=f"home.approval.{each.id}"):
            registry.go("run", run=each.run_name)
        lines += 1
    for card in cards:
        if card.status != "connected":
            reason = escaped(card.status_reason or card.status.replace("_", " "))
            told = f":orange[:material/key_off:] {escaped(card.name)}: {reason}"
            if _line(told, "Open", key=f"home.org.{card.id}"):
                registry.go("orgs", org=str(card.id))
            lines += 1
    if not lines:
        boxes.empty("Nothing waits for you", "Decisions, approvals and reconnects appear here.")


def _line(told: str, label: str, *, key: str) -> bool:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(told, width="stretch")
        return st.button(label, type="tertiary", key=key)
