"""One kind of error: the usual fix, the records that failed so, and what people noted of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain.roles import Role
from core.domain.usual_fixes import usual_fix
from core.services import logs
from pages import registry
from pages.parts import boxes, error_reads, figures, state, tables, visit, words
from pages.parts.boxes import escaped

STATES = {
    "open": words.Word("Open", "orange", "error"),
    "known": words.Word("Known", "violet", "visibility"),
    "fixed": words.Word("Fixed", "green", "check_circle"),
}

COLUMNS = {
    "source_id": st.column_config.TextColumn("Source record", pinned=True, width=165),
    "sobject": st.column_config.TextColumn("Object", width=110),
    "message": st.column_config.TextColumn("What was said", width=390),
    "run": st.column_config.TextColumn("Run", width=172),
    "at": tables.time_column("When", width=155),
    "later": st.column_config.CheckboxColumn("Arrived later", width=92),
}


def draw(group: logs.ErrorGroup) -> None:
    """One kind of error: the usual fix, and what people noted."""
    with st.container(border=True):
        st.markdown(
            f"**{escaped(group.code)}** :gray[first {figures.when(group.first_seen)} · "
            f"last {figures.when(group.last_seen)} · {figures.plural(group.runs, 'run')}]"
        )
        st.caption(
            f"“{escaped(group.message.rstrip('.'))}”. {escaped(usual_fix(group.code).sentence)}"
        )
        _rows(group)
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
            error_reads.forget()
            st.session_state[state.TOAST] = "Noted."
            st.rerun()


def _rows(group: logs.ErrorGroup) -> None:
    """The newest records, and the way to their runs; nothing for errors of no row."""
    found = error_reads.failed_rows(group)
    if not found:
        return
    tables.show(
        tables.frame([_line(row) for row in found], list(COLUMNS)),
        COLUMNS,
        key=f"errors.rows.{group.fingerprint}",
        alt=f"Records that failed with {group.code}",
        height=tables.HEADER_HEIGHT + 5 * tables.ROW_HEIGHT if len(found) > 5 else "content",
    )
    _runs(list(dict.fromkeys(row.run for row in found)), group)


def _line(row: logs.FailedRow) -> dict[str, object]:
    return {
        "source_id": row.source_id or row.target_id,
        "sobject": row.sobject,
        "message": row.message,
        "run": row.run,
        "at": row.at,
        "later": row.is_resolved,
    }


def _runs(names: Sequence[str], group: logs.ErrorGroup) -> None:
    with st.container(horizontal=True):
        for name in names[:3]:
            if st.button(f"Open run {name}", key=f"errors.run.{name}"):
                registry.go("run", run=name, tab="errors", reason=group.code)
