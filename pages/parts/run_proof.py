"""The proof of a run: its claims, every object, every field, down to the values that differ."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.domain.names import object_name
from core.errors import OrgbridgeError
from core.services import proof, run_reads
from pages import registry
from pages.parts import export, figures, settled, tables, visit, words
from pages.parts.boxes import escaped

VERDICTS = {
    "proven": words.Word("Holds", "green", "check_circle"),
    "note": words.Word("Holds, see note", "orange", "info"),
    "broken": words.Word("Does not hold", "red", "cancel"),
    "open": words.Word("Not looked at", "gray", "help"),
}
OVERALL = {
    "proven": words.Word("Proven", "green", "verified"),
    "note": words.Word("Proven, with notes", "orange", "verified"),
    "broken": words.Word("Not proven", "red", "gpp_bad"),
    "open": words.Word("Not compared", "gray", "help"),
}
#: classes of rule 6.2; only lost is red
CLASSES = {
    "normalised": words.Word("Normalised", "gray", "rule"),
    "derived": words.Word("Derived", "gray", "function"),
    "automation": words.Word("By automation", "violet", "smart_toy"),
    "user": words.Word("By a user since", "violet", "person"),
    "source_changed": words.Word("Source changed", "orange", "sync"),
    "lost": words.Word("Lost", "red", "cancel"),
}
CHECK_COLUMNS = {
    "claim": st.column_config.TextColumn("Claim", width=165),
    "verdict": words.pills("Verdict", VERDICTS.values(), width=115),
    "sentence": st.column_config.TextColumn("What it rests on", width=720),
}
OBJECT_COLUMNS = {
    "object": st.column_config.TextColumn("Object", width=105),
    "verdict": words.pills("Verdict", VERDICTS.values(), width=105),
    "rows": tables.rows_column("Rows", width=50),
    "values": tables.rows_column("Values", width=58),
    "lost": tables.rows_column("Lost", width=42),
    "other": tables.rows_column("Other", width=48),
}
FIELD_COLUMNS = {
    "field": st.column_config.TextColumn("Field", width=125),
    "values": tables.rows_column("Values", width=58),
    "lost": tables.rows_column("Lost", width=42),
    "other": tables.rows_column("Other", width=48),
    "sum_sent": st.column_config.TextColumn("Sum sent", width=92),
    "sum_found": st.column_config.TextColumn("Sum found", width=92),
    "resolved": tables.rows_column("Resolved", width=66),
    "blank": tables.rows_column("Blank", width=50),
}
DIFFERENCE_COLUMNS = {
    "difference": words.pills("Difference", CLASSES.values(), width=115),
    "field": st.column_config.TextColumn("Field", width=130),
    "sent": st.column_config.TextColumn("Sent", width=195),
    "found": st.column_config.TextColumn("Found", width=195),
    "source": st.column_config.TextColumn("Source id", width=165),
    "target": st.column_config.TextColumn("Target id", width=165),
}
SHOWN_DIFFERENCES = 200


def draw(view: run_reads.RunView) -> None:
    """The whole tab."""
    name = view.row.name
    found = settled.proved(view)
    _head(found)
    tables.show(
        tables.frame(
            [
                {
                    "claim": check.title,
                    "verdict": [words.word(VERDICTS, check.verdict).label],
                    "sentence": check.sentence,
                }
                for check in found.checks
            ],
            list(CHECK_COLUMNS),
        ),
        CHECK_COLUMNS,
        key="run.proof.checks",
        alt="Claims of the proof and whether they hold",
    )
    compared = [one for one in found.objects if one.is_compared]
    if not compared:
        return
    left, right = st.columns([0.45, 0.55], gap="medium")
    with left:
        chosen = tables.show(
            objects_frame(compared),
            OBJECT_COLUMNS,
            key="run.proof.objects",
            alt="Every object with rows and values compared",
            on_select="rerun",
            selection_mode="single-row-required",
        )
    with right:
        one = compared[tables.picked(chosen) or 0]
        field = _fields(one)
    _differences(name, one, field)


def _head(found: proof.Proof) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        badge = words.word(OVERALL, found.verdict).badge
        seen = f"  :orange[{escaped(found.heading)}]" if found.heading else ""
        st.markdown(f"{badge}{seen}", width="stretch")
        export.page(
            f"proof-{found.run}",
            lambda: proof.html(visit.bridge(), visit.actor(), found.run),
            key="run.proof.html",
            label="Report to print",
            help="One file that opens and prints without a network",
        )
        export.button(
            f"proof-{found.run}",
            lambda: proof.csv(visit.bridge(), visit.actor(), found.run),
            key="run.proof.csv",
            help="Every figure of the report, as CSV",
        )


def objects_frame(objects: Sequence[proof.ObjectProof]) -> pd.DataFrame:
    """One row per object that was compared."""
    return tables.frame(
        [
            {
                "object": object_name(one.name, one.target),
                "verdict": [VERDICTS[verdict_of(one)].label],
                "rows": one.rows,
                "values": one.values,
                "lost": one.lost,
                "other": others(one.fields),
            }
            for one in objects
        ],
        list(OBJECT_COLUMNS),
    )


def verdict_of(one: proof.ObjectProof) -> str:
    """Lost values break it; other differences are worth a note."""
    if one.lost or one.not_arrived or not one.adds_up:
        return "broken"
    return "note" if others(one.fields) else "proven"


def others(fields: Sequence[proof.FieldProof]) -> int:
    """Values that read otherwise for a known cause."""
    return sum(sum(field.differences.values()) - field.lost for field in fields)


def _fields(one: proof.ObjectProof) -> str:
    """The fields of one object, those that lost values first; the chosen one's name, or nothing."""
    shown = sorted(one.fields, key=lambda field: (-field.lost, -others([field]), field.name))
    data = tables.frame(
        [
            {
                "field": field.name,
                "values": field.compared,
                "lost": field.lost,
                "other": others([field]),
                "sum_sent": "" if field.sum_sent is None else f"{field.sum_sent:,f}",
                "sum_found": "" if field.sum_found is None else f"{field.sum_found:,f}",
                "resolved": field.resolved if field.is_lookup else None,
                "blank": field.left_blank if field.is_lookup else None,
            }
            for field in shown
        ],
        _field_columns(one),
    )
    chosen = tables.show(
        data,
        FIELD_COLUMNS,
        key=f"run.proof.fields.{one.name}",
        alt=f"Every field of {one.name} as sent against the target",
        on_select="rerun",
        selection_mode="single-row",
    )
    position = tables.picked(chosen)
    return "" if position is None else shown[position].name


