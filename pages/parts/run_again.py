"""Trying rows again and taking a run back: what will happen first, then the act, once per click."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import streamlit as st

from core.domain.names import object_name
from core.domain.states import FINISHED_RUNS, NOTHING_BROUGHT, RunState
from core.errors import OrgbridgeError
from core.services import launching, plans, retrying, run_reads, undoing
from pages import registry
from pages.parts import boxes, confirm, figures, settled, state, visit, words
from pages.parts.boxes import escaped

#: beyond, a table in a dialog scrolls
MANY_OBJECTS = 6


def can_retry(view: run_reads.RunView) -> bool:
    """Whether rows of the run may be tried again."""
    row = view.row
    may = row.mode not in NOTHING_BROUGHT and row.status in FINISHED_RUNS
    return bool(row.living_plan_id and may)


def rows_left(view: run_reads.RunView) -> int:
    """Rows that did not arrive and have not since; 0 where none may be tried again."""
    if not can_retry(view) or not view.still_failed:
        return 0
    return settled.rows_to_retry(view)


def can_undo(view: run_reads.RunView) -> bool:
    """Whether the run left something that can be taken back."""
    row = view.row
    over = row.status in FINISHED_RUNS and row.status is not RunState.UNDONE
    return over and row.mode not in NOTHING_BROUGHT and bool(view.totals.written)


def everything() -> retrying.RetryChoice:
    """All rows that did not arrive."""
    return retrying.RetryChoice()


def ask_retry(view: run_reads.RunView, choice: retrying.RetryChoice) -> None:
    """Open the dialog; whatever is clicked in it makes one run."""
    st.session_state[state.RETRY_KEY] = str(uuid4())
    _retry_dialog(view, choice)


@st.dialog("Retry rows", width="medium", icon=":material/replay:")
def _retry_dialog(view: run_reads.RunView, choice: retrying.RetryChoice) -> None:
    """Says which rows are read again and by what plan."""
    row = view.row
    which = st.container()
    choice, left = _with_blank_lookups(row.name, choice)
    if not left:
        st.markdown("Nothing is left to try again: these rows have arrived meanwhile.")
        return
    target = row.target_name or ""
    which.markdown(
        f"**{figures.plural(sum(left.values()), 'row')}** are read again from the source and sent "
        f"to {words.org_badge(target, row.target_environment)}. Other rows are not touched."
    )
    targets = {step.mapping_name: step.target_object for step in view.steps}
    which.table(
        {
            escaped(object_name(name, targets.get(name, name))): figures.plural(rows, "row")
            for name, rows in left.items()
        },
        border="horizontal",
    )
    st.caption(_by_which_plan(row))
    ready, reason = _confirmed(row, key="run.retry")
    if confirm.buttons(
        f"Retry {figures.plural(sum(left.values()), 'row')}", key="run.retry.go", ready=ready
    ):
        once = st.session_state.get(state.RETRY_KEY)
        follow(
            lambda: retrying.retry(
                visit.bridge(),
                visit.actor(),
                row.name,
                choice,
                confirm=target if ready else "",
                reason=reason,
                idempotency_key=once,
            )
        )


def _with_blank_lookups(
    name: str, choice: retrying.RetryChoice
) -> tuple[retrying.RetryChoice, dict[str, int]]:
    """The choice as the person wants it, and its rows by mapping.

    Rows that arrived without a lookup are offered beside: the records that they name are mostly
    among those that are tried again.
    """
    wider = replace(choice, blank_lookups=True)
    left, all_left = (
        retrying.rows_left(visit.bridge(), visit.actor(), name, one) for one in (choice, wider)
    )
    beside = sum(all_left.values()) - sum(left.values())
    if (
        left
        and beside
        and st.checkbox(
            f"Fill in blank lookups of {figures.plural(beside, 'row')} that arrived",
            value=True,
            key="run.retry.blanks",
            help="They are read again, and get the lookups whose records arrive now",
        )
    ):
        return wider, all_left
    return choice, left


def _by_which_plan(row: run_reads.RunRow) -> str:
    try:
        found = plans.plan(visit.bridge(), visit.actor(), row.plan_id).row
    except OrgbridgeError:
        return "The plan of this run was deleted."
    newest = f" (v{row.plan_version} was launched, v{found.newest_version} is the newest)"
    moved = newest if row.plan_version and found.newest_version > row.plan_version else ""
    return f"The plan {escaped(found.name)} is taken as it stands now{moved}."


@st.dialog("Undo run", width="medium", icon=":material/warning:")
def undo_dialog(view: run_reads.RunView) -> None:
    """Says what is taken back; a preview sends nothing. Asks for the org's name."""
    row = view.row
    target = row.target_name or ""
    found = undoing.outlook(visit.bridge(), visit.actor(), row.name)
    st.markdown(f"In {words.org_badge(target, row.target_environment)}, children first:")
    _outlook(found)
    if found.first:
        later = ", ".join(escaped(name) for name in found.first)
        boxes.remark(f"Undo later runs of the same records first: {later}.")
        return
    if st.button(
        "Preview",
        icon=":material/visibility:",
        key="run.undo.preview",
        help="Reads the target and lists what others changed since; nothing is sent",
    ):
        follow(lambda: launching.undo(visit.bridge(), visit.actor(), row.name, preview=True))
    ready = confirm.typed(target, key="run.undo.name", what="the target org name")
    reason = st.text_input("Reason (goes into the audit trail)", key="run.undo.reason", live=True)
    if confirm.buttons("Undo run", key="run.undo", ready=ready and bool((reason or "").strip())):
        follow(
            lambda: launching.undo(
                visit.bridge(), visit.actor(), row.name, confirm=target, reason=reason or ""
            )
        )


def _outlook(found: undoing.UndoOutlook) -> None:
    """Counts per object, and what stays."""
    kinds = {"delete": "Deleted", "restore": "Get back what they held", "undelete": "Undeleted"}
    shown = [kind for kind in kinds if any(getattr(line, kind) for line in found.lines)]
    st.dataframe(
        {
            "Object": [object_name(line.mapping, line.target) for line in found.lines],
            **{kinds[kind]: [getattr(line, kind) for line in found.lines] for kind in shown},
        },
        hide_index=True,
        height="content" if len(found.lines) <= MANY_OBJECTS else 260,
        key="run.undo.outlook",
        alt="What an undo takes back, by object",
    )
    st.caption("Records that others changed since are listed and left alone.")
    for sentence in found.cannot:
        boxes.remark(escaped(sentence))


def _confirmed(row: run_reads.RunRow, *, key: str) -> tuple[bool, str]:
    """Name and reason where the target asks for them: whether all is given, and the reason."""
    if not run_reads.asks_for_name(visit.bridge(), visit.actor(), row):
        return True, ""
    named = confirm.typed(row.target_name or "", key=f"{key}.name", what="the target org name")
    reason = st.text_input("Reason (goes into the audit trail)", key=f"{key}.reason", live=True)
    return named and bool((reason or "").strip()), reason or ""


def follow(start: Callable[[], str]) -> None:
    """Start another run and open it."""
    try:
        started = start()
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    registry.go("run", run=started)
