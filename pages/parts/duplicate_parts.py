"""The parts of the duplicates page: clusters, records side by side, the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.services.duplicates import Cluster, Comparison
from pages.parts import boxes, export, figures, tables
from pages.parts.boxes import escaped

#: clusters of one page of the list
PAGE_CLUSTERS = 12
STATES = {"open": "Open", "decided": "Decided", "not_duplicates": "Not duplicates"}
COLUMNS = {
    "name": st.column_config.TextColumn("Cluster", pinned=True, width=150),
    "records": tables.rows_column("Rec.", width=60),
    "score": st.column_config.ProgressColumn(
        "Score", min_value=0, max_value=100, format="%.1f%%", width=110
    ),
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Decide = Callable[[str, str | None], None]


def rules() -> dict[str, object]:
    """How to search: fields, exact or fuzzy, a filter."""
    with st.popover("Rules", icon=":material/tune:"):
        fields = st.text_input(
            "Fields",
            key="duplicates.fields",
            help="Separated by commas; empty: names and addresses",
        )
        exact = st.toggle("All fields must agree exactly", key="duplicates.exact")
        where = st.text_input("Only records where", key="duplicates.where", help="SOQL condition")
    names = [name.strip() for name in fields.split(",") if name.strip()]
    return {
        "fields": names,
        "method": "exact" if exact else "fuzzy",
        "where": where.strip() or None,
    }


def state_of(cluster: Cluster) -> str:
    """Which list a cluster is in."""
    if cluster.decision is None:
        return "open"
    return "not_duplicates" if cluster.decision.decision == "not_duplicates" else "decided"


def filtered(clusters: Sequence[Cluster]) -> list[Cluster]:
    """Segments with counts and a slider of the score; the clusters that are left."""
    counts = {name: sum(state_of(one) == name for one in clusters) for name in STATES}
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = st.segmented_control(
            "Show",
            list(STATES),
            default="open",
            required=True,
            format_func=lambda name: f"{STATES[name]} {figures.count(counts[name])}",
            key="show",
            bind="query-params",
            label_visibility="collapsed",
        )
        low, high = st.slider(
            "Score",
            50,
            100,
            (50, 100),
            format="%d%%",
            key="duplicates.score",
            label_visibility="collapsed",
            width=260,
        )
    return [
        one
        for one in clusters
        if state_of(one) == shown
        and (one.probability is None or low <= 100 * one.probability <= high)
    ]


def title(cluster: Cluster) -> str:
    """A cluster by the values of its first member."""
    values = [str(value) for value in cluster.members[0].values() if value]
    # a word joiner keeps Markdown from making a link of an address
    return " ".join(values[:2]).replace("@", "@\u2060") or cluster.record_ids[0]


def listed(clusters: Sequence[Cluster]) -> Cluster | None:
    """The list, a page at a time; the chosen cluster."""
    if not clusters:
        boxes.empty("Nothing here", "Choose another list, or a wider range of scores.")
        return None
    page = tables.page_of(len(clusters), key="duplicates.page", page_rows=PAGE_CLUSTERS)
    part = clusters[(page - 1) * PAGE_CLUSTERS : page * PAGE_CLUSTERS]
    data = tables.frame(
        [
            {
                "name": title(one),
                "records": len(one.record_ids),
                "score": None if one.probability is None else 100 * one.probability,
            }
            for one in part
        ],
        list(COLUMNS),
    )
    chosen = tables.show(
        data,
        COLUMNS,
        key=f"duplicates.table.{page}.{len(clusters)}",
        alt="Groups of records that are likely the same",
        on_select="rerun",
        selection_mode="single-row",
    )
    at = tables.picked(chosen) or 0
    return part[at] if at < len(part) else part[0]


def why(cluster: Cluster) -> str:
    """Markdown badges of what makes the records alike."""
    likely = (
        "" if cluster.probability is None else f":green-badge[{cluster.probability:.1%} likely] "
    )
    words = {"same": "blue", "close": "blue", "similar": "gray", "different": "orange"}
    badges = [
        f":{words[told['likeness']]}-badge[{escaped(name)} {told['likeness']}]"
        for name, told in cluster.why.items()
        if told["likeness"] in words
    ]
    return likely + " ".join(badges)


def side_by_side(cluster: Cluster, found: Comparison) -> str:
    """Survivor and table; id of the survivor."""
    letters = dict(zip(found.record_ids, LETTERS, strict=False))
    survivor = st.segmented_control(
        "Survivor",
        list(letters),
        default=(cluster.decision and cluster.decision.survivor_id) or found.record_ids[0],
        required=True,
        format_func=lambda one: f"{letters[one]} · …{one[9:15]}",
        help="The record that stays; a later run redirects the others' children to it.",
        key=f"duplicates.survivor.{cluster.key}",
    )
    data = _table(found, letters)
    styled = data.style.apply(_tinted, axis=1)
    st.dataframe(
        styled,
        hide_index=True,
        row_height=tables.ROW_HEIGHT,
        height=tables.height(len(data)),
        key=f"duplicates.compare.{cluster.key}",
        alt="The records side by side",
        placeholder=figures.MISSING,
    )
    return str(survivor)


def decision_buttons(cluster: Cluster, survivor: str, act: Decide) -> None:
    """Not duplicates, skip, keep; each acts in a callback, so that the next cluster is drawn."""
    letter = LETTERS[cluster.record_ids.index(survivor)] if survivor in cluster.record_ids else "A"
    with st.container(horizontal=True):
        st.button(
            "Not duplicates",
            shortcut="N",
            key="duplicates.apart",
            on_click=act,
            args=("not_duplicates", None),
        )
        st.button("Skip", shortcut="S", key="duplicates.skip", on_click=act, args=("skip", None))
        st.button(
            f"Keep {letter} & next",
            type="primary",
            shortcut="Enter",
            key="duplicates.keep",
            on_click=act,
            args=("keep", survivor),
        )


def csv_of(clusters: Sequence[Cluster]) -> bytes:
    """Clusters with their members and decisions as CSV."""
    columns = ("cluster", "record_id", "score", "decision", "survivor_id")
    lines = (
        (
            number,
            record_id,
            one.probability,
            one.decision.decision if one.decision else "",
            one.decision.survivor_id if one.decision else "",
        )
        for number, one in enumerate(clusters, start=1)
        for record_id in one.record_ids
    )
    return export.csv_bytes(columns, lines)


def _table(found: Comparison, letters: Mapping[str, str]) -> pd.DataFrame:
    """Differing fields first, then equal ones that hold something, then children."""
    lines: list[dict[str, Any]] = []
    for name, values, differs in sorted(found.fields, key=lambda line: not line[2]):
        if any(value not in (None, "") for value in values):
            lines.append(_line(name, values, letters, differs=differs))
    for name, numbers in found.children.items():
        if any(numbers):
            lines.append(_line(name, numbers, letters, differs=False))
    names = ["Field", *(letters[one] for one in found.record_ids if one in letters)]
    return pd.DataFrame(lines, columns=names)


def _line(
    name: str, values: Sequence[Any], letters: Mapping[str, str], *, differs: bool
) -> dict[str, Any]:
    shown = {
        letter: None if value is None else str(value)
        for letter, value in zip(letters.values(), values, strict=False)
    }
    return {"Field": f"{name} ≠" if differs else name, **shown}


def _tinted(line: pd.Series) -> list[str]:
    """Orange where a cell differs from the first record's."""
    first = line.iloc[1] if len(line) > 1 else None
    tint = "background-color: rgba(194, 87, 12, .14)"
    differs = str(line.iloc[0]).endswith("≠")
    return ["", *(tint if differs and value != first else "" for value in line.iloc[1:])]
