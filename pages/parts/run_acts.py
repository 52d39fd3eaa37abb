"""What one does to a run: pause, resume, cancel, retry, undo, run again; each says what happens."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.domain.roles import Role
from core.domain.states import FINISHED_RUNS, RunState
from core.errors import ConflictError, OrgbridgeError
from core.services import run_reads, steering
from pages import registry
from pages.parts import boxes, figures, run_again, run_live, state, visit
from pages.parts.boxes import escaped

CAN_PAUSE = frozenset({RunState.CHECKING, RunState.RUNNING})
#: a failed run goes on from where it stands: what was sent is in the ledger
CAN_RESUME = frozenset({RunState.PAUSED, RunState.FAILED})
CAN_CANCEL = CAN_PAUSE | {
    RunState.PENDING,
    RunState.PAUSED,
    RunState.PAUSING,
    RunState.WAITING_DECISION,
    RunState.WAITING_APPROVAL,
}
CAN_FIX = FINISHED_RUNS - {RunState.UNDONE}


def buttons(view: run_reads.RunView) -> None:
    """The buttons that fit the run's state and the visitor's role."""
    if not visit.may(Role.ANALYST):
        return
    row = view.row
    status = run_live.shown_status(row)
    if status in CAN_PAUSE and st.button(
        "Pause", icon=":material/pause:", key="run.pause", shortcut="P"
    ):
        do(steering.pause, row.name, told="Pausing: rows already sent will finish.")
    if row.status in CAN_RESUME and st.button(
        "Resume", icon=":material/play_arrow:", type="primary", key="run.resume"
    ):
        do(steering.resume, row.name, told="The run goes on.")
    if status in CAN_CANCEL and st.button(
        "Cancel…", icon=":material/stop_circle:", key="run.cancel"
    ):
        cancel_dialog(view)
    if row.status in CAN_FIX:
        _afterwards(view)


def _afterwards(view: run_reads.RunView) -> None:
    """What one does to a run that has ended."""
    row = view.row
    if run_again.can_undo(view) and st.button("Undo…", icon=":material/undo:", key="run.undo"):
        run_again.undo_dialog(view)
    left = run_again.rows_left(view)
    if left and st.button(
        f"Retry {figures.plural(left, 'row')}…",
        icon=":material/replay:",
        type="primary",
        key="run.retry",
        help="Only rows that did not arrive are read again, and sent by the plan as it is now",
    ):
        run_again.ask_retry(view, run_again.everything())
    if (
        row.living_plan_id
        and row.mode not in ("undo", "retry")
        and st.button(
            "Run again…",
            icon=":material/rocket_launch:",
            key="run.again",
            help="Rows that arrived are recognised and not sent twice; failed ones are tried again",
        )
    ):
        registry.go("launch", plan=str(row.living_plan_id), mode=row.mode)


@st.dialog("Cancel run?", icon=":material/stop_circle:")
def cancel_dialog(view: run_reads.RunView) -> None:
    """Honest about what is already on its way."""
    target = escaped(view.row.target_name or "")
    flying = run_reads.in_flight(visit.bridge(), visit.actor(), view.row.name)
    if flying.chunks:
        st.markdown(
            f"{figures.plural(flying.rows, 'row')} in {figures.plural(flying.chunks, 'chunk')} "
            f"were already handed to **{target}**: they will finish, and their results are kept."
        )
    else:
        st.markdown(f"Nothing is on its way to **{target}** right now.")
    st.markdown(
        f"Nothing is undone: {figures.count(view.totals.written)} rows are written so far. "
        f"They stay until you undo the run; a later run recognises them."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep running", key="run.cancel.no"):
            st.rerun()
        if st.button("Cancel run", type="primary", key="run.cancel.act"):
            do(steering.cancel, view.row.name, told="Cancelling.")


def do(act: Callable[..., object], name: str, *, told: str, **options: bool) -> None:
    """Act, tell it in a toast, draw the page afresh: a refusal means that the run moved on, and the
    page then shows where it stands."""
    try:
        act(visit.bridge(), visit.actor(), name, **options)
    except ConflictError as moved:
        told = f"{moved.happened} Nothing was changed."
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    st.session_state[state.TOAST] = told
    st.rerun()
