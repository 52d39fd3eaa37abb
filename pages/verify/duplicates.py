"""Duplicates: records that are likely the same, side by side, and what was decided about them."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.services import duplicates, operations, orgs
from pages import registry
from pages.parts import (
    boxes,
    duplicate_cluster,
    duplicate_parts,
    export,
    figures,
    rows,
    under_way,
    visit,
    words,
)
from pages.parts.boxes import escaped

SEARCHES = under_way.Launches(
    "duplicates",
    "duplicates",
    verb="Find",
    noun="Search for duplicates",
    never="Not searched yet",
    told="A search reads the compared fields and changes nothing.",
)


def searched() -> dict[str, str | None] | None:
    """Org, object and the org it is compared with; the address names them."""
    names = [card.name for card in orgs.orgs(visit.bridge(), visit.actor())]
    if not names:
        return None  # a select box without options is drawn too pale to read (axe, 4.5:1)
    org = st.selectbox("Org", names, key="org", bind="query-params", width=200)
    sobject = st.text_input("Object", "Contact", key="object", bind="query-params", width=160)
    across = st.selectbox(
        "Compared with",
        ["", *(name for name in names if name != org)],
        format_func=lambda name: name or "itself",
        key="across",
        bind="query-params",
        width=200,
        help="Another org: only records of different orgs are compared.",
    )
    if not org or not sobject.strip():
        return None
    return {"org": org, "sobject": sobject.strip(), "across": across or None}


def draw() -> None:
    """The page."""
    with rows.head("Duplicates"):
        place = st.container(horizontal=True, width="content", vertical_alignment="bottom")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = searched()
    if wanted is None:
        boxes.empty("No org yet", "A search reads one object of a connected org.")
        if st.button("Open orgs", type="primary", key="duplicates.orgs"):
            registry.go("orgs")
        return
    with place:
        given = duplicate_parts.rules()
    given |= {"org": wanted["org"], "object": wanted["sobject"], "across": wanted["across"]}
    entry = under_way.latest(SEARCHES, wanted, place=place, given=given)
    if entry is None:
        return
    result(entry)


def result(entry: operations.LogEntry) -> None:
    """Clusters left, the chosen one right."""
    found = entry.result
    cards = {card.name: card.environment for card in orgs.orgs(visit.bridge(), visit.actor())}
    rows.facts(
        " ".join(words.org_badge(name, cards.get(name, "")) for name in found["orgs"]),
        f"searched {figures.when(entry.finished_at)}",
        escaped(entry.message.rstrip(".")),
        "compared " + escaped(", ".join(found["fields"])),
    )
    board = duplicates.board(visit.bridge(), visit.actor(), log_id=entry.id)
    kept = duplicate_parts.filtered(board.clusters)
    left, right = st.columns([0.32, 0.68], gap="medium")
    with left:
        cluster = duplicate_parts.listed(kept, found=len(board.clusters))
        with st.container(horizontal=True):
            export.button("duplicates", lambda: duplicate_parts.csv_of(kept), key="duplicates.csv")
            duplicate_parts.weights(found.get("weights", {}))
            if visit.may(Role.ANALYST):
                duplicate_parts.sure_button(board, entry.id)
    if cluster is not None:
        with right, st.container(border=True):
            duplicate_cluster.draw(cluster, board)


boxes.acted(draw)
