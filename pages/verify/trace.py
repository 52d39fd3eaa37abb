"""Where did this record go: by an id of either org, the value of a key, or its name."""

from __future__ import annotations

import streamlit as st

from core.domain.ids import is_id
from core.services import plans, tracing
from pages.parts import boxes, figures, rows, trace_parts, visit
from pages.parts.boxes import escaped

#: orgs that are named while they are asked
ORGS_TOLD = 4


def draw() -> None:
    """The page."""
    with rows.head("Find a record"):
        pass
    asked = st.text_input(
        "Record",
        key="record",
        bind="query-params",
        type="search",
        placeholder="An id of either org, the value of a key, or a name…",
        help="An id is looked up in what runs wrote down. Anything else is looked for in the key "
        "fields and names of your plans' objects, in both orgs.",
        width=520,
    )
    if not (asked or "").strip():
        boxes.empty(
            "Where did this record go?",
            "Paste a record's id from either org, a key such as an account number, or its name: "
            "you see what became of it, in which run, and what kept it back.",
            icon=":material/travel_explore:",
        )
        return
    boxes.acted(_found, str(asked))


def _and_in(asked: str) -> str:
    """The orgs that are asked for a key or a name; of an id the ledger knows."""
    if is_id(asked.strip()):
        return ""
    found = plans.plans(visit.bridge(), visit.actor())
    names = dict.fromkeys(name for row in found for name in (row.source_org, row.target_org))
    told = [name for name in names if name]
    return f" and in {', '.join(told[:ORGS_TOLD])}" if told else ""


def _found(asked: str) -> None:
    with boxes.asking(f"Looking in what runs wrote down{_and_in(asked)}…", height=120):
        found = tracing.trace(visit.bridge(), visit.actor(), asked)
    if found.looked_in:
        st.caption(
            f"{figures.plural(len(found.record_ids), 'record')} with this key or name, looked for "
            f"in {figures.plural(len(found.looked_in), 'field')}.",
            help=escaped(", ".join(found.looked_in)),
        )
    for problem in found.unasked:
        boxes.remark(escaped(problem))
    if not found.links and not found.setbacks:
        _nothing(found)
        return
    if found.links:
        trace_parts.links(found)
    if found.setbacks:
        trace_parts.setbacks(found)


def _nothing(found: tracing.Trace) -> None:
    """Why there is nothing: no such record, or one that no run has met."""
    if found.record_ids:
        boxes.empty(
            "No run has met this record",
            "It was not in the scope of a run, or what runs wrote down of its orgs was reset.",
            icon=":material/search_off:",
        )
        return
    boxes.empty(
        "No record found",
        "No field that was asked holds it. Only objects of your plans are asked, and a name is "
        "compared as a whole.",
        icon=":material/search_off:",
    )


boxes.acted(draw)
