"""What a run waits for (a decision, an approval, a worker), with the next step in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import streamlit as st

from core.domain.names import object_name
from core.domain.roles import Role
from core.domain.states import RunState
from core.services import approvals, run_reads, steering
from pages import registry
from pages.parts import boxes, confirm, export, figures, launch_form, run_acts, state, visit, words
from pages.parts.boxes import escaped

#: by the later run's mode: how it names the earlier one, and how that one names it
RELATED = {
    "undo": ("Takes back", "Taken back by"),
    "preview": ("Preview of taking back", "Undo previewed in"),
    "retry": ("Tries again rows of", "Tried again in"),
}
#: a worker takes a queued run up within seconds
NO_WORKER_AFTER = timedelta(minutes=1)
#: objects that a request for approval lists by name
OBJECTS_TOLD = 8
#: what an undo does; the other buckets are what it leaves alone
UNDONE_KINDS = frozenset({"delete", "restore", "undelete"})
#: words of an undo's buckets
UNDO_WORDS = {
    "delete": "Deleted",
    "restore": "Restored",
    "undelete": "Undeleted",
    "conflict": "Left alone: changed since",
    "gone": "Gone already",
    "cannot": "Cannot be undone",
}


def draw(view: run_reads.RunView) -> None:
    """Above the live part: only what needs a person, or tells them why nothing moves."""
    row = view.row
    if row.mode == "undo" and row.buckets:
        _undo_figures(view)
    if row.status is RunState.WAITING_DECISION:
        _decision(view)
    elif row.status is RunState.WAITING_APPROVAL:
        _approval(view)
    elif row.status is RunState.PENDING:
        _queued(row)
    elif row.wait_reason:
        color = "red" if row.status is RunState.FAILED else "violet"
        told = row.wait_reason[:1].upper() + row.wait_reason[1:]
        st.markdown(f":{color}[:material/pause_circle: {escaped(told)}]")


def relatives(view: run_reads.RunView) -> None:
    """Runs that this one retries or undoes, and those that retry or undo it, a click away."""
    found, good = view.relatives, view.made_good_by
    if not found and good is None:
        return
    near = {one.name for one in found}
    with st.container(horizontal=True, vertical_alignment="center"):
        for one in found:
            told = RELATED.get(_kind(view.row, one), ("Of", "Then"))
            label = f"{told[0] if one.is_parent else told[1]} {one.name}"
            icon = words.word(words.STATUSES, one.status).icon
            if st.button(
                label, key=f"run.relative.{one.name}", type="tertiary", icon=f":material/{icon}:"
            ):
                registry.go("run", run=one.name)
        for name in (one.run for one in view.filled_later if one.run not in near):
            if st.button(f"Filled in by {name}", key=f"run.filler.{name}", type="tertiary"):
                registry.go("run", run=name)
        if good and st.button(
            f"Nothing was left behind in {good}",
            key="run.made_good",
            type="tertiary",
            icon=":material/check_circle:",
            help="A later run of the whole plan: what failed here arrived there or left its scope",
        ):
            registry.go("run", run=good)


def _kind(row: run_reads.RunRow, one: run_reads.Relative) -> str:
    """What the later of the two runs does to the earlier one."""
    if row.options.get("preview") if one.is_parent else one.is_preview:
        return "preview"
    return row.mode if one.is_parent else one.mode


def _queued(row: run_reads.RunRow) -> None:
    """What a queued run waits for."""
    told = row.options.get("start_at")
    start_at = datetime.fromisoformat(str(told)) if told else None
    if start_at is not None and start_at > visit.now():
        st.caption(f":material/schedule: Starts {figures.absolute(start_at)}.")
        return
    before = run_reads.queued_behind(visit.bridge(), visit.actor(), row)
    if before is not None:
        st.caption(f":material/schedule: Starts when the run `{before}` into the same org ends.")
    elif visit.now() - (start_at or row.created_at) > NO_WORKER_AFTER:
        boxes.remark(
            "No worker has taken it up yet. Is one running? "
            "An admin finds its log beside the app's.",
            icon="hourglass_top",
        )


def _undo_figures(view: run_reads.RunView) -> None:
    """What an undo (or its preview) takes back, per object."""
    row = view.row
    targets = {step.mapping_name: step.target_object for step in view.steps}
    names = dict.fromkeys((*targets, *row.buckets))  # in the order of the steps
    found = {name: row.buckets.get(name) for name in names}
    lines = {
        name: figures_of
        for name, figures_of in found.items()
        if isinstance(figures_of, Mapping) and any(figures_of.values())
    }
    if not lines:
        return
    if row.options.get("preview"):
        st.markdown(":violet-badge[:material/visibility: Preview] Nothing was sent.")
    kinds = [kind for kind in UNDO_WORDS if any(line.get(kind) for line in lines.values())]
    table = {
        "Object": [object_name(name, targets.get(name, name)) for name in lines],
        **{_undo_word(row, kind): [line.get(kind, 0) for line in lines.values()] for kind in kinds},
    }
    told = "What is taken back"
    st.dataframe(table, hide_index=True, width="content", key="run.undo.figures", alt=told)
    export.button(
        f"undo-{row.name}",
        lambda: export.csv_bytes(list(table), zip(*table.values(), strict=True)),
        key="run.undo.figures.csv",
        help="These figures as CSV",
    )


def _undo_word(row: run_reads.RunRow, kind: str) -> str:
    word = UNDO_WORDS[kind]
    would = row.options.get("preview") and kind in UNDONE_KINDS
    return f"Would be {word.lower()}" if would else word


def _decision(view: run_reads.RunView) -> None:
    row = view.row
    canary: Mapping[str, Any] = row.summary.get("canary", {})
    with st.container(border=True):
        st.markdown(f":material/pause_circle: **{_what_waits(view, canary)}**")
        told = [f"{figures.count(view.totals.written)} rows written"]
        told.append(f"{figures.count(view.totals.failed)} did not arrive")
        if canary:
            rest = int(canary.get("rows", 0)) - int(canary.get("chosen", 0))
            told.append(f"{figures.count(rest)} wait")
        answer = launch_form.EMAIL_ANSWERS.get(str(row.options.get("email_answer")))
        if answer:
            told.append(f"e-mail: {answer.lower()}")
        st.caption(" · ".join(told) + ". Nothing more is sent before you decide.")
        if row.wait_reason:
            st.caption(escaped(row.wait_reason))
        if not visit.may(Role.ANALYST):
            st.caption("A person with the role analyst decides.")
            return
        with st.container(horizontal=True):
            if st.button("Continue with the rest…", type="primary", key="run.decide.go"):
                continue_dialog(view, canary)
            if st.button("Stop here", key="run.decide.stop"):
                run_acts.do(
                    steering.decide,
                    row.name,
                    told="The run stops here; what was written stays until you undo it.",
                    go_on=False,
                )


def _what_waits(view: run_reads.RunView, canary: Mapping[str, Any]) -> str:
    if view.row.summary.get("waits_for", "canary") != "canary":
        return "Too many rows failed: go on?"
    share = canary.get("percent")
    of_all = f" ({share} % of all rows)" if share is not None else ""
    return f"The canary of {figures.count(int(canary.get('chosen', 0)))} rows is loaded{of_all}"


@st.dialog("Continue with the rest?", icon=":material/play_arrow:")
def continue_dialog(view: run_reads.RunView, canary: Mapping[str, Any]) -> None:
    """Counts and target once more; a protected org's name is typed."""
    row = view.row
    target = row.target_name or ""
    rest = int(canary.get("rows", 0)) - int(canary.get("chosen", 0)) if canary else None
    what = f"The remaining {figures.plural(rest, 'row')}" if rest else "The remaining rows"
    st.markdown(f"{what} are sent to {words.org_badge(target, row.target_environment)}.")
    if view.totals.failed:
        st.caption(
            f"{figures.count(view.totals.failed)} rows failed so far; the Errors tab says why."
        )
    ready = True
    if run_reads.asks_for_name(visit.bridge(), visit.actor(), row):
        ready = confirm.typed(target, key="run.decide.name", what="the target org name")
    if confirm.buttons("Continue", key="run.decide.yes", ready=ready):
        run_acts.do(steering.decide, row.name, told="The rest is on its way.", go_on=True)


