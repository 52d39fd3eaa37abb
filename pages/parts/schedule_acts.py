"""What one does to a schedule: make, change, switch on and off, remove; next times in view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from zoneinfo import available_timezones

import streamlit as st

from core.errors import OrgbridgeError
from core.services import orgs, plans, schedules, settings
from core.services.confirming import Confirmation
from pages import registry
from pages.parts import boxes, confirm, figures, state, visit, words
from pages.parts.boxes import escaped

#: weekday field of a cron line by what people call it
RHYTHMS = {
    "every day": "*",
    "Monday to Friday": "1-5",
    "every Monday": "1",
    "every Saturday": "6",
    "every Sunday": "0",
}
OWN = "own cron line"
MODES = {"delta": "Delta: what changed since", "full": "Full", "dry-run": "Dry run"}
LATE = {"run_once": "Run once, late", "skip": "Skip it"}
OVERLAP = {"skip": "Skip the new one", "queue": "Queue it"}
OUTCOMES = words.STATUSES | {"skipped": words.Word("Skipped", "gray", "skip_next")}


def what(view: schedules.ScheduleView) -> str:
    """What a schedule launches, in words."""
    mode = str(view.row.options.get("mode", "full")).replace("-", " ")
    return f"{view.row.plan or view.row.operation.replace('_', ' ')} · {mode}"


def last_words(view: schedules.ScheduleView) -> list[str]:
    """The pill of the newest firing; nothing before the first."""
    if view.last is None:
        return []
    return [words.word(OUTCOMES, view.last.run_status or view.last.outcome).label]


def card(view: schedules.ScheduleView, known: Sequence[plans.PlanRow], *, may_change: bool) -> None:
    """One schedule: next times, last firings, acts."""
    row = view.row
    with st.container(border=True):
        st.markdown(f"**{escaped(row.name)}** :gray[{escaped(view.words)}]")
        left, right = st.columns(2)
        with left:
            st.caption("Next times")
            for moment in view.next_times:
                st.markdown(figures.absolute(moment))
            if not view.next_times:
                st.markdown("Switched off")
        with right:
            st.caption("Last firings")
            for firing in view.firings[:5]:
                became = words.word(OUTCOMES, firing.run_status or firing.outcome).badge
                st.markdown(f"{figures.when(firing.due_at)} {became} {escaped(firing.run or '')}")
            if not view.firings:
                st.markdown("None yet")
        if may_change:
            _buttons(view, known)


def _buttons(view: schedules.ScheduleView, known: Sequence[plans.PlanRow]) -> None:
    row = view.row
    with st.container(horizontal=True):
        if st.button("Change…", icon=":material/edit:", key="schedule.change"):
            edit_drawer(known, view)
        if row.enabled and st.button("Switch off", icon=":material/pause:", key="schedule.off"):
            if boxes.acted(schedules.switch, visit.bridge(), visit.actor(), row.id, on=False):
                _done(f"{row.name} is switched off.")
        if not row.enabled and st.button(
            "Switch on…", icon=":material/play_arrow:", key="schedule.on"
        ):
            switch_on_dialog(view)
        if st.button("Delete…", icon=":material/delete:", key="schedule.delete"):
            remove_dialog(view)
        if view.last is not None and view.last.run and registry.is_listed("run"):
            if st.button("Open last run", type="tertiary", key="schedule.run"):
                registry.go("run", run=view.last.run)


@st.dialog("Delete schedule?", icon=":material/warning:")
def remove_dialog(view: schedules.ScheduleView) -> None:
    """Runs stay."""
    st.markdown(f"**{escaped(view.row.name)}** fires no more. Its runs stay.")
    if confirm.buttons("Delete schedule", key="schedule.remove") and boxes.acted(
        schedules.remove, visit.bridge(), visit.actor(), view.row.id
    ):
        _done(f"{view.row.name} was deleted.")


@st.dialog("Switch on", icon=":material/play_arrow:")
def switch_on_dialog(view: schedules.ScheduleView) -> None:
    """Times that passed meanwhile are not made up for."""
    st.markdown(f"**{escaped(view.row.name)}** fires again from its next time on.")
    ready, given = _confirmation(view.row.target_org_id, str(view.row.options.get("mode")))
    if confirm.buttons("Switch on", key="schedule.switch", ready=ready) and boxes.acted(
        schedules.switch, visit.bridge(), visit.actor(), view.row.id, on=True, confirmation=given
    ):
        _done(f"{view.row.name} is on.")


@st.dialog("Schedule", position="right", width=520, icon=":material/calendar_clock:")
def edit_drawer(known: Sequence[plans.PlanRow], view: schedules.ScheduleView | None = None) -> None:
    """What, how often, in which zone; the next five times while one types."""
    row = view.row if view else None
    by_id = {plan.id: plan for plan in known}
    name = st.text_input("Name", value=row.name if row else "", key="drawer.s.name", live=True)
    ids = list(by_id)
    plan_id = st.selectbox(
        "Plan",
        ids,
        index=ids.index(row.plan_id) if row and row.plan_id in by_id else 0,
        format_func=lambda each: by_id[each].name,
        key="drawer.s.plan",
    )
    mode = st.selectbox("Mode", list(MODES), format_func=MODES.__getitem__, key="drawer.s.mode")
    line = _cron(row.cron if row else "")
    zones = sorted(available_timezones())
    zone_now = row.time_zone if row else settings.settings(visit.bridge(), visit.actor()).time_zone
    zone = st.selectbox("Time zone", zones, index=zones.index(zone_now), key="drawer.s.zone")
    late = st.selectbox(
        "If a time was missed", list(LATE), format_func=LATE.__getitem__, key="drawer.s.late"
    )
    overlap = st.selectbox(
        "If the run before is not over",
        list(OVERLAP),
        format_func=OVERLAP.__getitem__,
        key="drawer.s.overlap",
    )
    _next_times(line, zone)
    ready, given = _confirmation(by_id[plan_id].target_org_id, mode)
    if not confirm.buttons("Save schedule", key="drawer.s", ready=ready and bool(name)):
        return
    request = schedules.ScheduleRequest(
        name=(name or "").strip(),
        cron=line,
        time_zone=zone,
        plan_id=plan_id,
        options={"mode": mode},
        late_policy=late,
        overlap_policy=overlap,
    )
    if _saved(request, view, given):
        _done(f"{request.name} is scheduled.")


def _saved(
    request: schedules.ScheduleRequest, view: schedules.ScheduleView | None, given: Confirmation
) -> bool:
    here = (visit.bridge(), visit.actor())
    if view is None:
        return boxes.acted(schedules.create, *here, request, confirmation=given)
    return boxes.acted(schedules.change, *here, view.row.id, request=request, confirmation=given)


def _cron(now: str) -> str:
    """A rhythm in words and a time of day, or a line of one's own."""
    rhythm = st.selectbox(
        "How often", [*RHYTHMS, OWN], index=len(RHYTHMS) if now else 0, key="drawer.s.rhythm"
    )
    if rhythm == OWN:
        return st.text_input(
            "Minute, hour, day, month, weekday",
            value=now or "30 2 * * *",
            key="drawer.s.cron",
            live=True,
        )
    at = st.time_input("At", value=time(2, 30), key="drawer.s.time")
    return f"{at.minute} {at.hour} * * {RHYTHMS[rhythm]}"


def _next_times(line: str, zone: str) -> None:
    try:
        found = schedules.preview(line, zone, after=datetime.now(UTC))
        said = schedules.words(line, zone)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    st.caption(f"**{escaped(said)}**. Next: " + " · ".join(figures.absolute(t) for t in found))


def _confirmation(target_id: object, mode: str) -> tuple[bool, Confirmation]:
    """The typed name and reason that a protected target asks for."""
    target = next(
        (card for card in orgs.orgs(visit.bridge(), visit.actor()) if card.id == target_id), None
    )
    if target is None or mode == "dry-run" or not target.protected:
        return True, Confirmation()
    st.markdown(f"Writes into {words.org_badge(target.name, target.environment)} by itself.")
    is_typed = confirm.typed(target.name, key="schedule.confirm", what="the target org name")
    reason = st.text_input("Reason (goes into the audit trail)", key="schedule.reason", live=True)
    given = Confirmation(target.name if is_typed else "", (reason or "").strip())
    return is_typed and bool(given.reason), given


def _done(told: str) -> None:
    st.session_state[state.TOAST] = told
    st.rerun()
