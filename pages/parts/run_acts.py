"""What one does to a run: pause, resume, cancel, decide, retry, undo; each says what happens."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import streamlit as st

from core.domain.roles import Role
from core.domain.states import FINISHED_RUNS, RunState
from core.errors import OrgbridgeError
from core.services import approvals, launching, run_reads
from pages import registry
from pages.parts import boxes, confirm, figures, state, visit, words
from pages.parts.boxes import escaped

CAN_PAUSE = frozenset({RunState.PENDING, RunState.CHECKING, RunState.RUNNING})
CAN_RESUME = frozenset({RunState.PAUSED})
CAN_CANCEL = CAN_PAUSE | {
    RunState.PAUSED,
    RunState.PAUSING,
    RunState.WAITING_DECISION,
    RunState.WAITING_APPROVAL,
}
CANNOT_UNDO = frozenset({"undo", "dry-run"})
CAN_FIX = FINISHED_RUNS - {RunState.UNDONE}


def buttons(view: run_reads.RunView) -> None:
    """The buttons that fit the run's state and the visitor's role."""
    if not visit.may(Role.ANALYST):
        return
    row = view.row
    if row.status in CAN_PAUSE and st.button(
        "Pause", icon=":material/pause:", key="run.pause", shortcut="P"
    ):
        _do(launching.pause, row.name, told="Pausing: rows already sent will finish.")
    if row.status in CAN_RESUME and st.button(
        "Resume", icon=":material/play_arrow:", type="primary", key="run.resume"
    ):
        _do(launching.resume, row.name, told="The run goes on.")
    if row.status in CAN_CANCEL and st.button(
        "Cancel…", icon=":material/stop_circle:", key="run.cancel"
    ):
        cancel_dialog(view)
    if row.status not in CAN_FIX:
        return
    if (
        row.mode not in CANNOT_UNDO
        and view.totals.written
        and st.button("Undo…", icon=":material/undo:", key="run.undo")
    ):
        undo_dialog(view)
    if (
        row.plan_id
        and row.mode != "undo"
        and st.button(
            "Run again…",
            icon=":material/replay:",
            type="primary" if view.totals.failed else "secondary",
            key="run.again",
            help="Rows that arrived are recognised and not sent twice; failed ones are tried again",
        )
    ):
        registry.go("launch", plan=str(row.plan_id), mode=row.mode)


def what_it_waits_for(view: run_reads.RunView) -> None:
    """What the run waits for (a decision, an approval, a worker), with the next step in place."""
    row = view.row
    if row.mode == "undo" and row.buckets:
        told = {
            str(name).replace("_", " ").capitalize(): figures.count(number)
            for name, number in row.buckets.items()
            if isinstance(number, int)
        }
        if told:
            st.table(told, border="horizontal", width=420)
    if row.status is RunState.WAITING_DECISION:
        _decision(view)
    elif row.status is RunState.WAITING_APPROVAL:
        _approval(view)
    elif row.wait_reason:
        st.caption(f":violet[:material/pause_circle: {escaped(row.wait_reason)}]")


def _decision(view: run_reads.RunView) -> None:
    row = view.row
    with st.container(border=True):
        st.markdown(
            f":material/pause_circle: **The canary has finished:** "
            f"{figures.count(view.totals.failed)} of {figures.count(view.totals.done)} rows "
            f"failed. Nothing more is sent before you decide."
        )
        if not visit.may(Role.ANALYST):
            return
        with st.container(horizontal=True):
            if st.button("Continue with the rest", type="primary", key="run.decide.go"):
                _do(launching.decide, row.name, told="The rest is on its way.", go_on=True)
            if st.button("Stop here", key="run.decide.stop"):
                _do(launching.decide, row.name, told="The run stops here.", go_on=False)
            if view.totals.failed:
                st.caption("The Errors tab says why rows failed.")


def _approval(view: run_reads.RunView) -> None:
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
    with st.container(border=True):
        st.markdown(
            f":material/verified_user: **{escaped(figures.person(asked.asked_by))} asks for "
            f"approval** :gray[{escaped(asked.reason or 'no reason given')}]"
        )
        if not visit.may(Role.APPROVER) or asked.asked_by_id == visit.actor().user_id:
            st.caption("Another person with the role approver decides.")
            return
        reason = st.text_input("Reason (goes into the audit trail)", key="run.approval", live=True)
        with st.container(horizontal=True):
            if st.button("Approve", type="primary", key="run.approve"):
                _decided(approvals.approve, asked.id, reason or "", told="Approved; it starts.")
            if st.button("Reject", key="run.reject", disabled=not reason):
                _decided(approvals.reject, asked.id, reason or "", told="Rejected.")


def _decided(act: Callable[..., object], approval_id: UUID, reason: str, *, told: str) -> None:
    if boxes.acted(act, visit.bridge(), visit.actor(), approval_id, reason=reason):
        st.session_state[state.TOAST] = told
        st.rerun()


@st.dialog("Undo run", width="medium", icon=":material/warning:")
def undo_dialog(view: run_reads.RunView) -> None:
    """Says what is taken back; a preview sends nothing. Asks for the org's name."""
    target = view.row.target_name or ""
    st.markdown(
        f"In {words.org_badge(target, view.row.target_environment)} the rows that this run created "
        f"are deleted, children first, and the rows that it changed get back what they held. Rows "
        f"that others changed since are listed and left alone."
    )
    if st.button("Preview", icon=":material/visibility:", key="run.undo.preview"):
        _follow(lambda: launching.undo(visit.bridge(), visit.actor(), view.row.name, preview=True))
    ready = confirm.typed(target, key="run.undo.name", what="the target org name")
    reason = st.text_input("Reason (goes into the audit trail)", key="run.undo.reason", live=True)
    if confirm.buttons("Undo run", key="run.undo", ready=ready and bool((reason or "").strip())):
        _follow(
            lambda: launching.undo(
                visit.bridge(), visit.actor(), view.row.name, confirm=target, reason=reason or ""
            )
        )


def _follow(start: Callable[[], str]) -> None:
    """Start another run and open it."""
    try:
        started = start()
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    registry.go("run", run=started)


@st.dialog("Cancel run?", icon=":material/stop_circle:")
def cancel_dialog(view: run_reads.RunView) -> None:
    """Honest about what is already on its way."""
    st.markdown(
        f"Rows that were already sent to **{escaped(view.row.target_name or '')}** will finish. "
        f"Nothing is undone; {figures.count(view.totals.written)} rows are written so far."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep running", key="run.cancel.no"):
            st.rerun()
        if st.button("Cancel run", type="primary", key="run.cancel.act"):
            _do(launching.cancel, view.row.name, told="Cancelling.")


def _do(act: Callable[..., object], name: str, *, told: str, **options: bool) -> None:
    if boxes.acted(act, visit.bridge(), visit.actor(), name, **options):
        st.session_state[state.TOAST] = told
        st.rerun()
