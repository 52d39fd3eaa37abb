"""The parts of the duplicates page: clusters, records side by side, the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import pandas as pd
import streamlit as st

from core.services import duplicates
from core.services.duplicates import Board, Cluster
from pages.parts import boxes, choice, confirm, export, figures, tables, visit
from pages.parts.boxes import escaped
from pages.parts.duplicate_compare import LETTERS

#: clusters of one page of the list
PAGE_CLUSTERS = 12
METHODS = {
    "fuzzy": "Likely the same",
    "exact": "All fields agree exactly",
    "trained": "Trained by Splink (an extra)",
}
#: how alike two values are, as a search tells it: in words, and the colour of the badge
LEVELS = {
    "same": ("The same", "blue"),
    "close": ("Nearly the same", "blue"),
    "similar": ("Similar", "gray"),
    "different": ("Different", "orange"),
}
#: score, in %, from which groups are accepted at once unless somebody says otherwise
SURE_FROM = 97
STATES = {"open": "Open", "decided": "Decided", "not_duplicates": "Not duplicates"}
COLUMNS = {
    "name": st.column_config.TextColumn("Cluster", pinned=True, width=118),
    "records": tables.rows_column("Rec.", width=46),
    "score": st.column_config.ProgressColumn(
        "Score", min_value=0, max_value=100, format="%.1f%%", width=106
    ),
}
Decide = Callable[[str, str | None], None]


def rules() -> dict[str, object]:
    """How to search: fields, exact or fuzzy, a filter."""
    with st.popover("Rules", icon=":material/tune:"):
        fields = st.text_input(
            "Fields",
            key="duplicates.fields",
            help="Separated by commas; empty: names and addresses",
        )
        method = st.selectbox(
            "How", list(METHODS), format_func=METHODS.__getitem__, key="duplicates.method"
        )
        where = st.text_input("Only records where", key="duplicates.where", help="SOQL condition")
    names = [name.strip() for name in fields.split(",") if name.strip()]
    return {
        "fields": names,
        "method": method,
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
        shown = choice.segmented(
            "Show",
            list(STATES),
            default="open",
            format_func=lambda name: f"{STATES[name]} {figures.count(counts[name])}",
            key="show",
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


def listed(clusters: Sequence[Cluster], *, found: int) -> Cluster | None:
    """The list, a page at a time; the chosen cluster.

    Args:
        found: how many the search found, shown here or not.
    """
    if not found:
        boxes.empty("No likely duplicates", "No two records are alike enough in these fields.")
        return None
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
        selection_mode="single-row-required",
    )
    at = tables.picked(chosen) or 0
    return part[at] if at < len(part) else part[0]


def why(cluster: Cluster) -> str:
    """Markdown badges of what makes the records alike."""
    likely = (
        "" if cluster.probability is None else f":green-badge[{cluster.probability:.1%} likely] "
    )
    badges = []
    for name, told in cluster.why.items():
        if told["likeness"] in LEVELS:
            word, color = LEVELS[told["likeness"]]
            badges.append(f":{color}-badge[{escaped(name)}: {word.lower()} {told['bits']:+.1f}]")
    return likely + " ".join(badges)


def weights(bits: Mapping[str, Sequence[float]]) -> None:
    """How much agreement on each field says; 10 points are a thousand to one."""
    if not bits:
        return
    with st.popover("Weights", icon=":material/balance:"):
        st.caption(
            "What the values of a field say for (+) or against (−) two records being the same. "
            "Each point doubles the odds; 10 points are a thousand to one. A value that few "
            "records hold says more than these averages."
        )
        words = [word for word, _ in LEVELS.values()]
        lines = [
            {"Field": name, **dict(zip(words, told, strict=True))}
            for name, told in sorted(bits.items(), key=lambda item: -item[1][0])
        ]
        st.dataframe(
            pd.DataFrame(lines),
            column_config={
                word: st.column_config.NumberColumn(word, format="%+.1f") for word in words
            },
            hide_index=True,
            key="duplicates.weights",
            alt="Match weights by field",
        )


def sure_button(board: Board, log_id: UUID) -> None:
    """Accepts every open group that is likely enough at once, after a look at their number."""
    if not board.likely(0):
        return
    sure = figures.count(len(board.likely(SURE_FROM / 100)))
    if st.button(f"Accept all ≥ {SURE_FROM}% ({sure})…", key="duplicates.sure"):
        sure_dialog(board, log_id)


@st.dialog("Accept what is likely enough", icon=":material/done_all:")
def sure_dialog(board: Board, log_id: UUID) -> None:
    """Keeps one record of every open group that is at least so likely the same."""
    lowest = st.number_input(
        "Likely the same, at least %", 50, 100, SURE_FROM, key="duplicates.sure.from"
    )
    share = (SURE_FROM if lowest is None else lowest) / 100
    number = len(board.likely(share))
    stays = "the first record" if len(board.places) == 1 else f"the record of {board.orgs[1]}"
    st.markdown(
        f"In **{figures.count(number)}** open groups of {escaped(board.places[0][1])} that are at "
        f"least {share:.0%} likely the same, {escaped(stays)} survives with its own values. "
        f"Each can be opened again."
    )
    if not number:
        boxes.empty("No group is so likely", "Take a lower share.")
        return
    ready = confirm.typed(str(number), key="duplicates.sure.count", what="the number")
    if not confirm.buttons(f"Accept {number}", key="duplicates.sure.all", ready=ready):
        return
    if boxes.acted(
        duplicates.accept,
        visit.bridge(),
        visit.actor(),
        log_id=log_id,
        from_probability=share,
        count=number,
    ):
        st.rerun()


def decision_buttons(cluster: Cluster, survivor: str, act: Decide) -> None:
    """Not duplicates, skip, keep; each acts in a callback, so that the next cluster is drawn."""
    letter = LETTERS[cluster.record_ids.index(survivor)] if survivor in cluster.record_ids else "A"
    with st.container(horizontal=True):
        if cluster.decision is not None:
            st.button("Open again", key="duplicates.reopen", on_click=act, args=("open", None))
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
    """Clusters with their members and decisions as CSV, a line a record.

    ``values_taken`` are the fields whose value the survivor takes from the record.
    """
    columns = (
        "cluster",
        "record_id",
        "score",
        "decision",
        "survivor_id",
        "values_taken",
        "decided_by",
        "decided_at",
    )
    lines = (
        (number, record_id, one.probability, *_decision(one, record_id))
        for number, one in enumerate(clusters, start=1)
        for record_id in one.record_ids
    )
    return export.csv_bytes(columns, lines)


def _decision(cluster: Cluster, record_id: str) -> tuple[str, ...]:
    made = cluster.decision
    if made is None:
        return ("",) * 5
    taken = ", ".join(name for name, donor in made.values.items() if donor == record_id)
    return (
        made.decision,
        made.survivor_id or "",
        taken,
        made.decided_by,
        made.decided_at.isoformat(),
    )
