"""Logs: everything that was launched, of every kind, in one list."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

from core.services import audit, logs, orgs
from pages.parts import boxes, log_filter, log_parts, operation_form, rows, tables, visit

#: what of the filter the link to the CSV carries
LINKED = ("kind", "text", "since", "until", "who", "org_id")


def asked() -> logs.LogFilter:
    """The filter row."""
    kinds, org, who, when, words = st.columns(
        [0.22, 0.16, 0.18, 0.25, 0.19], vertical_alignment="bottom"
    )
    chosen = kinds.multiselect(
        "Kind",
        logs.KINDS,
        format_func=log_parts.kind_name,
        key="kind_of_log",
        bind="query-params",
        placeholder="Every kind",
    )
    cards = {card.name: card.id for card in orgs.orgs(visit.bridge(), visit.actor())}
    name = log_filter.one_of(org, "Org", tuple(cards), key="log_org", every="Every org")
    people = audit.choices(visit.bridge(), visit.actor()).actors
    person = log_filter.one_of(who, "Who", people, key="log_who", every="Everybody")
    rest = log_filter.days_and_words(
        (when, words), days_key="log_days", text_key="log_text", placeholder="In the message"
    )
    return logs.LogFilter(kinds=tuple(chosen), org_id=cards.get(name), who=person, **rest)


def draw() -> None:
    """The page."""
    with rows.head("Logs"):
        place = st.container(horizontal=True, width="content")
    whole = asked()
    near = logs.searched(visit.bridge(), visit.actor(), whole)
    wanted = log_filter.narrowed(whole, near, key="logs.whole")
    page = int(st.session_state.get("logs.page", 1))
    found = logs.logs(visit.bridge(), visit.actor(), wanted, page=page, page_rows=tables.PAGE_ROWS)
    with place:
        asked_for = {**asdict(whole), "kind": whole.kinds}
        log_filter.csv_link("logs", {name: asked_for[name] for name in LINKED})
        given = {"kinds": wanted.kinds, "text": wanted.text, "days": log_filter.DAYS_SHOWN}
        operation_form.button("export_logs", given=given, key="logs.more")
    if not found.total:
        boxes.empty("Nothing matches", "Runs, counts, comparisons and changes appear here.")
        return
    log_parts.charts(wanted, found.per_day)
    told = log_filter.entries(found.total, is_at_least=found.is_at_least)
    st.caption(f"{told}, newest first")
    chosen = tables.show(
        log_parts.frame(found.rows),
        log_parts.COLUMNS,
        key="logs.table",
        alt="Log entries, the newest first",
        on_select="rerun",
        selection_mode="single-row",
    )
    tables.page_of(found.total, key="logs.page")
    position = tables.picked(chosen)
    there = position is not None and position < len(found.rows)
    log_parts.opened(found.rows[position] if there else None)


boxes.acted(draw)
