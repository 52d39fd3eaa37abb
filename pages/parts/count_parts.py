"""The parts of the counts page: figures, table with chart, the missing rows of one object."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.parts import boxes, choice, export, figures, palette, tables, words
from pages.parts.boxes import escaped

Row = Mapping[str, Any]
SHOWN = {"all": "All", "missing": "Missing", "extra": "Extra", "match": "Match"}
VERDICTS = words.VERDICTS | {"unknown": words.Word("Unknown", "gray", "help")}
COLUMNS = {
    "name": st.column_config.TextColumn("Object", pinned=True, width=150),
    "verdict": words.pills("Verdict", VERDICTS.values(), width=74),
    "source": tables.rows_column("Source", width=64),
    "target": tables.rows_column("Target", width=64),
    "missing": tables.rows_column("Missing", width=64),
    "extra": tables.rows_column("Extra", width=54),
    "share": st.column_config.ProgressColumn(
        "There", min_value=0, max_value=100, format="%.0f%%", width=94
    ),
}
#: rows that a table tints; beyond, the styling costs more than it shows
STYLED_ROWS = 200
#: per cent from which the axis of shares may begin, where every object has more
AXIS_FROM = 70
REASONS = {
    "filtered": "Left out by the plan's filter",
    "deleted_since": "Was there, deleted in the target since",
    "failed": "Refused by the target",
    "blocked": "Held back: a lookup, a key or a rule",
    "not_processed": "Sent, the target did not come to it",
    "never_sent": "No run has sent it yet",
}
CSV = ("name", "source_object", "target_object", "verdict", "source", "target", "missing", "extra")


def metrics(found: Sequence[Row]) -> None:
    """Four figures."""
    plain: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "border": True}
    by = {name: sum(row["verdict"] == name for row in found) for name in VERDICTS}
    missing = _sum(found, "missing")
    match, scope, gone, more = st.columns(4)
    match.metric(
        "Objects that match",
        f"{by['match']} of {len(found)}",
        f"{len(found) - by['match']} need a look" if by["match"] < len(found) else "nothing to do",
        **plain,
    )
    scope.metric(
        "Rows in scope",
        _short(_sum(found, "source")),
        "in the source",
        **plain,
    )
    gone.metric(
        "Missing in target",
        _short(missing),
        _in_how_many(by, found),
        delta_color="inverse" if missing else "off",
        delta_arrow="off",
        border=True,
    )
    more.metric(
        "Extra in target",
        _short(_sum(found, "extra")),
        "not from this plan",
        **plain,
    )


def difference(row: Row, side: str) -> int | None:
    """Rows missing or extra by the two counts; None when a side could not be counted.

    >>> difference({"verdict": "missing", "missing": 3}, "missing")
    3
    >>> difference({"verdict": "unknown", "missing": 0}, "missing") is None
    True
    """
    return None if row["verdict"] == "unknown" else int(row[side])


def _sum(found: Sequence[Row], column: str) -> int | None:
    """Of what was counted; None when nothing was."""
    numbers = [row[column] if column == "source" else difference(row, column) for row in found]
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _short(number: int | None) -> str:
    return figures.MISSING if number is None else figures.short_count(number)


def _in_how_many(by: Mapping[str, int], found: Sequence[Row]) -> str:
    counted = len(found) - by["unknown"]
    if not counted and found:
        return "nothing was counted"
    if by["unknown"]:
        return f"in {by['missing']} of {counted} counted"
    return f"in {by['missing']} objects"


def share_there(row: Row) -> float | None:
    """How much of the source is in the target, 0–100; None when a side could not be counted."""
    if row["source"] is None or row["target"] is None:
        return None
    return 100.0 if not row["source"] else 100 * (row["source"] - row["missing"]) / row["source"]


def frame(found: Sequence[Row]) -> pd.DataFrame:
    """One row per object."""
    return tables.frame(
        [
            {
                **{name: row[name] for name in ("source", "target")},
                **{side: difference(row, side) for side in ("missing", "extra")},
                "name": label(row),
                "verdict": [VERDICTS[row["verdict"]].label],
                "share": _whole_percent(share_there(row)),
            }
            for row in found
        ],
        list(COLUMNS),
    )


def _whole_percent(share: float | None) -> float | None:
    """Rounded down, so that one missing row of thousands is not told as 100 %."""
    return None if share is None else float(math.floor(share))


def table_and_chart(found: Sequence[Row]) -> Row | None:
    """The table left, the same numbers as bars right; the object that is chosen."""
    left, right = st.columns([0.62, 0.38], gap="medium")
    with left:
        shown = choice.segmented(
            "Show",
            list(SHOWN),
            default="all",
            format_func=SHOWN.__getitem__,
            key="verdict",
            label_visibility="collapsed",
        )
        kept = [row for row in found if shown in {"all", row["verdict"]}]
        if not kept:
            boxes.empty("No object of this kind", "Choose another filter.")
            return None
        chosen = tables.show(
            _marked(frame(kept)),
            COLUMNS,
            key=f"counts.table.{shown}",
            alt="Counts per object in both orgs",
            on_select="rerun",
            selection_mode="single-row-required",
        )
    with right:
        _chart(found)
    return kept[tables.picked(chosen) or 0]


def _chart(found: Sequence[Row]) -> None:
    scale = choice.segmented(
        "Scale",
        ["share", "rows"],
        default="share",
        format_func=str.capitalize,
        key="scale",
        label_visibility="collapsed",
    )
    known = [row for row in found if row["source"] is not None and row["target"] is not None]
    if not known:
        boxes.empty("Nothing to draw", "No object was counted in both orgs.")
        return
    worst_last = sorted(known, key=lambda row: -(share_there(row) or 0))
    shades = palette.shades()
    names = [label(row) for row in worst_last]
    figure = go.Figure()
    for series, color, number in (
        ("There", shades["green"], lambda row: row["source"] - row["missing"]),
        ("Missing", shades["red"], lambda row: row["missing"]),
        ("Extra", shades["orange"], lambda row: row["extra"]),
    ):
        whole = [row["source"] + row["extra"] for row in worst_last]
        figures_ = [number(row) for row in worst_last]
        if scale == "share":
            figures_ = [figures.share(a, b) for a, b in zip(figures_, whole, strict=True)]
        figure.add_bar(y=names, x=figures_, name=series, orientation="h", marker_color=color)
    figure.update_layout(
        barmode="stack", bargap=0.35, hovermode="y unified", legend_traceorder="normal"
    )
    figure.update_xaxes(rangemode="tozero", ticksuffix=" %" if scale == "share" else "")
    held = [row for row in known if row["source"] + row["extra"]]
    there = [figures.share(r["source"] - r["missing"], r["source"] + r["extra"]) for r in held]
    if scale == "share" and min(there, default=0) >= AXIS_FROM:
        # small shares would not be seen; the ticks say where the axis begins
        figure.update_xaxes(range=[AXIS_FROM, 101], dtick=10)
    palette.draw(
        figure,
        key="counts.chart",
        alt="Share of rows that are there, missing and extra, per object",
        height=max(180, 34 * len(names) + 60),
    )


def drill_down(
    row: Row,
    reasons: Mapping[str, Any] | None,
    *,
    orgs: tuple[str, str] = ("Source", "Target"),
    source_url: str = "",
) -> None:
    """The missing rows of one object with why they are missing.

    Args:
        orgs: what the source and the target are called.
        source_url: where the source's records open; empty: nowhere.
    """
    known = exact(row, reasons)
    with st.container(border=True):
        says = (
            f"{figures.plural(known[0], 'row')} missing, {figures.count(known[1])} extra in the"
            " target"
            if known
            else "could not be counted, so nobody knows what is missing"
        )
        st.markdown(f"**{escaped(label(row))}** :gray[{says}]")
        if row["note"]:
            boxes.remark(escaped(row["note"]))
        for org, refusal in zip(orgs, (row["source_error"], row["target_error"]), strict=True):
            if refusal:
                boxes.remark(escaped(f"{org}: {refusal}"))
        if reasons is None and hides_some(row):
            boxes.remark(
                f"Runs brought {figures.count(row['migrated'])} of "
                f"{figures.count(row['source'])} rows: the target may hold others in their place."
            )
        if reasons and reasons["reasons"]:
            _listed(row, reasons, source_url)


def exact(row: Row, reasons: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """Rows missing and extra: of the rows that were listed, else the difference of both counts;
    None when a side could not be counted."""
    if row["verdict"] == "unknown":
        return None
    if reasons is None:
        return int(row["missing"]), int(row["extra"])
    lost = sum(number for why, number in reasons["reasons"].items() if why != "filtered")
    return lost, max(row["target"] - row["source"] + lost, 0)


def hides_some(row: Row) -> bool:
    """Whether fewer rows were migrated than the two counts let one think."""
    known, missing = row.get("migrated"), difference(row, "missing")
    return bool(known is not None and missing is not None and known < row["source"] - missing)


def _listed(row: Row, reasons: Mapping[str, Any], source_url: str) -> None:
    """One reason at a time, with what was said of each row."""
    numbers = reasons["reasons"]
    reason = choice.segmented(
        "Missing because",
        list(numbers),
        default=next(iter(numbers)),
        format_func=lambda why: f"{REASONS.get(why, why)} {figures.count(numbers.get(why, 0))}",
        key="reason",
        label_visibility="collapsed",
    )
    ids, said = reasons["samples"].get(reason, ()), reasons.get("said", {})
    names = reasons.get("names", {})
    columns = {
        "id": st.column_config.TextColumn("Source id", width=180),
        "name": st.column_config.TextColumn("Name", width=200),
        "said": st.column_config.TextColumn("What was said of it", width=500),
    }
    if not names:  # an object without names, or a count of an earlier version
        del columns["name"]
    if source_url:
        columns["open"] = st.column_config.LinkColumn("Open", display_text="source", width=80)
    lines = [
        {
            "id": one,
            "name": names.get(one),
            "said": said.get(one),
            "open": f"{source_url}/{one}",
        }
        for one in ids
    ]
    tables.show(
        tables.frame(lines, list(columns)),
        columns,
        key=f"counts.missing.{row['name']}.{reason}",
        alt=f"Missing rows of {row['name']}",
    )
    if numbers[reason] > len(ids):
        st.caption(f"{figures.count(len(ids))} are listed; the CSV has all.")


def _marked(data: pd.DataFrame) -> Any:
    """Missing rows in red, where the table is small enough to be styled."""
    if len(data) > STYLED_ROWS:
        return data
    red = f"color: {palette.shades()['red']}; font-weight: 600"
    return data.style.map(
        lambda number: red if pd.notna(number) and number else "", subset=["missing"]
    )


def label(row: Row) -> str:
    """An object as its org calls it; with the mapping's name where that says more.

    >>> label({"name": "contact", "source_object": "Contact", "target_object": "Contact"})
    'Contact'
    >>> label({"name": "people", "source_object": "Lead", "target_object": "Contact"})
    'Lead → Contact · people'
    """
    source, target, name = row["source_object"], row["target_object"], row["name"]
    pair = source if source == target else f"{source} → {target}"
    return pair if name.lower() in (source.lower(), target.lower()) else f"{pair} · {name}"


def csv_of(found: Sequence[Row]) -> bytes:
    """The table as CSV."""
    return export.csv_bytes(CSV, ([row[name] for name in CSV] for row in found))
