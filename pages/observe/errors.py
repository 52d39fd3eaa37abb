"""Errors: what goes wrong again and again, over all runs, with what is known about it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.domain.roles import Role
from core.domain.usual_fixes import usual_fix
from core.services import logs
from pages.parts import boxes, choice, export, figures, rows, state, tables, visit, words
from pages.parts.boxes import escaped

STATES = {
    "open": words.Word("Open", "orange", "error"),
    "known": words.Word("Known", "violet", "visibility"),
    "fixed": words.Word("Fixed", "green", "check_circle"),
}
COLUMNS = {
    "count": tables.rows_column("Rows", width=75),
    "code": st.column_config.TextColumn("Reason", pinned=True, width=230),
    "message": st.column_config.TextColumn("Message", width=330),
    "objects": st.column_config.TextColumn("Objects", width=140),
    "runs": tables.rows_column("Runs", width=65),
    "last": tables.time_column("Last seen", width=170),
    "state": words.pills("State", STATES.values(), width=90),
}


def frame(found: Sequence[logs.ErrorGroup]) -> pd.DataFrame:
    """One row per kind of error."""
    return tables.frame(
        [
            {
                "count": group.count,
                "code": group.code,
                "message": group.message,
                "objects": ", ".join(group.objects),
                "runs": group.runs,
                "last": group.last_seen,
                "state": [STATES[group.state].label],
            }
            for group in found
        ],
        list(COLUMNS),
    )


def draw() -> None:
    """The page."""
    found = logs.error_groups(visit.bridge(), visit.actor())
    data = frame(found)
    with rows.head("Errors"):
        export.button(
            "errors",
            lambda: export.csv_bytes(list(data.columns), data.itertuples(index=False)),
            key="errors.csv",
        )
    shown = choice.segmented(
        "State",
        ["all", *STATES],
        default="all",
        format_func=lambda name: STATES[name].label if name in STATES else "All",
        key="error_state",
        label_visibility="collapsed",
    )
    kept = [group for group in found if shown in {"all", group.state}]
    if not kept:
        boxes.empty(
            "No error of this kind",
            "Rows that were refused and acts that failed in the last 30 days appear here, grouped.",
            icon=":material/task_alt:",
        )
        return
    chosen = tables.show(
        frame(kept),
        COLUMNS,
        key=f"errors.table.{shown}",
        alt="Kinds of errors of the last 30 days, the most frequent first",
        on_select="rerun",
        selection_mode="single-row-required",
    )
    card(kept[tables.picked(chosen) or 0])


def card(group: logs.ErrorGroup) -> None:
    """One kind of error: the usual fix, and what people noted."""
    with st.container(border=True):
        st.markdown(
            f"**{escaped(group.code)}** :gray[first {figures.when(group.first_seen)} · "
            f"last {figures.when(group.last_seen)} · {figures.plural(group.runs, 'run')}]"
        )
        st.caption(
            f"“{escaped(group.message.rstrip('.'))}”. {escaped(usual_fix(group.code).sentence)}"
        )
        if not visit.may(Role.ANALYST):
            st.caption(escaped(group.note))
            return
        with st.form(f"errors.note.{group.fingerprint}", border=False):
            became = st.selectbox(
                "State",
                list(STATES),
                index=list(STATES).index(group.state),
                format_func=lambda name: STATES[name].label,
                width=200,
            )
            note = st.text_area("What is known about it", value=group.note, height=80)
            sent = st.form_submit_button("Save note")
        here = (visit.bridge(), visit.actor())
        if sent and boxes.acted(logs.note_error, *here, group.fingerprint, state=became, note=note):
            st.session_state[state.TOAST] = "Noted."
            st.rerun()


boxes.acted(draw)
