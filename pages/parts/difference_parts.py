"""The parts of the field differences page: which fields, and one field property by property."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from pages.parts import boxes, choice, export, figures, tables, words
from pages.parts.boxes import escaped

Row = Mapping[str, Any]
KINDS = {
    "only_source": words.Word("Only in source", "violet", "arrow_back"),
    "different": words.Word("Different", "orange", "compare_arrows"),
    "only_target": words.Word("Only in target", "gray", "arrow_forward"),
}
SEVERITIES = {
    "loss": words.Word("Loses data", "red", "cancel"),
    "refusal": words.Word("Refuses rows", "red", "block"),
    "change": words.Word("Changes values", "orange", "warning"),
    "note": words.Word("Note", "gray", "info"),
    "none": words.Word("Nothing", "green", "check_circle"),
}
VERDICTS = {
    "safe": words.Word("Safe", "green", "check_circle"),
    "widen": words.Word("Widen", "green", "open_in_full"),
    "add_value": words.Word("Add value", "green", "add"),
    "relax": words.Word("Relax", "orange", "lock_open"),
    "by_hand": words.Word("By hand", "red", "back_hand"),
    "leave": words.Word("Leave", "gray", "remove"),
}
COLUMNS = {
    "object": st.column_config.TextColumn("Object", pinned=True, width=100),
    "field": st.column_config.TextColumn("Field", pinned=True, width=124),
    "kind": words.pills("Difference", KINDS.values(), width=100),
    "source": st.column_config.TextColumn("Source", width=118),
    "target": st.column_config.TextColumn("Target", width=118),
    "effect": words.pills("Effect on data", SEVERITIES.values(), width=117),
}
#: in place of a field, what concerns its object
WHOLE = "(whole object)"
CSV = (
    "object",
    "field",
    "kind",
    "severity",
    "verdict",
    "source",
    "target",
    "rows_concerned",
    "properties",
)


def flat(result: Mapping[str, Any]) -> list[Row]:
    """One row per field that differs, with its objects' names; whole objects come first."""
    rows: list[Row] = []
    for item in result["objects"]:
        name = item["source_object"] or item["target_object"]
        about = {"source_object": name, "target_object": item["target_object"]}
        if item["kind"] in ("only_source", "only_target") or item["properties"]:
            rows.append({**_whole(item, name), **about})
        rows += [{**field, **about} for field in item["fields"]]
    return rows


def _whole(item: Mapping[str, Any], name: str) -> Row:
    """An object that one org lacks, or whose record types and rules differ, as a row."""
    told = item["properties"]
    here = "Object" if item["source_object"] else ""
    return {
        "field": WHOLE,
        "label": name,
        "custom": name.endswith("__c"),
        "kind": item["kind"],
        "severity": item["severity"] if not told else _worst(told),
        "verdict": told[0]["verdict"] if told else "by_hand" if here else "leave",
        "source_summary": here,
        "target_summary": "Object" if item["target_object"] else "",
        "rows_concerned": None,
        "missing_values": [],
        "properties": told,
    }


def _worst(properties: Sequence[Mapping[str, Any]]) -> str:
    return min((str(one["severity"]) for one in properties), key=list(SEVERITIES).index)


def filters(rows: Sequence[Row]) -> list[Row]:
    """Pills of kinds with counts, objects, a search; the rows that are left."""
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in KINDS}
    with st.container(horizontal=True, vertical_alignment="center"):
        kinds = choice.pills(
            "Kinds",
            list(KINDS),
            default=["only_source", "different"],
            format_func=lambda kind: f"{KINDS[kind].label} {figures.count(counts[kind])}",
            key="kind",
            label_visibility="collapsed",
        )
        objects = st.multiselect(
            "Objects",
            sorted({row["source_object"] for row in rows}),
            placeholder="All objects",
            key="ob",
            bind="query-params",
            label_visibility="collapsed",
        )
        sought = st.text_input(
            "Filter fields",
            placeholder="Filter fields…",
            icon=":material/search:",
            key="q",
            bind="query-params",
            label_visibility="collapsed",
        )
        custom = st.toggle("Custom only", key="differences.custom")
    return [
        row
        for row in rows
        if row["kind"] in kinds
        and (not objects or row["source_object"] in objects)
        and sought.lower() in f"{row['field']} {row['label']}".lower()
        and (row["custom"] or not custom)
    ]


