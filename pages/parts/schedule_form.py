"""The drawer of one schedule: what, how, how often, in which zone, with its next times in view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from core.errors import OrgbridgeError
from core.services import launching, operations, orgs, plans, schedules, settings
from core.services.confirming import Confirmation
from pages.parts import (
    boxes,
    confirm,
    figures,
    launch_form,
    operation_form,
    state,
    visit,
    words,
)
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
MODES = {
    "delta": "Delta: what changed since",
    "full": "Full",
    "canary": "Canary: waits for somebody each time",
    "dry-run": "Dry run",
}
LATE = {"run_once": "Run once, late", "skip": "Skip it"}
OVERLAP = {"skip": "Skip the new one", "queue": "Queue it"}
LATEST = "latest"
#: what fires when it is no operation
A_PLAN = "plan"
#: what a launch may say and a schedule keeps
_KEPT = (
    "only",
    "canary_percent",
    "batch",
    "api",
    "loads",
    "stop_at_failed_percent",
    "keep_undo",
    "verify",
    "email_answer",
)


@st.dialog("Schedule", position="right", width=540, icon=":material/calendar_clock:")
def drawer(
    known: Sequence[plans.PlanRow],
    view: schedules.ScheduleView | None = None,
    *,
    launch: launching.LaunchRequest | None = None,
) -> None:
    """Make a schedule, also of a launch that was set up, or change one."""
    row = view.row if view else None
    card = None if launch else _operation(row, with_plans=bool(known))
    if card is not None:
        operation_form.schedule(card, given={}, view=view)
        return
    by_id = {plan.id: plan for plan in known}
    ids = list(by_id)
    name = st.text_input("Name", value=row.name if row else "", key="drawer.s.name", live=True)
    plan_id = st.selectbox(
        "Plan",
        ids,
        index=ids.index(row.plan_id) if row and row.plan_id in by_id else 0,
        format_func=lambda each: by_id[each].name,
        key="drawer.s.plan",
    )
    version = _version(plan_id, row)
    kept = _kept(row.options if row else {}, launch)
    mode = _one_of("Mode", MODES, now=kept.get("mode", "delta"), key="mode")
    line = _rhythm(row.cron if row else "")
    zone = _zone(row.time_zone if row else None)
    _next_times(line, zone)
    late = _one_of("If a time was missed", LATE, now=row.late_policy if row else None, key="late")
    overlap = _one_of(
        "If the run before is not over",
        OVERLAP,
        now=row.overlap_policy if row else None,
        key="overlap",
    )
    email = _email(mode, kept)
    _told(kept)
    ready, given = confirmation(plan_id, mode)
    is_answered = mode == "dry-run" or bool(email)
    if not is_answered:
        boxes.remark("Answer the question about e-mail.", icon="help")
    is_whole = ready and bool(name) and is_answered
    if not confirm.buttons("Save schedule", key="drawer.s", ready=is_whole):
        return
    request = schedules.ScheduleRequest(
        name=(name or "").strip(),
        cron=line,
        time_zone=zone,
        plan_id=plan_id,
        options={**kept, "mode": mode, "email_answer": email},
        version_policy=LATEST if version is None else "pinned",
        plan_version_id=version,
        late_policy=late,
        overlap_policy=overlap,
    )
    if _saved(request, view, given):
        st.session_state[state.TOAST] = f"{request.name} is scheduled."
        st.rerun()


def confirmation(plan_id: UUID | None, mode: str) -> tuple[bool, Confirmation]:
    """The typed name and reason that a protected target asks for, and every plan that deletes."""
    if plan_id is None or mode == "dry-run":
        return True, Confirmation()
    view = plans.plan(visit.bridge(), visit.actor(), plan_id)
    cards = orgs.orgs(visit.bridge(), visit.actor())
    target = next((card for card in cards if card.id == view.row.target_org_id), None)
    deletes = any(entry.operation.is_delete for entry in view.plan.objects)
    if target is None or not (target.protected or deletes):
        return True, Confirmation()
    badge = words.org_badge(target.name, target.environment)
    st.markdown(f"{'Deletes rows in' if deletes else 'Writes into'} {badge} by itself.")
    is_typed = confirm.typed(target.name, key="schedule.confirm", what="the target org name")
    reason = st.text_input("Reason (goes into the audit trail)", key="schedule.reason", live=True)
    given = Confirmation(target.name if is_typed else "", (reason or "").strip())
    return is_typed and bool(given.reason), given


def next_words(moment: datetime, zone: str) -> str:
    """A due time as its own zone's clock shows it: Sun 28 Mar 2027 03:30 (Europe/Berlin)."""
    there = moment.astimezone(ZoneInfo(zone))
    midnight = there.replace(hour=0, minute=0, fold=0)
    changed = there.utcoffset() != midnight.utcoffset()
    note = " · the clocks change that night" if changed else ""
    return f"{there:%a} {there.day} {there:%b %Y %H:%M} ({zone}){note}"


def _operation(
    row: schedules.ScheduleRow | None, *, with_plans: bool
) -> operations.OperationCard | None:
    """Which operation fires, by choice or as the schedule says; None for a plan."""
    cards = {card.kind: card for card in operations.offered(visit.actor())}
    if row is not None:
        return None if row.plan_id else cards.get(row.operation)
    options = [*([A_PLAN] if with_plans else []), *cards]
    kind = st.selectbox(
        "What",
        options,
        format_func=lambda each: "A plan" if each == A_PLAN else cards[each].title,
        key="drawer.s.what",
    )
    if kind in cards:
        st.caption(cards[kind].purpose)
    return cards.get(kind or "")


