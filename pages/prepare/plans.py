"""Plans: which objects go from which org to which, and how; the list, and one plan's editor."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.services import plans
from pages import registry
from pages.parts import boxes, export, plan_acts, plan_editor, plan_list, rows, tables, visit


def listing() -> None:
    """All plans, the last changed first; a click opens one."""
    found = plans.plans(visit.bridge(), visit.actor())
    may_edit = visit.may(Role.ANALYST)
    with rows.head("Plans"):
        if found:
            export.button("plans", lambda: plan_list.csv_of(found), key="plans.csv")
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
        plan_list.frame(kept),
        plan_list.columns(kept),
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


chosen_plan = st.query_params.get("plan")
boxes.acted(plan_editor.draw, chosen_plan) if chosen_plan else boxes.acted(listing)
