"""What one does to a run: pause, resume, cancel, decide, retry, undo; each says what happens."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.domain.roles import Role
from core.domain.states import FINISHED_RUNS, RunState
from core.errors import OrgbridgeError
from core.services import runs
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
CAN_FIX = FINISHED_RUNS - {RunState.UNDONE}


def buttons(view: runs.RunView) -> None:
    """The buttons that fit the run's state and the visitor's role."""
    if not visit.may(Role.ANALYST):
        return
    row = view.row
    if row.status in CAN_PAUSE and st.button(
        "Pause", icon=":material/pause:", key="run.pause", shortcut="P"
    ):
        _do(runs.pause, row.name, told="Pausing: rows already sent will finish.")
    if row.status in CAN_RESUME and st.button(
        "Resume", icon=":material/play_arrow:", type="primary", key="run.resume"
    ):
        _do(runs.resume, row.name, told="The run goes on.")
    if row.status in CAN_CANCEL and st.button(
        "Cancel…", icon=":material/stop_circle:", key="run.cancel"
    ):
        cancel_dialog(view)
    if row.status not in CAN_FIX:
        return
    if (
        row.mode != "dry-run"
        and view.written
        and st.button("Undo…", icon=":material/undo:", key="run.undo")
    ):
        undo_dialog(view)
    if st.button("Run again…", icon=":material/replay:", key="run.again"):
        registry.go("launch", plan=str(row.plan_id), mode=row.mode)
    if row.rows_failed and st.button(
        f"Retry {figures.count(row.rows_failed)} rows…",
        icon=":material/restart_alt:",
        type="primary",
        key="run.retry",
    ):
        retry_dialog(view)


def what_it_waits_for(view: runs.RunView) -> None:
    """What the run waits for (a decision, an approval, a worker), with the next step in place."""
    row = view.row
    if row.status is RunState.WAITING_DECISION:
        _decision(view)
    elif row.wait_reason:
        st.caption(f":violet[:material/pause_circle: {escaped(row.wait_reason)}]")


def _decision(view: runs.RunView) -> None:
    row = view.row
    with st.container(border=True):
        st.markdown(
            f":material/pause_circle: **The canary has finished:** "
            f"{figures.count(row.rows_failed)} of {figures.count(row.rows_done)} rows failed. "
            f"Nothing more is sent before you decide."
        )
        if not visit.may(Role.ANALYST):
            return
        with st.container(horizontal=True):
            if st.button("Continue with the rest", type="primary", key="run.decide.go"):
                _do(runs.decide, row.name, told="The rest is on its way.", go_on=True)
            if st.button("Stop here", key="run.decide.stop"):
                _do(runs.decide, row.name, told="The run stops here.", go_on=False)
            if row.rows_failed:
                st.caption("The Errors tab says why rows failed.")


@st.dialog("Cancel run?", icon=":material/stop_circle:")
def cancel_dialog(view: runs.RunView) -> None:
    """Honest about what is already on its way."""
    st.markdown(
        f"Rows that were already sent to **{escaped(view.row.target_name or '')}** will finish. "
        f"Nothing is undone; {figures.count(view.written)} rows are written so far."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep running", key="run.cancel.no"):
            st.rerun()
        if st.button("Cancel run", type="primary", key="run.cancel.act"):
            _do(runs.cancel, view.row.name, told="Cancelling.")


@st.dialog("Retry failed rows", width="medium", icon=":material/restart_alt:")
def retry_dialog(view: runs.RunView, group: runs.FailureGroup | None = None) -> None:
    """Sends the rows again through the plan as it is now."""
    count = group.rows if group else view.row.rows_failed
    st.markdown(
        f"**{figures.count(count)} rows** go through the plan again and are written into "
        f"{words.org_badge(view.row.target_name or '', view.row.target_environment)}."
    )
    st.caption("Rows that arrived meanwhile are recognised and not sent twice.")
    ready, typed, reason = _asks(view, key="run.retry")
    if not confirm.buttons(f"Retry {figures.count(count)} rows", key="run.retry", ready=ready):
        return
    fingerprints = (group.fingerprint,) if group else ()
    _follow(
        lambda: runs.retry(
            visit.bridge(),
            visit.actor(),
            view.row.name,
            fingerprints=fingerprints,
            confirm=typed,
            reason=reason,
        )
    )


@st.dialog("Undo run", width="medium", icon=":material/warning:")
def undo_dialog(view: runs.RunView) -> None:
    """What would be deleted, restored and left alone; asks for the org's name."""
    try:
        with st.skeleton(height=140):
            preview = runs.undo_preview(visit.bridge(), visit.actor(), view.row.name)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    target = view.row.target_name or ""
    st.markdown(f"In {words.org_badge(target, view.row.target_environment)} this")
    st.table(
        {
            "Deletes": f"{figures.count(preview.deletes)} rows that this run created",
            "Restores": f"{figures.count(preview.restores)} rows to what they were before",
            "Leaves alone": f"{figures.count(preview.conflicts)} rows changed since by others",
        },
        border="horizontal",
    )
    ready = confirm.typed(target, key="run.undo.name", what="the org name")
    reason = st.text_input("Reason (goes into the audit trail)", key="run.undo.reason", live=True)
    if confirm.buttons("Undo run", key="run.undo", ready=ready and bool(reason)):
        _follow(
            lambda: runs.undo(
                visit.bridge(), visit.actor(), view.row.name, confirm=target, reason=reason or ""
            )
        )


def _asks(view: runs.RunView, *, key: str) -> tuple[bool, str, str]:
    """Typed name and reason where the target is production; else nothing."""
    if view.row.target_environment != "production":
        return True, "", ""
    target = view.row.target_name or ""
    ready = confirm.typed(target, key=f"{key}.name", what="the target org name")
    reason = st.text_input("Reason (goes into the audit trail)", key=f"{key}.reason", live=True)
    return ready and bool(reason), target if ready else "", reason or ""


def _do(act: Callable[..., object], name: str, *, told: str, **options: bool) -> None:
    if boxes.acted(act, visit.bridge(), visit.actor(), name, **options):
        st.session_state[state.TOAST] = told
        st.rerun()


def _follow(start: Callable[[], str]) -> None:
    """Start another run and open it."""
    try:
        started = start()
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    registry.go("run", run=started)
