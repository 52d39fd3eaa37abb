"""What a launch would do: the steps as a table or as a graph."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.services import runs
from pages.parts import export, figures, tables, words

COLUMNS = {
    "wave": st.column_config.NumberColumn("Wave", width=60),
    "object": st.column_config.TextColumn("Object", pinned=True, width=150),
    "operation": words.pills("Operation", words.OPERATIONS.values(), width=95),
    "match": st.column_config.TextColumn("Match on", width=160),
    "rows": tables.rows_column("Rows", width=85),
    "new": tables.rows_column("New", width=85),
    "update": tables.rows_column("Update", width=85),
}


def draw(found: runs.Preflight) -> None:
    """The card."""
    waves = len({step.wave for step in found.steps})
    told = [f"{len(found.steps)} steps in {waves} waves", f"{figures.count(found.rows)} rows"]
    if found.seconds is not None:
        told.append(f"about {figures.duration(found.seconds)}")
    if found.api_calls is not None:
        told.append(f"≈ {figures.count(found.api_calls)} API calls")
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(f"**Plan** :gray[{' · '.join(told)}]", width="stretch")
        shown = st.segmented_control(
            "Show as",
            ["table", "graph"],
            default="table",
            required=True,
            format_func=str.capitalize,
            key="view",
            bind="query-params",
            label_visibility="collapsed",
        )
    if shown == "graph":
        st.mermaid_chart(mermaid(found))
        return
    data = frame(found)
    tables.show(data, COLUMNS, key="launch.steps", alt="Steps of the launch in their order")
    export.button(
        "launch-plan",
        lambda: export.csv_bytes(list(data.columns), data.itertuples(index=False)),
        key="launch.steps.csv",
    )


def frame(found: runs.Preflight) -> pd.DataFrame:
    """One row per step; a second pass is a step of its own."""
    return tables.frame(
        [
            {
                "wave": step.wave,
                "object": step.mapping_name
                + (" (2nd pass)" if step.phase == "second_pass" else ""),
                "operation": [words.word(words.OPERATIONS, step.operation).label],
                "match": step.match_on or figures.MISSING,
                "rows": step.rows,
                "new": step.new,
                "update": step.updated,
            }
            for step in found.steps
        ],
        list(COLUMNS),
    )


def mermaid(found: runs.Preflight) -> str:
    """The order between objects, left to right; names are plain words by the plan's own rule.

    >>> from types import SimpleNamespace as S
    >>> mermaid(S(steps=[S(mapping_name="account")], edges=[("account", "contact")]))
    'graph LR\\n  n_account["account"]\\n  n_account --> n_contact["contact"]'
    """
    lines = ["graph LR"]
    names = dict.fromkeys(step.mapping_name for step in found.steps)
    lines += [f'  {_node(name)}["{_safe(name)}"]' for name in names]
    lines += [f'  {_node(a)} --> {_node(b)}["{_safe(b)}"]' for a, b in found.edges]
    return "\n".join(lines)


def _node(name: str) -> str:
    return "n_" + "".join(char if char.isalnum() else "_" for char in name)


def _safe(name: str) -> str:
    return name.replace('"', "'")
