"""What a launch would do: the steps as a table, in which objects are ticked, or as a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.names import object_name
from core.domain.ordering import LoadOrder
from core.domain.plan import KeySpec, Plan
from core.services import launch_outlook, plans, preflight
from core.services.launch_outlook import Outlook
from pages.parts import boxes, choice, export, figures, plan_keys, state, tables, visit, words
from pages.parts.boxes import escaped

COLUMNS: dict[str, Any] = {
    "run": st.column_config.CheckboxColumn("Run", width=44),
    "wave": st.column_config.NumberColumn("Wave", width=40),
    "object": st.column_config.TextColumn("Object", width=98),
    "operation": words.pills("Operation", words.OPERATIONS.values(), width=74),
    "match": st.column_config.TextColumn("Match on", width=96),
    "rows": tables.rows_column("Rows", width=52),
    "new": tables.rows_column("New", width=48),
    "update": tables.rows_column("Update", width=54),
    "same": tables.rows_column("Same", width=46),
    "blocked": tables.rows_column("Blocked", width=60),
    "waits": st.column_config.TextColumn("Second pass", width=102),
}
#: the picture is scaled to its card: less room between boxes is more for their words
COMPACT = '%%{init: {"flowchart": {"nodeSpacing": 20, "rankSpacing": 28, "padding": 8}}}%%'


@dataclass(frozen=True, slots=True)
class Steps:
    """The objects that are ticked, with what is known of them."""

    names: tuple[str, ...]
    #: as a launch takes it: empty when all are ticked
    only: tuple[str, ...]
    #: rows in scope of the ticked objects, as far as the source counted them
    rows: int
    #: ticked objects whose operation deletes
    deletes: tuple[str, ...]
    outlook: Outlook | None
    #: every object of the plan as the table writes it
    written: Mapping[str, str] = field(default_factory=dict)
    #: the source counted each of them
    is_counted: bool = True


def match_words(key: KeySpec) -> str:
    """The key in a narrow column."""
    return "moved before" if key.is_ledger else plan_keys.name_of(key)


def draw(row: plans.PlanRow, plan: Plan, found: preflight.Report) -> Steps:
    """The card; what is ticked in it."""
    order, rows = found.preflight.order, found.preflight.rows
    outlook = launch_outlook.outlook(visit.bridge(), visit.actor(), row.id)
    told = [
        f"{figures.plural(len(order.order), 'object')} in "
        f"{figures.plural(len(order.waves), 'wave')}",
    ]
    if rows:
        told.append(f"{figures.count(sum(rows.values()))} rows")
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
    names = tuple(name for name in order.order if name in {e.name for e in plan.objects})
    if shown == "graph":
        ticked = _graph(row, plan, order, names)
    else:
        ticked = _table(row, plan, found, outlook=outlook, names=names)
    return _steps(plan, found, outlook=outlook, names=names, ticked=ticked)


def _unticked(row: plans.PlanRow) -> dict[str, tuple[str, ...]]:
    """Objects of this plan without a tick: now, and as the table was first drawn."""
    held: dict[str, dict[str, tuple[str, ...]]]
    held = st.session_state.setdefault(state.UNTICKED, {})
    return held.setdefault(str(row.id), {"now": (), "drawn": ()})


def _graph(
    row: plans.PlanRow, plan: Plan, order: LoadOrder, names: tuple[str, ...]
) -> tuple[str, ...]:
    """The order as a picture; what was ticked in the table stays so."""
    told = {entry.name: object_name(entry.name, entry.target) for entry in plan.objects}
    st.mermaid_chart(mermaid(order, told), alt="Objects of the plan, parents left of children")
    left_out = [name for name in names if name in _unticked(row)["now"]]
    if left_out:
        boxes.remark(
            "Not ticked in the table, so not part of this launch: "
            f"{escaped(', '.join(told[name] for name in left_out))}",
            icon="check_box_outline_blank",
        )
    return tuple(name for name in names if name not in left_out)


def _table(
    row: plans.PlanRow,
    plan: Plan,
    found: preflight.Report,
    *,
    outlook: Outlook | None,
    names: tuple[str, ...],
) -> tuple[str, ...]:
    key, unticked = f"launch.steps.{plan.name}.{len(names)}", _unticked(row)
    if key not in st.session_state:  # Streamlit forgets the edits of a table that was not drawn
        unticked["drawn"] = unticked["now"]
    data = frame(plan, found, outlook=outlook, names=names)
    data["run"] = [name not in unticked["drawn"] for name in names]
    data = data[shown_columns(data, outlook)]
    edited = st.data_editor(
        data,
        column_config=COLUMNS,
        disabled=[name for name in COLUMNS if name != "run"],
        num_rows="fixed",
        hide_index=True,
        placeholder=figures.MISSING,
        row_height=tables.ROW_HEIGHT,
        height=tables.height(len(names)),
        key=key,
        alt="Objects of the launch in their order",
    )
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.caption(_source_of_figures(outlook), width="stretch")
        export.button(
            "launch-plan",
            lambda: export.csv_bytes(list(data.columns), data.itertuples(index=False)),
            key="launch.steps.csv",
        )
    ticked = tuple(name for name, run in zip(names, edited["run"], strict=True) if run)
    unticked["now"] = tuple(name for name in names if name not in ticked)
    return ticked


def shown_columns(data: pd.DataFrame, outlook: Outlook | None) -> list[str]:
    """Columns that say something: buckets after a run that made some, second passes if any."""
    silent = set() if outlook else {"new", "update", "same", "blocked"}
    if not data["waits"].any():
        silent.add("waits")
    return [name for name in COLUMNS if name not in silent]


def _source_of_figures(outlook: Outlook | None) -> str:
    if outlook is None:
        return "A dry run tells how many rows are new, changed and blocked."
    mode = outlook.mode.replace("-", " ")
    stale = "; the plan was changed since" if outlook.is_older_than_plan else ""
    return (
        f"New, update, same and blocked as the {mode} {escaped(outlook.run)} sorted them, "
        f"{figures.ago(outlook.at)}{stale}."
    )


def frame(
    plan: Plan, found: preflight.Report, *, outlook: Outlook | None, names: tuple[str, ...]
) -> pd.DataFrame:
    """One row per object, in loading order."""
    order, rows = found.preflight.order, found.preflight.rows
    entries = {entry.name: entry for entry in plan.objects}
    buckets = outlook.buckets if outlook else {}
    listed: list[dict[str, Any]] = []
    for name in names:
        bucket = buckets.get(name)
        listed.append(
            {
                "run": True,
                "wave": order.wave_of(name) + 1,
                "object": object_name(name, entries[name].target),
                "operation": [words.word(words.OPERATIONS, entries[name].operation).label],
                "match": match_words(entries[name].key),
                "rows": rows.get(name),
                "new": bucket.inserts if bucket else None,
                "update": bucket.updates if bucket else None,
                "same": bucket.unchanged if bucket else None,
                "blocked": bucket.blocked if bucket else None,
                "waits": ", ".join(order.deferred.get(name, ())),
            }
        )
    return tables.frame(listed, list(COLUMNS))


def _steps(
    plan: Plan,
    found: preflight.Report,
    *,
    outlook: Outlook | None,
    names: tuple[str, ...],
    ticked: tuple[str, ...],
) -> Steps:
    entries = {entry.name: entry for entry in plan.objects}
    return Steps(
        names=ticked,
        only=() if ticked == names else ticked,
        rows=sum(found.preflight.rows.get(name, 0) for name in ticked),
        deletes=tuple(name for name in ticked if entries[name].operation.is_delete),
        outlook=outlook,
        written={name: object_name(name, each.target) for name, each in entries.items()},
        is_counted=all(name in found.preflight.rows for name in ticked),
    )


def mermaid(order: LoadOrder, told: Mapping[str, str]) -> str:
    """The order between objects, parents left; ``told`` is how each is written.

    >>> from types import SimpleNamespace as Some
    >>> edge = Some(parent="account", child="contact")
    >>> print(mermaid(Some(order=["account", "contact"], edges=[edge]), {"account": "Account"}))
    %%{init: {"flowchart": {"nodeSpacing": 20, "rankSpacing": 28, "padding": 8}}}%%
    graph LR
      n_account["Account"]
      n_contact["contact"]
      n_account --> n_contact
    """
    lines = [COMPACT, "graph LR"]
    lines += [f'  {_node(name)}["{_safe(told.get(name, name))}"]' for name in order.order]
    pairs = dict.fromkeys((edge.parent, edge.child) for edge in order.edges)
    lines += [f"  {_node(a)} --> {_node(b)}" for a, b in pairs if a != b]
    return "\n".join(lines)


def _node(name: str) -> str:
    return "n_" + "".join(char if char.isalnum() else "_" for char in name)


def _safe(name: str) -> str:
    return name.replace('"', "'")
