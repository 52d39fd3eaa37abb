"""Plans: which objects go from which org to which, and how; the list, and one plan's editor."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.roles import Role
from core.services import plans
from pages import registry
from pages.parts import boxes, export, figures, plan_acts, plan_editor, rows, tables, visit, words

COLUMNS = {
    "name": st.column_config.TextColumn("Plan", pinned=True, width=190),
    "source": st.column_config.TextColumn("Source", width=110),
    "target": st.column_config.TextColumn("Target", width=110),
    "objects": tables.rows_column("Objects", width=68),
    "review": tables.rows_column("To review", width=80, help="Counted when a plan is opened"),
    "version": st.column_config.TextColumn("Version", width=68),
    "last": words.pills("Last run", words.STATUSES.values(), width=110),
    "ran": st.column_config.TextColumn("Ran", width=110),
    "by": st.column_config.TextColumn("Changed by", width=85),
    "at": tables.time_column("Changed", width=155),
}


def frame(found: tuple[plans.PlanRow, ...]) -> pd.DataFrame:
    """One row per plan."""
    return tables.frame(
        [
            {
                "name": row.name,
                "source": row.source_org or figures.MISSING,
                "target": row.target_org or figures.MISSING,
                "objects": row.objects,
                "review": row.to_review,
                "version": f"v{row.newest_version}" if row.newest_version else "draft",
                "last": words.pill(words.STATUSES, row.last_run_status),
                "ran": figures.when(row.last_run_at),
                "by": figures.person(row.updated_by),
                "at": row.updated_at,
            }
            for row in found
        ],
        list(COLUMNS),
    )


def listing() -> None:
    """All plans, the last changed first; a click opens one."""
    found = plans.plans(visit.bridge(), visit.actor())
    may_edit = visit.may(Role.ANALYST)
    with rows.head("Plans"):
        if found:
            export.button("plans", lambda: csv_of(found), key="plans.csv")
        if (
            found
            and may_edit
            and st.button("New plan…", type="primary", icon=":material/add:", key="plans.new")
        ):
            plan_acts.new_plan()
    if not found:
        nothing_yet(may_edit=may_edit)
        return
    needle = st.text_input(
        "Filter plans",
        type="search",
        live=True,
        key="plan_q",
        bind="query-params",
        placeholder="Filter plans…",
        label_visibility="collapsed",
        width=360,
    )
    wanted = (needle or "").lower()
    kept = tuple(
        row
        for row in found
        if wanted in f"{row.name} {row.source_org} {row.target_org} {row.updated_by}".lower()
    )
    if not kept:
        boxes.empty("No plan matches", "Change the filter.", icon=":material/search_off:")
        return
    chosen = tables.show(
        frame(kept),
        COLUMNS,
        key=f"plans.table.{wanted}",
        alt="Plans, the last changed first",
        on_select="rerun",
        selection_mode="single-row",
    )
    position = tables.picked(chosen)
    if position is not None:
        registry.go("plans", plan=str(kept[position].id))


def nothing_yet(*, may_edit: bool) -> None:
    """What a plan is, and the button that makes one."""
    with st.container(border=True, width=560):
        boxes.empty(
            "No plan yet",
            "A plan names a source and a target org and says, object by object and field by field, "
            "what becomes of each record. It is checked and rehearsed before anything is written.",
            icon=":material/conversion_path:",
        )
        if may_edit and st.button(
            "New plan…", type="primary", icon=":material/add:", key="plans.new.first"
        ):
            plan_acts.new_plan()


def csv_of(found: tuple[plans.PlanRow, ...]) -> bytes:
    """The list as CSV."""
    data = frame(found)
    return export.csv_bytes(list(data.columns), data.itertuples(index=False))


chosen_plan = st.query_params.get("plan")
boxes.acted(plan_editor.draw, chosen_plan) if chosen_plan else boxes.acted(listing)
