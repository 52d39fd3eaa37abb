"""Extra child records: children in the target that the source's parents do not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.services import orgs
from pages import registry
from pages.parts import (
    boxes,
    child_acts,
    figures,
    plan_choice,
    rows,
    tables,
    under_way,
    visit,
    words,
)
from pages.parts.boxes import escaped

LOOKS = under_way.Launches(
    "extra_child_records",
    "extra",
    verb="Look",
    noun="Look at the children",
    never="Not looked at yet",
    told="Reads ids and parents in the target, changes nothing.",
)
Row = Mapping[str, Any]
COLUMNS = {
    "parent_object": st.column_config.TextColumn("Parent", pinned=True, width=160),
    "child_object": st.column_config.TextColumn("Child", width=160),
    "lookup": st.column_config.TextColumn("Lookup", width=160),
    "rows": tables.rows_column("Extra rows", width=100),
    "newest": tables.time_column("Newest", width=180),
}


def draw() -> None:
    """The page."""
    with rows.head("Extra child records"):
        row = plan_choice.chosen(plan_choice.between_orgs(), key="plan")
        place = st.container(horizontal=True, width="content")
    if row is None:
        boxes.empty("No plan yet", "The parents that a plan migrated are looked at.")
        if st.button("Open plans", type="primary", key="extra.plans"):
            registry.go("plans")
        return
    entry = under_way.latest(LOOKS, {"plan": row.name}, place=place)
    if entry is None:
        return
    cards = {card.name: card.environment for card in orgs.orgs(visit.bridge(), visit.actor())}
    target = entry.result["target"]
    rows.facts(
        words.org_badge(target, cards.get(target)),
        f"looked at {figures.when(entry.finished_at)}",
        escaped(entry.message.rstrip(".")),
    )
    result(row.name, entry.result["children"])


def result(plan: str, found: Sequence[Row]) -> None:
    """Lookups with extra children, and the ids under one of them."""
    if not found:
        boxes.empty(
            "No extra children", "Every child has its origin.", icon=":material/check_circle:"
        )
        return
    data = tables.frame([{name: row[name] for name in COLUMNS} for row in found], list(COLUMNS))
    data["newest"] = pd.to_datetime(data["newest"], utc=True, errors="coerce")
    chosen = tables.show(
        data,
        COLUMNS,
        key="extra.table",
        alt="Extra children by lookup",
        on_select="rerun",
        selection_mode="single-row-required",
    )
    row = found[tables.picked(chosen) or 0]
    # launches before names were kept have none
    names = row.get("names") or [""] * len(row["ids"])
    lists = {"Child": names, "Child id": row["ids"], "Parent id": row["parents"]}
    tables.show(
        pd.DataFrame(lists),
        {name: st.column_config.TextColumn(name, width=200) for name in lists},
        key=f"extra.rows.{row['child']}.{row['lookup']}",
        alt=f"Extra {row['child_object']} records",
    )
    if row["rows"] > len(row["ids"]):
        st.caption(f"{figures.count(len(row['ids']))} of {figures.count(row['rows'])} are listed.")
    child_acts.buttons(plan, row)


boxes.acted(draw)