def _approval(view: run_reads.RunView) -> None:
    """Who asks for what; the answer of another person, or the way back for the one who asked."""
    asked = next(
        (
            each
            for each in approvals.approvals(visit.bridge(), visit.actor(), status="asked")
            if each.run_id == view.row.id
        ),
        None,
    )
    if asked is None:
        return
    is_own = approvals.is_own(visit.bridge(), visit.actor(), asked)
    with st.container(border=True):
        st.markdown(
            f":material/verified_user: **{escaped(figures.person(asked.asked_by))} asks for "
            f"approval** :gray[{figures.when(asked.asked_at)} · "
            f"{escaped(asked.reason or 'no reason given')}]"
        )
        st.table(_approval_facts(view, asked), border="horizontal")
        if is_own or not visit.may(Role.APPROVER):
            st.caption("Another person with the role approver decides. Nothing is sent before.")
            if is_own and st.button("Withdraw the request", key="run.withdraw"):
                _decided(approvals.withdraw, asked.id, told="Withdrawn; nothing was sent.")
            return
        reason = st.text_input(
            "Reason (goes into the audit trail; a rejection needs one)",
            key="run.approval",
            live=True,
        )
        with st.container(horizontal=True):
            if st.button("Approve", type="primary", key="run.approve"):
                told = _approved(asked)
                _decided(approvals.approve, asked.id, told=told, reason=reason or "")
            if st.button("Reject", key="run.reject", disabled=not (reason or "").strip()):
                _decided(approvals.reject, asked.id, told="Rejected.", reason=reason or "")