def table(rows: Sequence[Row]) -> Row | None:
    """The fields; the one that is chosen."""
    if not rows:
        boxes.empty("No field like this", "Choose other kinds, or clear the filter.")
        return None
    data = tables.frame(
        [
            {
                "object": row["source_object"],
                "field": row["field"],
                "kind": [KINDS[row["kind"]].label],
                "source": row["source_summary"] or figures.MISSING,
                "target": row["target_summary"] or figures.MISSING,
                "effect": [SEVERITIES[row["severity"]].label],
            }
            for row in rows
        ],
        list(COLUMNS),
    )
    chosen = tables.show(
        data,
        COLUMNS,
        key="differences.table",
        alt="Fields that differ between the two orgs",
        on_select="rerun",
        selection_mode="single-row-required",
    )
    at = tables.picked(chosen) or 0
    return rows[at] if at < len(rows) else rows[0]


def card(row: Row) -> None:
    """One field, property by property, with what each difference does."""
    kind = KINDS[row["kind"]]
    with st.container(border=True):
        is_whole = row["field"] == WHOLE
        place = row["source_object"] if is_whole else f"{row['source_object']}.{row['field']}"
        st.markdown(f"**{escaped(place)}**  {kind.badge}")
        summaries = dict.fromkeys(one for one in (row["source_summary"], row["target_summary"]))
        st.caption(escaped(" → ".join(one for one in summaries if one)))
        st.markdown(f":gray[To bring the target in line:] {VERDICTS[row['verdict']].badge}")
        properties = row["properties"]
        if properties:
            # no grid: its cells would cut what is to be read
            lines = [
                {
                    "Property": one["name"].capitalize(),
                    "Source": escaped(one["source"] or figures.MISSING),
                    "Target": escaped(one["target"] or figures.MISSING),
                }
                for one in properties
            ]
            told = f"What differs in {row['field']}"
            st.table(lines, border="horizontal", hide_index=True, alt=told)
        for sentence in _sentences(row):
            st.markdown(sentence)


def csv_of(rows: Sequence[Row]) -> bytes:
    """The shown fields as CSV."""
    return export.csv_bytes(CSV, (_csv_row(row) for row in rows))


def _sentences(row: Row) -> Iterable[str]:
    for one in row["properties"]:
        word = SEVERITIES[one["severity"]]
        yield f":{word.color}[:material/{word.icon}:] {escaped(one['effect'])}"
    if row["kind"] == "only_source":
        lost = row["severity"] == "loss"
        kept = "Derived in the source; nothing is lost."
        text = f"Its {'records' if row['field'] == WHOLE else 'values'} have nowhere to go."
        text = text if lost else kept
        word = SEVERITIES[row["severity"]]
        yield f":{word.color}[:material/{word.icon}:] {text}"
    if row["missing_values"]:
        listed = ", ".join(row["missing_values"][:20])
        yield f":gray[The target lacks: {escaped(listed)}]"
    if row["rows_concerned"] is not None:
        yield f":gray[{figures.count(row['rows_concerned'])} source rows are concerned.]"


def _csv_row(row: Row) -> tuple[object, ...]:
    told = "; ".join(
        f"{one['name']}: {one['source']} -> {one['target']} ({one['effect']})"
        for one in row["properties"]
    )
    return (
        row["source_object"] or row["target_object"],
        row["field"],
        row["kind"],
        row["severity"],
        row["verdict"],
        row["source_summary"],
        row["target_summary"],
        row["rows_concerned"],
        told,
    )
