"""What failed in a run, grouped by object, code and message, each with its usual fix and rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.domain.roles import Role
from core.services import runs
from pages import registry
from pages.parts import boxes, export, figures, run_acts, tables, visit, words
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
    "rows": tables.rows_column("Rows", width=70),
    "object": st.column_config.TextColumn("Object", width=130),
    "reason": st.column_config.TextColumn("Reason", width=190),
    "message": st.column_config.TextColumn("Message", width=260),
    "place": words.pills("Fix in", PLACES.values(), width=120),
}
SAMPLE_ROWS = 20


def draw(view: runs.RunView) -> None:
    """The groups left, the chosen one right."""
    groups = runs.failure_groups(visit.bridge(), visit.actor(), view.row.name)
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
            lambda: b"".join(runs.failures_csv(visit.bridge(), visit.actor(), view.row.name)),
            key="run.failures.csv",
            label="All failed rows",
            help="Sent values and reason of every failed row, as CSV",
        )
    with shown:
        _group(view, groups[tables.picked(chosen) or 0])


def frame(groups: Sequence[runs.FailureGroup]) -> pd.DataFrame:
    """One row per group."""
    return tables.frame(
        [
            {
                "rows": group.rows,
                "object": group.mapping_name,
                "reason": group.code,
                "message": group.message,
                "place": [words.word(PLACES, group.fix_in).label],
            }
            for group in groups
        ],
        list(COLUMNS),
    )


def _group(view: runs.RunView, group: runs.FailureGroup) -> None:
    name = view.row.name
    with st.container(border=True):
        st.markdown(
            f"**{escaped(group.code)}** "
            f":gray[{escaped(group.mapping_name)} · {figures.count(group.rows)} rows]"
        )
        st.caption(f"“{escaped(group.message)}”. {escaped(group.usual_fix)}")
        found = runs.failures(
            visit.bridge(),
            visit.actor(),
            name,
            fingerprint=group.fingerprint,
            page=1,
            page_rows=SAMPLE_ROWS,
        )
        st.dataframe(
            samples(found.rows, group.fields),
            hide_index=True,
            row_height=tables.ROW_HEIGHT,
            height=tables.height(len(found.rows)) if len(found.rows) < 6 else 230,
            key=f"run.samples.{group.fingerprint}",
            alt="Rows of this group with the values that were sent",
        )
        with st.container(horizontal=True):
            if (
                visit.may(Role.ANALYST)
                and view.row.status in run_acts.CAN_FIX
                and st.button(
                    f"Retry {figures.count(group.rows)} rows…",
                    type="primary",
                    icon=":material/restart_alt:",
                    key="run.group.retry",
                )
            ):
                run_acts.retry_dialog(view, group)
            export.button(
                f"failed-{name}-{group.code.lower()}",
                lambda: b"".join(
                    runs.failures_csv(
                        visit.bridge(), visit.actor(), name, fingerprint=group.fingerprint
                    )
                ),
                key="run.group.csv",
            )
            if view.row.plan_id and st.button(
                "Open plan",
                type="tertiary",
                icon=":material/conversion_path:",
                key="run.group.plan",
            ):
                registry.go("plans", plan=str(view.row.plan_id), object=group.mapping_name)


def samples(found: Sequence[runs.FailureRow], guilty: Sequence[str]) -> pd.DataFrame:
    """Source id, then the guilty fields, then the other values that were sent."""
    records = [{"Source id": row.source_id, **dict(row.sent or {})} for row in found]
    data = pd.DataFrame(records).fillna("")
    first = ["Source id", *(field for field in guilty if field in data.columns)]
    return data[[*first, *(name for name in data.columns if name not in first)]]
