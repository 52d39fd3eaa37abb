"""Field differences: what differs between two orgs, and what it would do to the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.services import operations, orgs
from pages import registry
from pages.parts import (
    boxes,
    difference_parts,
    export,
    figures,
    plan_choice,
    rows,
    under_way,
    visit,
    words,
)
from pages.parts.boxes import escaped

COMPARISONS = under_way.Launches(
    "field_differences",
    "differences",
    verb="Compare",
    noun="Comparison",
    never="Not compared yet",
    told="Comparing describes both orgs and changes nothing.",
    icon=":material/compare_arrows:",
)


def chosen_orgs(names: list[str]) -> tuple[str, str] | None:
    """Source and target; the address names them."""
    source = st.selectbox("Source", names, index=0, key="a", bind="query-params", width=220)
    target = st.selectbox("Target", names, index=1, key="b", bind="query-params", width=220)
    return (source, target) if source and target and source != target else None


def chosen_plan() -> str | None:
    """The plan whose objects and fields are compared; None for everything."""
    names = [row.name for row in plan_choice.between_orgs()]
    chosen = st.selectbox(
        "Scope",
        ["", *names],
        format_func=lambda name: f"Plan {name}" if name else "All objects",
        key="differences_plan",
        bind="query-params",
        width=220,
    )
    return chosen or None


def draw() -> None:
    """The page."""
    cards = {card.name: card for card in orgs.orgs(visit.bridge(), visit.actor())}
    with rows.head("Field differences"):
        place = st.container(horizontal=True, width="content")
    if len(cards) < 2:
        boxes.empty("Two orgs are needed", "A comparison puts one org's fields beside another's.")
        if st.button("Open orgs", type="primary", key="differences.orgs"):
            registry.go("orgs")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pair = chosen_orgs(list(cards))
        plan = chosen_plan()
    if pair is None:
        boxes.empty("Choose two different orgs", "One is the source, the other the target.")
        return
    # what somebody compared of a few objects alone is not shown as the whole
    about = {"source": pair[0], "target": pair[1], "plan": plan, "objects": []}
    entry = under_way.latest(COMPARISONS, about, place=place, given={**about, "refresh": True})
    if entry is None:
        return
    kinds = {name: card.environment for name, card in cards.items()}
    result(entry, ((pair[0], kinds[pair[0]]), (pair[1], kinds[pair[1]])))


def result(entry: operations.LogEntry, pair: tuple[tuple[str, str], tuple[str, str]]) -> None:
    """What the last comparison said."""
    found: Mapping[str, Any] = entry.result
    fields = difference_parts.flat(found)
    rows.facts(
        words.org_pair(*pair),
        f"compared {figures.when(entry.finished_at)} by "
        f"{escaped(figures.person(entry.requested_by))}",
        figures.plural(len(found["objects"]), "object"),
        escaped(entry.message),
    )
    kept = difference_parts.filters(fields)
    left, right = st.columns([0.72, 0.28], gap="medium")
    with left:
        row = difference_parts.table(kept)
        export.button(
            "field-differences", lambda: difference_parts.csv_of(kept), key="differences.csv"
        )
    if row is not None:
        with right:
            difference_parts.card(row)


boxes.acted(draw)