def _approved(asked: approvals.ApprovalRow) -> str:
    """When it starts: at once, or at the time that it was launched for."""
    told = asked.facts.get("start_at")
    at = datetime.fromisoformat(str(told)) if told else None
    if at is None or at <= visit.now():
        return "Approved; it starts."
    return f"Approved; it starts {figures.absolute(at)}."


def _approval_facts(view: run_reads.RunView, asked: approvals.ApprovalRow) -> dict[str, str]:
    """What is decided on: where it writes, how much, what cannot be taken back."""
    row, facts = view.row, asked.facts
    told = {
        "Writes to": words.org_badge(row.target_name or "", row.target_environment),
        "Plan": f"{escaped(asked.plan_name)} v{asked.version}, {asked.mode.replace('-', ' ')}",
    }
    if isinstance(facts.get("rows"), int):
        share = facts.get("canary_percent")
        first = f"; first about {share} % of each object" if share else ""
        told["Rows in scope"] = figures.count(facts["rows"]) + first
    if facts.get("objects"):
        names = [escaped(str(name)) for name in facts["objects"]]
        more = f" and {len(names) - OBJECTS_TOLD} more" if len(names) > OBJECTS_TOLD else ""
        told["Objects"] = ", ".join(names[:OBJECTS_TOLD]) + more
    if facts.get("deletes"):
        told["Deletes rows of"] = ", ".join(escaped(str(name)) for name in facts["deletes"])
    if facts.get("start_at"):
        told["Starts"] = figures.absolute(datetime.fromisoformat(str(facts["start_at"])))
    answer = launch_form.EMAIL_ANSWERS.get(str(facts.get("email")))
    if answer:
        told["E-mail"] = answer
    told["Undo"] = "Yes, before-images are kept" if facts.get("keep_undo") else "—"
    return told


def _decided(act: Callable[..., object], approval_id: UUID, *, told: str, **given: str) -> None:
    if boxes.acted(act, visit.bridge(), visit.actor(), approval_id, **given):
        st.session_state[state.TOAST] = told
        st.rerun()
