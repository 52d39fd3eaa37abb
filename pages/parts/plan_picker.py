"""The dialog that adds objects to a plan: all of them, with reasons against and neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from typing import Any

import streamlit as st

from core.domain.plan import Plan
from core.errors import OrgbridgeError
from core.plans import editing
from core.services import editor, object_picker, plans
from core.services.object_picker import Relative
from pages.parts import boxes, figures, plan_grid, tables, visit, words
from pages.parts.boxes import escaped

LIST_HEIGHT = 260
EDGES_HEIGHT = 180
COLUMNS = {
    "label": st.column_config.TextColumn("Object", width=190),
    "name": st.column_config.TextColumn("API name", width=190),
    "target": st.column_config.TextColumn("In the target", width=100),
    "reason": st.column_config.TextColumn("Cannot be chosen because", width=280),
}


#: what is ticked under any filter, in the order of the ticks
_TICKED = "picker.ticked"


def dialog(view: editor.EditorView) -> None:
    """Open the dialog with nothing ticked."""
    st.session_state[_TICKED] = []
    _dialog(view)


@st.dialog("Add objects", width="large", icon=":material/add:")
def _dialog(view: editor.EditorView) -> None:
    """Pick objects; parents that an object needs are offered with it."""
    try:
        asks = f"Reading the objects of {words.named_orgs(view.row)}…"
        with boxes.asking(asks, height=LIST_HEIGHT):
            found = object_picker.object_choices(visit.bridge(), visit.actor(), view.row.id)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    needle = st.text_input(
        "Filter objects",
        type="search",
        live=True,
        key="picker.q",
        placeholder=f"Filter {figures.count(len(found))} objects…",
        label_visibility="collapsed",
    )
    wanted = (needle or "").lower()
    kept = [c for c in found if not c.is_in_plan and wanted in f"{c.name} {c.label}".lower()]
    held = st.session_state.setdefault(_TICKED, [])
    chosen = _listing(kept, held, key=f"picker.table.{wanted}")
    st.session_state[_TICKED] = ticked(
        held, shown=[c.name for c in kept], rows=chosen.selection.rows
    )
    by_name = {choice.name: choice for choice in found}
    picked = [by_name[name] for name in st.session_state[_TICKED]]
    hidden = [choice.name for choice in picked if choice not in kept]
    if hidden:
        st.caption(f"Ticked under another filter: {escaped(', '.join(hidden))}")
    names = [choice.name for choice in picked if not choice.reason]
    for choice in picked:
        if choice.reason:
            boxes.remark(f"{escaped(choice.name)} cannot be chosen: {escaped(choice.reason)}")
    if names:
        near = _neighbours(view, names[-1])
        names += near.ticked
        names += _needed(view, list(dict.fromkeys(names)), decided=near.parents)
    names = list(dict.fromkeys(names))
    twins = {choice.name for choice in found if choice.is_in_target}
    _add(view, {name: name if name in twins else _becomes(view, name) for name in names})


def _listing(kept: Sequence[object_picker.ObjectChoice], held: Sequence[str], *, key: str) -> Any:
    """The table; what is held is ticked when a filter shows it again."""
    return tables.show(
        tables.frame(
            [
                {
                    "label": c.label,
                    "name": c.name,
                    "target": "same name" if c.is_in_target else "other name",
                    "reason": c.reason,
                }
                for c in kept
            ],
            list(COLUMNS),
        ),
        COLUMNS,
        key=key,
        alt="Objects of the source org",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={
            "selection": {"rows": [at for at, c in enumerate(kept) if c.name in held]}
        },
        height=min(LIST_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * max(1, len(kept)) + 2),
    )


def ticked(held: Sequence[str], *, shown: Sequence[str], rows: Sequence[int]) -> list[str]:
    """What is ticked now: what the filter hides stays, in the order in which it was ticked.

    >>> ticked(["Case", "Lead"], shown=["Account", "Case"], rows=[0])
    ['Lead', 'Account']
    """
    now = [shown[position] for position in rows]
    stays = [name for name in held if name in now or name not in shown]
    return stays + [name for name in now if name not in stays]


def _becomes(view: editor.EditorView, sobject: str) -> str | None:
    """The object of the target that rows of one become which the target does not have."""
    try:
        found = object_picker.target_choices(visit.bridge(), visit.actor(), view.row.id)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return None
    labels = {choice.name: f"{choice.label} · {choice.name}" for choice in found}
    return st.selectbox(
        f"{escaped(sobject)} becomes",
        list(labels),
        index=None,
        format_func=labels.__getitem__,
        key=f"picker.target.{sobject}",
        placeholder=f"The target has no {sobject}: choose the object its rows become",
    )


@dataclass(frozen=True, slots=True)
class _Near:
    """What was ticked beside one object, and the parents that were offered with it."""

    ticked: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


def _neighbours(view: editor.EditorView, sobject: str) -> _Near:
    """Parents and children of the object picked last, with row counts."""
    try:
        with boxes.asking(f"Counting rows in {view.plan.source}…", height=60):
            near = object_picker.relatives(
                visit.bridge(), visit.actor(), view.row.id, sobject=sobject
            )
    except OrgbridgeError as problem:
        boxes.error(problem)
        return _Near()
    st.caption(
        f"**{escaped(near.sobject)}**: {figures.count(near.row_count)} rows in the source. Parents "
        "that an insert needs are ticked."
    )
    ticked: list[str] = []
    left, right = st.columns(2)
    for place, title, edges in (
        (left, "Parents, up", near.parents),
        (right, "Children, down", near.children),
    ):
        with place:
            ticked += _edges(title, edges, sobject=sobject, is_up=edges is near.parents)
    return _Near(tuple(ticked), tuple(edge.sobject for edge in near.parents))


def _needed(view: editor.EditorView, names: list[str], *, decided: tuple[str, ...]) -> list[str]:
    """What the other picked objects, and all their parents, cannot be inserted without."""
    try:
        found = object_picker.needed_parents(
            visit.bridge(), visit.actor(), view.row.id, sobjects=names
        )
    except OrgbridgeError as problem:
        boxes.error(problem)
        return []
    offered = [name for name in found if name not in decided]
    if not offered:
        return []
    return st.multiselect(
        "Parents that these need as well",
        offered,
        default=offered,
        key=f"picker.needed.{','.join(offered)}",
        help="An insert without them is refused.",
    )


def _edges(title: str, edges: Sequence[Relative], *, sobject: str, is_up: bool) -> list[str]:
    """One row per lookup, with rows and why one cannot be chosen; the objects that were ticked."""
    open_edges = [edge for edge in edges if not edge.is_in_plan]
    if not open_edges:
        told = "all are in the plan" if edges else "none"
        st.caption(f"{title}: {told}")
        return []
    mark = " (required)" if is_up else " (deleted with it)"
    edited = st.data_editor(
        tables.frame(
            [
                {
                    "add": is_up and edge.is_required and not edge.reason,
                    "object": edge.sobject,
                    "field": f"{edge.field}{mark}" if edge.is_required else edge.field,
                    "linked": edge.linked_rows,
                    "rows": edge.row_count,
                    "reason": edge.reason,
                }
                for edge in open_edges
            ],
            ["add", "object", "field", "linked", "rows", "reason"],
        ),
        column_config={
            "add": st.column_config.CheckboxColumn("Add", width=58),
            "object": st.column_config.TextColumn(title, width=110),
            "field": st.column_config.TextColumn("Through", width=150),
            "linked": tables.rows_column(
                "Linked", width=65, help="Rows that this lookup links in the source now"
            ),
            "rows": tables.rows_column("Rows", width=65),
            "reason": st.column_config.TextColumn("Why not", width=110),
        },
        disabled=["object", "field", "linked", "rows", "reason"],
        num_rows="fixed",
        hide_index=True,
        placeholder=figures.MISSING,
        row_height=tables.ROW_HEIGHT,
        height=min(EDGES_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(open_edges) + 2),
        key=f"picker.{is_up}.{sobject}",
        alt=f"{title} of {sobject}",
    )
    return [
        edge.sobject
        for edge, wanted in zip(open_edges, edited["add"], strict=True)
        if wanted and not edge.reason
    ]


def _add(view: editor.EditorView, targets: dict[str, str | None]) -> None:
    """The button; ``targets``: the target object of each object, None where it is not chosen."""
    label = f"Add {len(targets)} objects" if len(targets) != 1 else f"Add {next(iter(targets))}"
    entries = named_entries(
        {each.name for each in view.plan.objects},
        {name: target for name, target in targets.items() if target},
    )
    is_open = len(entries) < len(targets)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if not st.button(label, type="primary", disabled=is_open or not entries, key="picker.add"):
            return
    if plan_grid.save(view.row.id, partial(_added, entries=entries)):
        plan_grid.refresh()
        for entry in entries:
            boxes.acted(
                editor.suggest,
                visit.bridge(),
                visit.actor(),
                view.row.id,
                revision=plans.plan(visit.bridge(), visit.actor(), view.row.id).row.revision,
                mapping=entry["as"],
            )
    st.rerun()


def named_entries(taken: Iterable[str], targets: Mapping[str, str]) -> list[dict[str, str]]:
    """Objects as they stand in a plan file, each under a name that no other one has.

    >>> named_entries(["contact"], {"Lead": "Contact", "Account": "Account"})
    [{'source': 'Lead', 'target': 'Contact', 'as': 'lead'},
     {'source': 'Account', 'target': 'Account', 'as': 'account'}]
    """
    known, entries = set(taken), []
    for source, target in targets.items():
        usual = [target.lower(), source.lower()]
        numbered = (f"{target.lower()}{number}" for number in count(2))
        name = next(each for each in chain(usual, numbered) if each not in known)
        known.add(name)
        entries.append({"source": source, "target": target, "as": name})
    return entries


def _added(plan: Plan, *, entries: list[dict[str, str]]) -> Plan:
    return editing.add_objects(plan, entries)
