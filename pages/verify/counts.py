"""Record counts: is everything there? Source against target, object by object, with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.domain.roles import Role
from core.services import operations, orgs, plans
from pages import registry
from pages.parts import (
    boxes,
    count_history,
    count_parts,
    export,
    figures,
    missing_acts,
    operation_form,
    plan_choice,
    rows,
    under_way,
    visit,
    words,
)
from pages.parts.boxes import escaped

KIND = "record_counts"
BASELINES = {"filter": "with the plan's filters", "all": "all rows, no filter"}


def draw() -> None:
    """The page."""
    with rows.head("Record counts"):
        row = plan_choice.chosen(plan_choice.all_plans(), key="counts_plan")
        place = st.container(horizontal=True, width="content")
    if row is None:
        boxes.empty("No plan yet", "Counts compare the objects of a plan in both orgs.")
        if st.button("Open plans", type="primary", key="counts.plans"):
            registry.go("plans")
        return
    about = {"plan": row.name}
    entry = operations.latest(visit.bridge(), visit.actor(), KIND, given=about)
    newest = under_way.newest(KIND, about)
    is_moving = under_way.is_moving(newest)
    may_count = visit.may(Role.ANALYST)
    with place:
        if entry is not None:
            objects: Sequence[Mapping[str, Any]] = entry.result["objects"]
            export.button("record-counts", lambda: count_parts.csv_of(objects), key="counts.csv")
        wanted = may_count and st.button(
            "Count again" if entry else "Count now",
            type="primary",
            icon=":material/refresh:",
            key="counts.act",
            disabled=is_moving,
        )
        operation_form.button(KIND, given=about, key="counts.more")
    if wanted:
        under_way.launch(KIND, about)
    under_way.draw(KIND, newest, what="Count")
    if entry is None:
        if not is_moving:
            boxes.empty(
                "Not counted yet",
                "Counting asks each org once for 25 objects and changes nothing.",
                icon=":material/balance:",
            )
        return
    result(row, entry, may_count=may_count)


def result(row: plans.PlanRow, entry: operations.LogEntry, *, may_count: bool) -> None:
    """What the last count said."""
    found = entry.result
    cards = {card.name: card for card in orgs.sources(visit.bridge(), visit.actor())}
    kinds = {name: card.environment for name, card in cards.items()}
    calls = found["api_calls"]
    rows.facts(
        words.org_pair(
            (found["source"], kinds.get(found["source"], "not connected")),
            (found["target"], kinds.get(found["target"], "not connected")),
        ),
        f"counted {figures.when(entry.finished_at)} by "
        f"{escaped(figures.person(entry.requested_by))}",
        BASELINES[entry.parameters.get("baseline", "filter")],
        f"{figures.count(calls['source'] + calls['target'])} API calls",
    )
    count_parts.metrics(found["objects"])
    chosen = count_parts.table_and_chart(found["objects"])
    if chosen is not None:
        reasons = found.get("missing", {}).get(chosen["name"])
        source = cards.get(found["source"])
        source_url = source.instance_url if source else ""
        count_parts.drill_down(chosen, reasons, source_url=source_url)
        if may_count:
            if missing_acts.buttons(row.name, chosen, is_told=reasons is not None):
                under_way.launch(KIND, {"plan": row.name, "explain": [chosen["name"]]})
        count_history.draw(row.name, chosen["name"])


boxes.acted(draw)
