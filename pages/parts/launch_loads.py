"""Batch and API options per object of one launch; what is left out follows the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.names import object_name
from core.domain.plan import Api, Plan
from pages.parts import state, tables

APIS = {
    Api.AUTO.value: "By cost",
    Api.BULK.value: "Bulk 2.0",
    Api.COLLECTIONS.value: "Collections",
    Api.GRAPH.value: "Composite graph",
}
TABLE_HEIGHT = 420


def chosen(plan_id: str) -> dict[str, dict[str, Any]]:
    """The options of this launch by mapping, as they were set."""
    held = st.session_state.get(state.LAUNCH_LOADS) or {}
    found: dict[str, dict[str, Any]] = held.get(plan_id, {})
    return found


@st.dialog("Options per object", width="large", icon=":material/tune:")
def dialog(plan_id: str, plan: Plan) -> None:
    """One row per object; empty cells follow the plan, and that the settings at the right."""
    st.caption(
        "For this launch only. An empty cell takes what the plan says, then what the page says for "
        "all objects."
    )
    names = [entry.name for entry in plan.objects]
    told = [object_name(entry.name, entry.target) for entry in plan.objects]
    edited = _table(names, told, now=chosen(plan_id))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Clear all", key="loads.clear"):
            _keep(plan_id, {})
        if st.button("Use these", type="primary", key="loads.use"):
            _keep(plan_id, _options(names, edited))


def _table(
    names: Sequence[str], told: Sequence[str], *, now: dict[str, dict[str, Any]]
) -> pd.DataFrame:
    given = [now.get(name, {}) for name in names]
    frame = pd.DataFrame(
        {
            "object": pd.Series(told, dtype="string"),
            "api": pd.Series([each.get("api") for each in given], dtype="string"),
            "batch": pd.Series([each.get("batch") for each in given], dtype="Int64"),
            "serial": pd.Series([each.get("serial", False) for each in given], dtype="bool"),
            "order_by": pd.Series([each.get("order_by") for each in given], dtype="string"),
            "all_or_none": pd.Series(
                [each.get("all_or_none", False) for each in given], dtype="bool"
            ),
        }
    )
    config = st.column_config
    return st.data_editor(
        frame,
        column_config={
            "object": config.TextColumn("Object", pinned=True, width=170),
            "api": config.SelectboxColumn(
                "API", options=list(APIS), format_func=lambda name: APIS.get(name, name), width=130
            ),
            "batch": config.NumberColumn(
                "Batch size", min_value=1, max_value=10_000, step=1, width=90
            ),
            "serial": config.CheckboxColumn("One at a time", width=95),
            "order_by": config.TextColumn(
                "Sorted by", width=130, help="Source field; rows of one parent stay together"
            ),
            "all_or_none": config.CheckboxColumn("All or none", width=85),
        },
        disabled=["object"],
        num_rows="fixed",
        hide_index=True,
        row_height=tables.ROW_HEIGHT,
        height=min(TABLE_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(names) + 2),
        key="loads.table",
        alt="How the rows of each object are sent",
    )


def _options(names: Sequence[str], edited: pd.DataFrame) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, row in zip(names, edited.to_dict("records"), strict=True):
        options: dict[str, Any] = {}
        if pd.notna(row["api"]):
            options["api"] = str(row["api"])
        if pd.notna(row["batch"]):
            options["batch"] = int(row["batch"])
        if pd.notna(row["order_by"]) and row["order_by"]:
            options["order_by"] = str(row["order_by"])
        options |= {flag: True for flag in ("serial", "all_or_none") if row[flag]}
        if options:
            found[name] = options
    return found


def _keep(plan_id: str, loads: dict[str, dict[str, Any]]) -> None:
    st.session_state[state.LAUNCH_LOADS] = {plan_id: loads}
    st.rerun()
