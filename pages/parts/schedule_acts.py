"""What one does to a schedule: make, change, switch on and off, remove; next times in view."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.services import plans, schedules
from pages import registry
from pages.parts import boxes, confirm, figures, schedule_form, state, visit, words
from pages.parts.boxes import escaped

OUTCOMES = words.STATUSES | {
    "skipped": words.Word("Skipped", "gray", "skip_next"),
    "refused": words.Word("Refused", "red", "block"),
    "fired": words.Word("Fired", "gray", "bolt"),
    "launched": words.Word("Launched", "green", "play_arrow"),
}

#: firings that the list tells of
STRIP = 30
#: heights of bars by what became of a firing; anything else is half, as what is still open
HALF = 2
HEIGHTS = {
    OUTCOMES[name].label: height
    for name, height in {
        "succeeded": 4,
        "launched": 4,
        "failed": 1,
        "refused": 1,
        "cancelled": 1,
        "skipped": 0,
    }.items()
}


def what(view: schedules.ScheduleView) -> str:
    """What a schedule launches, in words."""
    row, given = view.row, view.row.options
    if row.plan is None:
        sides = [str(given[name]) for name in ("source", "target") if given.get(name)]
        about = given.get("plan") or given.get("org") or " → ".join(sides)
        title = row.operation.replace("_", " ").capitalize()
        return f"{title} · {about}" if about else title
    return f"{row.plan} · {str(given.get('mode', 'full')).replace('-', ' ')}"


def last_words(view: schedules.ScheduleView) -> list[str]:
    """The pill of the newest firing; nothing before the first."""
    last = view.last
    return words.pill(OUTCOMES, (last.run_status or last.outcome) if last else None)


def strip(view: schedules.ScheduleView) -> list[int]:
    """What became of the last firings, the oldest first, as heights of bars; as many for each
    schedule, so that bars are equally wide."""
    became = [firing.run_status or firing.outcome for firing in reversed(view.firings)]
    heights = [HEIGHTS.get(words.word(OUTCOMES, each).label, HALF) for each in became]
    return [0] * (STRIP - len(heights)) + heights[-STRIP:]


def card(view: schedules.ScheduleView, known: Sequence[plans.PlanRow], *, may_change: bool) -> None:
    """One schedule: next times, last firings, acts."""
    row = view.row
    with st.container(border=True):
        st.markdown(f"**{escaped(row.name)}** :gray[{escaped(view.words)}]")
        left, right = st.columns(2)
        with left:
            st.caption("Next times")
            for moment in view.next_times:
                st.markdown(escaped(schedule_form.next_words(moment, row.time_zone)))
            if not view.next_times:
                st.markdown("Switched off")
            st.caption(policies(view))
        with right:
            st.caption("Last firings")
            for firing in view.firings[:5]:
                became = words.word(OUTCOMES, firing.run_status or firing.outcome).badge
                st.markdown(f"{figures.when(firing.due_at)} {became} {escaped(firing.run or '')}")
                if firing.reason:
                    st.caption(escaped(firing.reason))
            if not view.firings:
                st.markdown("None yet")
        if may_change:
            _buttons(view, known)


def policies(view: schedules.ScheduleView) -> str:
    """What happens to times that were missed and to runs that overlap, and which version runs."""
    row = view.row
    late, overlap = row.late_policy, row.overlap_policy
    told = (
        f"Missed: {schedule_form.LATE.get(late, late).lower()} · "
        f"overlap: {schedule_form.OVERLAP.get(overlap, overlap).lower()}"
    )
    if row.plan is None:
        return told
    version = "the plan as it is" if row.version_policy == schedule_form.LATEST else "one version"
    return f"{told} · runs {version}"


def _buttons(view: schedules.ScheduleView, known: Sequence[plans.PlanRow]) -> None:
    row = view.row
    with st.container(horizontal=True):
        if st.button("Change…", icon=":material/edit:", key="schedule.change"):
            schedule_form.drawer(known, view)
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
    ready, given = schedule_form.confirmation(
        view.row.plan_id, str(view.row.options.get("mode", "full"))
    )
    if confirm.buttons("Switch on", key="schedule.switch", ready=ready) and boxes.acted(
        schedules.switch, visit.bridge(), visit.actor(), view.row.id, on=True, confirmation=given
    ):
        _done(f"{view.row.name} is on.")


def _done(told: str) -> None:
    st.session_state[state.TOAST] = told
    st.rerun()