def _version(plan_id: UUID | None, row: schedules.ScheduleRow | None) -> UUID | None:
    """Which version runs: the draft as it is at each time, or one that stays."""
    if plan_id is None:
        return None
    found = plans.versions(visit.bridge(), visit.actor(), plan_id)
    by_id = {each.id: each for each in found}
    options: list[UUID | None] = [None, *by_id]
    now = row.plan_version_id if row and row.version_policy != LATEST else None
    chosen = st.selectbox(
        "Version",
        options,
        index=options.index(now) if now in options else 0,
        format_func=lambda each: (
            "The plan as it is at that time"
            if each is None
            else f"v{by_id[each].number} {by_id[each].label or ''}".strip()
        ),
        key=f"drawer.s.version.{plan_id}",
    )
    return chosen


def _one_of(label: str, options: Mapping[str, str], *, now: str | None, key: str) -> str:
    names = list(options)
    chosen = st.selectbox(
        label,
        names,
        index=names.index(now) if now in options else 0,
        format_func=lambda name: options[name],
        key=f"drawer.s.{key}",
    )
    return chosen or names[0]


def _kept(options: Mapping[str, Any], launch: launching.LaunchRequest | None) -> dict[str, Any]:
    """How its runs are launched, from the schedule or from the launch that it is made of."""
    if launch is None:
        return {name: value for name, value in options.items() if name in (*_KEPT, "mode")}
    said = launch.options()
    mode = launch.mode if launch.mode in MODES else "delta"
    return {"mode": mode, **{name: said[name] for name in _KEPT if said.get(name) is not None}}


def _rhythm(now: str) -> str:
    """A rhythm in words and a time of day, or a line of one's own."""
    minute, hour, *days = now.split() if now else ("30", "2", "*", "*", "*")
    by_days = {weekday: name for name, weekday in RHYTHMS.items()}
    is_plain = minute.isdigit() and hour.isdigit() and days[:2] == ["*", "*"]
    known = by_days.get(days[2]) if is_plain and len(days) == 3 else None
    options = [*RHYTHMS, OWN]
    left, right = st.columns([0.6, 0.4])
    rhythm = left.selectbox(
        "How often", options, index=options.index(known or OWN), key="drawer.s.rhythm"
    )
    if rhythm == OWN:
        given = right.text_input(
            "Minute hour day month weekday",
            value=now or "30 2 * * *",
            key="drawer.s.cron",
            live=True,
        )
        return given or ""
    at = right.time_input(
        "At", value=time(int(hour), int(minute)) if known else time(2, 30), key="drawer.s.time"
    )
    return f"{at.minute} {at.hour} * * {RHYTHMS[rhythm]}"


def _zone(now: str | None) -> str:
    zones = sorted(available_timezones())
    wanted = now or settings.settings(visit.bridge(), visit.actor()).time_zone
    chosen = st.selectbox(
        "Time zone",
        zones,
        index=zones.index(wanted) if wanted in zones else zones.index("UTC"),
        key="drawer.s.zone",
    )
    return chosen or "UTC"


def _next_times(line: str, zone: str) -> None:
    """The rhythm in words and the next five times by the clock of its zone."""
    try:
        found = schedules.preview(line, zone, after=datetime.now(UTC))
        said = schedules.words(line, zone)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    with st.container(border=True):
        st.markdown(f"**{escaped(said)}**")
        for moment in found:
            st.caption(f":material/schedule: {escaped(next_words(moment, zone))}")


def _email(mode: str, kept: Mapping[str, Any]) -> str:
    """The answer of rule 8.3, given once for all runs of the schedule."""
    if mode == "dry-run":
        return ""
    answers = list(launch_form.EMAIL_ANSWERS)
    now = kept.get("email_answer")
    chosen = st.selectbox(
        "E-mail from the target",
        answers,
        index=answers.index(now) if now in answers else None,
        format_func=launch_form.EMAIL_ANSWERS.__getitem__,
        placeholder="Who might get a message? Please answer",
        key="drawer.s.email",
    )
    return chosen or ""


def _told(kept: Mapping[str, Any]) -> None:
    """Options that came with the launch, in a line."""
    told = []
    if kept.get("only"):
        told.append(f"only {', '.join(kept['only'])}")
    if kept.get("batch"):
        told.append(f"batches of {figures.count(kept['batch'])}")
    if kept.get("api"):
        told.append(f"by {kept['api']}")
    if kept.get("loads"):
        told.append(f"own options for {figures.plural(len(kept['loads']), 'object')}")
    if kept.get("stop_at_failed_percent"):
        told.append(f"stops above {kept['stop_at_failed_percent']} % failed rows")
    if kept.get("keep_undo") is False:
        told.append("without undo data")
    if told:
        st.caption(f":material/tune: {escaped(' · '.join(told))}")


def _saved(
    request: schedules.ScheduleRequest, view: schedules.ScheduleView | None, given: Confirmation
) -> bool:
    here = (visit.bridge(), visit.actor())
    if view is None:
        return boxes.acted(schedules.create, *here, request, confirmation=given)
    return boxes.acted(schedules.change, *here, view.row.id, request=request, confirmation=given)
