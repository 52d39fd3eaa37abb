"""The objects of a run: what became of their rows, as shares and as numbers; canary and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.domain.names import object_name
from core.domain.states import RunState
from core.services import run_reads
from pages.parts import boxes, choice, export, figures, palette, run_live, tables, words

COUNTS = {
    "read_rows": "Read",
    "inserted": "Inserted",
    "updated": "Updated",
    "unchanged": "Unchanged",
    "skipped": "Skipped",
    "blocked": "Blocked",
    "failed": "Failed",
    "not_processed": "Not sent",
    "lookups_left_blank": "Left blank",
}
COLUMNS = {
    "object": st.column_config.TextColumn("Object", width=150),
    "operation": words.pills("Operation", words.OPERATIONS.values(), width=90),
    "wave": st.column_config.NumberColumn("Wave", width=50),
    **{name: tables.rows_column(label, width=78) for name, label in COUNTS.items()},
}
#: what became of rows → counts that are summed, colour
BARS = {
    "Written": (("inserted", "updated"), "green"),
    "Unchanged or skipped": (("unchanged", "skipped"), "gray"),
    "Blocked": (("blocked",), "orange"),
    "Failed or not processed": (("failed", "not_processed"), "red"),
}
SCALES = {"share": "Share", "rows": "Rows"}
CANARY_COLUMNS = {
    "object": st.column_config.TextColumn("Object", width=170),
    "rows": tables.rows_column("All rows", width=95),
    "chosen": tables.rows_column("In the canary", width=110),
    "share": st.column_config.NumberColumn("Share", format="%.1f%%", width=80),
    "roots": tables.rows_column("Roots", width=80),
    "written": tables.rows_column("Written", width=90),
    "failed": tables.rows_column("Failed", width=80),
}
CHECK_COLUMNS = {
    "severity": words.pills("Severity", words.SEVERITIES.values(), width=100),
    "where": st.column_config.TextColumn("Where", width=190),
    "sentence": st.column_config.TextColumn("What", width=600),
    "rows": tables.rows_column("Rows", width=85),
}


def draw(view: run_reads.RunView) -> None:
    """Shares as bars, every count as a table, the sum that must come out."""
    loads = [step for step in view.steps if step.phase in ("load", "undo")]
    if not loads:
        boxes.empty("No object yet", "They appear when a worker takes the run.")
        return
    scale = choice.segmented(
        "Scale",
        list(SCALES),
        key="scale",
        default="share",
        format_func=lambda name: SCALES[name],
        label_visibility="collapsed",
    )
    _bars(loads, is_share=scale == "share")
    st.caption(
        "Read is the sum of inserted, updated, unchanged, skipped, blocked, failed and not sent "
        "(not processed); a lookup left blank counts beside."
    )
    tables.show(counts_frame(view.steps), COLUMNS, key="run.objects", alt="All counts by object")
    export.button(f"objects-{view.row.name}", lambda: csv_of(view.steps), key="run.objects.csv")


def counts_frame(steps: Sequence[run_reads.StepLine]) -> pd.DataFrame:
    """One row per object and pass."""
    return tables.frame(
        [
            {
                "object": run_live.told_name(step),
                "operation": [words.word(words.OPERATIONS, step.operation).label],
                "wave": step.wave + 1,
                **{name: getattr(step, name) for name in COUNTS},
            }
            for step in steps
        ],
        list(COLUMNS),
    )


def csv_of(steps: Sequence[run_reads.StepLine]) -> bytes:
    """The same counts as a file."""
    return export.csv_bytes(
        ["object", "source", "target", "phase", *COUNTS],
        (
            [step.mapping_name, step.source_object, step.target_object, step.phase]
            + [getattr(step, name) for name in COUNTS]
            for step in steps
        ),
    )


def _bars(loads: Sequence[run_reads.StepLine], *, is_share: bool) -> None:
    """Horizontal stacked bars, the object with the largest failed share on top."""
    drawn = sorted(
        (step for step in loads if step.read_rows),
        key=lambda step: figures.share(step.not_ok, step.read_rows),
    )
    if not drawn:
        return
    shades = palette.shades()
    figure = go.Figure()
    for label, (names, color) in BARS.items():
        rows = [sum(getattr(step, name) for name in names) for step in drawn]
        parts = [
            figures.share(part, step.read_rows) for part, step in zip(rows, drawn, strict=True)
        ]
        figure.add_bar(
            y=[run_live.told_name(step) for step in drawn],
            x=parts if is_share else rows,
            customdata=rows,
            name=label,
            orientation="h",
            marker_color=shades[color],
            hovertemplate="%{customdata:,} rows<extra>" + label + "</extra>",
        )
    figure.update_layout(
        barmode="stack", bargap=0.35, hovermode="y unified", legend_traceorder="normal"
    )
    limits = [0, 101] if is_share else None  # room for the last tick's label
    figure.update_xaxes(ticksuffix=" %" if is_share else "", rangemode="tozero", range=limits)
    height = 70 + 26 * len(drawn)
    palette.draw(
        figure, key="run.bars", alt="What became of the rows of every object", height=height
    )


def canary(view: run_reads.RunView) -> None:
    """What the canary took, and how it went, per object."""
    told: Mapping[str, Any] = view.row.summary.get("canary", {})
    if not told:
        boxes.empty("No canary yet", "It is chosen when every object has been read.")
        return
    st.caption(
        f"{told['asked_percent']} % were asked for; with the parents and details that belong to "
        f"them it took {figures.count(told['chosen'])} of {figures.count(told['rows'])} rows "
        f"({told['percent']} %)."
    )
    steps = {step.mapping_name: step for step in view.steps if step.phase == "load"}
    # later the steps hold the rest as well, and what they count is no longer the canary's
    is_all = view.row.status is RunState.WAITING_DECISION
    columns = CANARY_COLUMNS if is_all else dict(list(CANARY_COLUMNS.items())[:-2])
    lines = [
        {
            "object": run_live.told_name(steps[name]) if name in steps else name,
            "rows": part["rows"],
            "chosen": part["chosen"],
            "share": part["percent"],
            "roots": part["roots"],
            "written": steps[name].written if name in steps else 0,
            "failed": steps[name].not_ok if name in steps else 0,
        }
        for name, part in told["objects"].items()
    ]
    data = tables.frame([{name: line[name] for name in columns} for line in lines], list(columns))
    tables.show(data, columns, key="run.canary", alt="The canary by object")
    export.button(
        f"canary-{view.row.name}",
        lambda: export.csv_bytes(
            list(columns), ([line[name] for name in columns] for line in lines)
        ),
        key="run.canary.csv",
    )


def _checked(counts: Mapping[str, int], row: run_reads.RunRow) -> str:
    """How many checks ended how, and when they ran."""
    words_of = {"blocker": "blocker", "warning": "warning", "unknown": "unknown", "note": "note"}
    told = [figures.plural(counts[name], words_of[name]) for name in words_of if counts.get(name)]
    told.append(f"{figures.count(counts.get('passed', 0))} passed")
    return f"{', '.join(told)} · ran {figures.ago(row.started_at)}, before anything was sent"


def _where(view: run_reads.RunView, finding: Mapping[str, Any]) -> str:
    """The object and field that a finding is about."""
    name = finding["mapping"]
    targets = {step.mapping_name: step.target_object for step in view.steps}
    told = object_name(name, targets.get(name, name)) if name else None
    return ".".join(part for part in (told, finding["field"]) if part)


def checks(view: run_reads.RunView) -> None:
    """What was checked before anything was sent."""
    told: Mapping[str, Any] = view.row.summary.get("preflight", {})
    findings = told.get("findings", [])
    if not told:
        boxes.empty("Not checked", "Undoing a run is not checked first.")
        return
    st.caption(_checked(told.get("counts", {}), view.row))
    if not findings:
        boxes.empty("Nothing to object", "Every check passed.", icon=":material/task_alt:")
        return
    lines = [
        {
            "severity": words.word(words.SEVERITIES, each["severity"]).label,
            "where": _where(view, each),
            "sentence": each["sentence"],
            "rows": each["rows"],
        }
        for each in findings
    ]
    data = tables.frame(
        [{**line, "severity": [line["severity"]]} for line in lines], list(CHECK_COLUMNS)
    )
    tables.show(data, CHECK_COLUMNS, key="run.checks", alt="Checks before the run")
    export.button(
        f"checks-{view.row.name}",
        lambda: export.csv_bytes(
            list(CHECK_COLUMNS), ([line[name] for name in CHECK_COLUMNS] for line in lines)
        ),
        key="run.checks.csv",
    )
