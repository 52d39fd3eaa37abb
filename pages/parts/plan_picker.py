"""The dialog that adds objects to a plan: all of them, with reasons against and neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import streamlit as st

from core.domain.plan import Plan
from core.errors import OrgbridgeError
from core.plans import editing
from core.services import editor, object_picker, plans
from pages.parts import boxes, figures, plan_grid, tables, visit
from pages.parts.boxes import escaped

LIST_HEIGHT = 320
COLUMNS = {
    "label": st.column_config.TextColumn("Object", width=190),
    "name": st.column_config.TextColumn("API name", width=190),
    "target": st.column_config.TextColumn("In the target", width=100),
    "reason": st.column_config.TextColumn("Cannot be chosen because", width=280),
}


@st.dialog("Add objects", width="large", icon=":material/add:")
def dialog(view: editor.EditorView) -> None:
    """Pick objects; parents that an object needs are offered with it."""
    try:
        with st.skeleton(height=LIST_HEIGHT):
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
    chosen = tables.show(
        tables.frame(
            [
                {
                    "label": c.label,
                    "name": c.name,
                    "target": "same name" if c.is_in_target else "choose later",
                    "reason": c.reason,
                }
                for c in kept
            ],
            list(COLUMNS),
        ),
        COLUMNS,
        key=f"picker.table.{wanted}",
        alt="Objects of the source org",
        on_select="rerun",
        selection_mode="multi-row",
        height=LIST_HEIGHT,
    )
    picked = [kept[position] for position in chosen.selection.rows]
    names = [choice.name for choice in picked if not choice.reason]
    for choice in picked:
        if choice.reason:
            st.caption(
                f":orange[{escaped(choice.name)} cannot be chosen: {escaped(choice.reason)}]"
            )
    names += _neighbours(view, names[-1]) if names else []
    _add(view, list(dict.fromkeys(names)))


def _neighbours(view: editor.EditorView, sobject: str) -> list[str]:
    """Parents and children of the object picked last, with row counts; what was ticked of them."""
    try:
        with st.skeleton(height=60):
            near = object_picker.relatives(
                visit.bridge(), visit.actor(), view.row.id, sobject=sobject
            )
    except OrgbridgeError as problem:
        boxes.error(problem)
        return []
    st.caption(f"{escaped(near.sobject)}: {figures.count(near.row_count)} rows in the source")
    ticked: list[str] = []
    for title, edges in (
        ("Needs or may have as parent", near.parents),
        ("Children", near.children),
    ):
        options = list(dict.fromkeys(e.sobject for e in edges if not e.is_in_plan))
        if not options:
            continue
        needed = [e.sobject for e in edges if e.is_required and e.sobject in options]
        counts = {e.sobject: e.row_count for e in edges}
        ticked += st.pills(
            title,
            options,
            selection_mode="multi",
            default=list(dict.fromkeys(needed)) if edges is near.parents else [],
            format_func=partial(_counted, counts),
            key=f"picker.{title}.{sobject}",
        )
    return ticked


def _counted(counts: Mapping[str, int | None], name: str) -> str:
    return f"{name} {figures.count(counts[name])}"


def _add(view: editor.EditorView, names: list[str]) -> None:
    label = f"Add {len(names)} objects" if len(names) != 1 else f"Add {names[0]}"
    with st.container(horizontal=True, horizontal_alignment="right"):
        if not st.button(label, type="primary", disabled=not names, key="picker.add"):
            return
    if plan_grid.save(view.row.id, partial(_added, names=names)):
        plan_grid.refresh()
        for name in names:
            boxes.acted(
                editor.suggest,
                visit.bridge(),
                visit.actor(),
                view.row.id,
                revision=plans.plan(visit.bridge(), visit.actor(), view.row.id).row.revision,
                mapping=name.lower(),
            )
    st.rerun()


def _added(plan: Plan, *, names: list[str]) -> Plan:
    return editing.add_objects(plan, [{"source": name} for name in names])
