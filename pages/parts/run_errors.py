"""What failed in a run, grouped by object, code and message, each with its usual fix and rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.services import run_reads, running
from pages import registry
from pages.parts import boxes, export, figures, tables, visit, words
from pages.parts.boxes import escaped

#: where one goes to mend it; violet and gray stay readable on a selected row
PLACES = {
    "plan": words.Word("Plan", "violet", "conversion_path"),
    "transform": words.Word("Rule", "violet", "function"),
    "data": words.Word("Data or rule", "orange", "database"),
    "duplicate": words.Word("Duplicate rule", "violet", "content_copy"),
    "permission": words.Word("Permission", "red", "lock"),
    "transient": words.Word("Transient", "gray", "schedule"),
}
COLUMNS = {
    "rows": tables.rows_column("Rows", width=60),
    "object": st.column_config.TextColumn("Object", width=95),
    "reason": st.column_config.TextColumn("Reason", width=150),
    "message": st.column_config.TextColumn("Message", width=190),
    "place": words.pills("Fix in", PLACES.values(), width=110),
}
SAMPLE_ROWS = 20
#: rows of one group in its CSV; the CSV of the whole run holds all
GROUP_ROWS = 100_000


def draw(view: run_reads.RunView) -> None:
    """The groups left, the chosen one right."""
    groups = run_reads.failure_groups(visit.bridge(), visit.actor(), view.row.name)
    if not groups:
        boxes.empty("No row failed", "Every row that was sent arrived.", icon=":material/task_alt:")
        return
    listed, shown = st.columns([0.56, 0.44], gap="medium")
    with listed:
        chosen = tables.show(
            frame(groups),
            COLUMNS,
            key="run.groups",
            alt="Failed rows by object and reason",
            on_select="rerun",
            selection_mode="single-row-required",
        )
        export.button(
            f"failed-rows-{view.row.name}",
            lambda: b"".join(running.failures_csv(visit.bridge(), visit.actor(), view.row.name)),
            key="run.failures.csv",
            label="All failed rows",
            help="Sent values and reason of every failed row, as CSV",
        )
    with shown:
        _group(view, groups[tables.picked(chosen) or 0])


def frame(groups: Sequence[run_reads.FailureGroup]) -> pd.DataFrame:
    """One row per group."""
    return tables.frame(
        [
            {
                "rows": group.line.rows,
                "object": group.line.mapping_name,
                "reason": group.line.code,
                "message": group.line.message,
                "place": [words.word(PLACES, group.fix.place).label],
            }
            for group in groups
        ],
        list(COLUMNS),
    )


def _group(view: run_reads.RunView, group: run_reads.FailureGroup) -> None:
    name, line = view.row.name, group.line
    with st.container(border=True):
        st.markdown(
            f"**{escaped(line.code)}** "
            f":gray[{escaped(line.mapping_name)} · {figures.count(line.rows)} rows]"
        )
        st.caption(f"“{escaped(line.message.rstrip('.'))}”. {escaped(group.fix.sentence)}")
        found = run_reads.failures(
            visit.bridge(),
            visit.actor(),
            name,
            fingerprint=line.fingerprint,
            limit=SAMPLE_ROWS,
        )
        st.dataframe(
            samples(found, line.fields),
            hide_index=True,
            row_height=tables.ROW_HEIGHT,
            height="content" if len(found) < 6 else 230,
            key=f"run.samples.{line.fingerprint}",
            alt="Rows of this group with the values that were sent",
        )
        with st.container(horizontal=True):
            export.button(
                f"failed-{name}-{line.code.lower()}",
                lambda: group_csv(name, line.fingerprint),
                key="run.group.csv",
            )
            if view.row.plan_id and st.button(
                "Open plan",
                type="tertiary",
                icon=":material/conversion_path:",
                key="run.group.plan",
            ):
                where = {"plan": str(view.row.plan_id), "object": line.mapping_name}
                registry.go("plans", **where, **({"q": line.fields[0]} if line.fields else {}))


def group_csv(name: str, fingerprint: str) -> bytes:
    """All rows of one group, with the values that were sent."""
    found = run_reads.failures(
        visit.bridge(), visit.actor(), name, fingerprint=fingerprint, limit=GROUP_ROWS
    )
    columns = sorted({field for row in found for field in row.sent})
    return export.csv_bytes(
        ["source_id", "target_id", "code", "message", *columns],
        (
            [row.source_id, row.target_id, row.code, row.message]
            + [row.sent.get(field) for field in columns]
            for row in found
        ),
    )


def samples(found: Sequence[run_reads.FailureLine], guilty: Sequence[str]) -> pd.DataFrame:
    """Source id, then the guilty fields, then the other values that were sent."""
    records = [{"Source id": row.source_id, **dict(row.sent or {})} for row in found]
    data = pd.DataFrame(records).fillna("")
    first = ["Source id", *(field for field in guilty if field in data.columns)]
    return data[[*first, *(name for name in data.columns if name not in first)]]
