"""Audit trail: who changed what, when, from where and why; nothing here can be changed."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

from core.services import audit
from pages.parts import audit_frame, audit_words, boxes, log_filter, rows, tables, visit


def asked() -> audit.TrailFilter:
    """The filter row."""
    choices = audit.choices(visit.bridge(), visit.actor())
    who, what, when, words = st.columns([0.22, 0.22, 0.26, 0.3], vertical_alignment="bottom")
    actor = log_filter.one_of(who, "Who", choices.actors, key="actor", every="Everybody")
    action = log_filter.one_of(
        what,
        "Action",
        choices.actions,
        key="action",
        every="Every action",
        format_func=audit_words.action,
    )
    rest = log_filter.days_and_words(
        (when, words), days_key="audit_days", text_key="audit_q", placeholder="Name, reason, id…"
    )
    return audit.TrailFilter(actor=actor, action=action, **rest)


def draw() -> None:
    """The page."""
    with rows.head("Audit trail"):
        place = st.container(width="content")
    whole = asked()
    near = audit.searched(visit.bridge(), visit.actor(), whole)
    wanted = log_filter.narrowed(whole, near, key="audit.whole")
    page = int(st.session_state.get("audit.page", 1))
    found = audit.trail(
        visit.bridge(), visit.actor(), wanted, page=page, page_rows=tables.PAGE_ROWS
    )
    with place:
        log_filter.csv_link("audit", asdict(whole))
    if not found.total:
        boxes.empty(
            "Nothing matches",
            "Every change by a person, script or schedule leaves a line here. Widen the filter.",
        )
        return
    told = log_filter.entries(found.total, is_at_least=found.is_at_least)
    st.caption(
        f"{told}, newest first. Nobody can change or delete one; a CSV's SHA-256 is noted here."
    )
    tables.show(
        audit_frame.frame(found.rows), audit_frame.COLUMNS, key="audit.table", alt="Audit trail"
    )
    tables.page_of(found.total, key="audit.page")


boxes.acted(draw)
