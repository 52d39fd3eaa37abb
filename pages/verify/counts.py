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
    plan_choice,
    rows,
    under_way,
    visit,
    words,
)
from pages.parts.boxes import escaped

COUNTS = under_way.Launches(
    "record_counts",
    "counts",
    verb="Count",
    noun="Count",
    never="Not counted yet",
    told="Counting asks each org once for 25 objects and changes nothing.",
    icon=":material/balance:",
)
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
    with place:
        beside = st.container(width="content")
    entry = under_way.latest(COUNTS, {"plan": row.name}, place=place)
    if entry is None:
        return
    objects: Sequence[Mapping[str, Any]] = entry.result["objects"]
    with beside:
        export.button("record-counts", lambda: count_parts.csv_of(objects), key="counts.csv")
    result(row, entry)


def result(row: plans.PlanRow, entry: operations.LogEntry) -> None:
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
        both = (found["source"], found["target"])
        count_parts.drill_down(chosen, reasons, orgs=both, source_url=source_url)
        if visit.may(Role.ANALYST):
            if missing_acts.buttons(row.name, chosen, is_told=reasons is not None):
                listed = missing_acts.to_list(row.name, chosen["name"], found.get("missing", ()))
                under_way.launch(COUNTS.kind, {"plan": row.name, "explain": listed})
        count_history.draw(row.name, chosen["name"])


boxes.acted(draw)