def _field_columns(one: proof.ObjectProof) -> list[str]:
    """Columns that have something to say for this object."""
    quiet = set()
    if all(field.sum_sent is None for field in one.fields):
        quiet |= {"sum_sent", "sum_found"}
    if not any(field.is_lookup for field in one.fields):
        quiet |= {"resolved", "blank"}
    return [name for name in FIELD_COLUMNS if name not in quiet]


def _differences(name: str, one: proof.ObjectProof, field: str) -> None:
    """The values that differ, of one field or of all."""
    number = one.lost + others(one.fields)
    told = object_name(one.name, one.target)
    if not number:
        st.caption(f"Every value of {escaped(told)} reads as it was sent.")
        return
    wanted = proof.DifferenceFilter(mapping=one.name, field=field)
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        where = f"{told}.{field}" if field else told
        st.markdown(
            f"**Values of {escaped(where)} that read otherwise** "
            f":gray[{'choose a field above to narrow it' if not field else ''}]",
            width="stretch",
        )
        export.button(
            f"differences-{name}-{one.name}",
            lambda: b"".join(proof.differences_csv(visit.bridge(), visit.actor(), name, wanted)),
            key="run.proof.differences.csv",
        )
    try:
        found = proof.differences(
            visit.bridge(), visit.actor(), name, wanted, limit=SHOWN_DIFFERENCES
        )
    except OrgbridgeError:
        st.caption("The rows behind these figures are no longer kept; the figures stand.")
        return
    if not found:
        st.caption("This field reads as it was sent.")
        return
    chosen = tables.show(
        differences_frame(found),
        DIFFERENCE_COLUMNS,
        key=f"run.proof.differences.{one.name}.{field}",
        alt="Values as sent and as found",
        on_select="rerun",
        selection_mode="single-row",
    )
    if len(found) == SHOWN_DIFFERENCES:
        st.caption(f"The first {figures.count(SHOWN_DIFFERENCES)}; the CSV holds all.")
    position = tables.picked(chosen)
    if position is not None:
        registry.go("trace", record=found[position].source_id)


def differences_frame(found: Sequence[proof.Sample]) -> pd.DataFrame:
    """One row per value."""
    return tables.frame(
        [
            {
                "difference": [words.word(CLASSES, each.difference).label],
                "field": each.field,
                "sent": each.sent,
                "found": each.found,
                "source": each.source_id,
                "target": each.target_id,
            }
            for each in found
        ],
        list(DIFFERENCE_COLUMNS),
    )
