"""What a launch would do: the steps as a table or as a graph."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.ordering import LoadOrder
from core.domain.plan import Plan
from core.services import plans, preflight
from pages.parts import choice, export, figures, tables, visit, words

COLUMNS = {
    "wave": st.column_config.NumberColumn("Wave", width=60),
    "object": st.column_config.TextColumn("Object", pinned=True, width=170),
    "operation": words.pills("Operation", words.OPERATIONS.values(), width=95),
    "match": st.column_config.TextColumn("Match on", width=170),
    "rows": tables.rows_column("Rows", width=95),
    "waits": st.column_config.TextColumn("Second pass", width=140),
}


def draw(row: plans.PlanRow, found: preflight.Report) -> None:
    """The card."""
    order, rows = found.preflight.order, found.preflight.rows
    told = [
        f"{figures.plural(len(order.order), 'object')} in "
        f"{figures.plural(len(order.waves), 'wave')}",
        f"{figures.count(sum(rows.values()))} rows",
    ]
    if found.preflight.api_calls:
        told.append(f"≈ {figures.count(found.preflight.api_calls)} API calls")
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(f"**Plan** :gray[{' · '.join(told)}]", width="stretch")
        shown = choice.segmented(
            "Show as",
            ["table", "graph"],
            default="table",
            format_func=str.capitalize,
            key="view",
            label_visibility="collapsed",
        )
    if shown == "graph":
        st.mermaid_chart(mermaid(order))
        return
    data = frame(_plan(row), found)
    tables.show(data, COLUMNS, key="launch.steps", alt="Objects of the launch in their order")
    export.button(
        "launch-plan",
        lambda: export.csv_bytes(list(data.columns), data.itertuples(index=False)),
        key="launch.steps.csv",
    )


def deletes_rows(row: plans.PlanRow) -> bool:
    """Whether some object of the plan deletes in the target."""
    return any(entry.operation.is_delete for entry in _plan(row).objects)


def frame(plan: Plan, found: preflight.Report) -> pd.DataFrame:
    """One row per object, in loading order."""
    order, rows = found.preflight.order, found.preflight.rows
    entries = {entry.name: entry for entry in plan.objects}
    listed = [name for name in order.order if name in entries]
    return tables.frame(
        [
            {
                "wave": order.wave_of(name) + 1,
                "object": name,
                "operation": [words.word(words.OPERATIONS, entries[name].operation).label],
                "match": " + ".join(entries[name].key.target) or "ledger",
                "rows": rows.get(name),
                "waits": ", ".join(order.deferred.get(name, ())),
            }
            for name in listed
        ],
        list(COLUMNS),
    )


def _plan(row: plans.PlanRow) -> Plan:
    return plans.plan(visit.bridge(), visit.actor(), row.id).plan


def mermaid(order: LoadOrder) -> str:
    """The order between objects, parents left.

    >>> from types import SimpleNamespace as Some
    >>> edge = Some(parent="account", child="contact")
    >>> mermaid(Some(order=["account", "contact"], edges=[edge]))
    'graph LR\\n  n_account["account"]\\n  n_contact["contact"]\\n  n_account --> n_contact'
    """
    lines = ["graph LR"]
    lines += [f'  {_node(name)}["{_safe(name)}"]' for name in order.order]
    pairs = dict.fromkeys((edge.parent, edge.child) for edge in order.edges)
    lines += [f"  {_node(a)} --> {_node(b)}" for a, b in pairs if a != b]
    return "\n".join(lines)


def _node(name: str) -> str:
    return "n_" + "".join(char if char.isalnum() else "_" for char in name)


def _safe(name: str) -> str:
    return name.replace('"', "'")
