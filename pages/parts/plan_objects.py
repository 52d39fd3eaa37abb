"""The objects of a plan: the list, the bar above the fields, the drawer with its settings."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import streamlit as st

from core.domain.names import object_name
from core.domain.plan import ObjectMapping, Operation, Plan, plan_document
from core.errors import OrgbridgeError
from core.plans import editing
from core.services import editor, object_picker, previews
from pages.parts import (
    boxes,
    figures,
    plan_grid,
    plan_keys,
    plan_picker,
    plan_tests,
    state,
    tables,
    visit,
    words,
)
from pages.parts.boxes import escaped

TODO = {
    "ok": words.Word("ok", "green", "check"),
    "open": words.Word("open", "orange", "pending"),
    "problem": words.Word("problem", "red", "error"),
}
LIST_HEIGHT = 330
#: of what stands in for the table of fields while the source counts rows
ASKING_HEIGHT = 360
BLANKS = {
    "default": "New rows get a blank, rows that were there keep their value",
    "clear": "Clears the value in the target",
    "keep": "Keeps the value in the target",
}


def draw(view: editor.EditorView, *, may_edit: bool) -> editor.ObjectView:
    """The list; the object chosen, which also stands in the address."""
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown("**Objects**", width="stretch")
        if may_edit and st.button(
            "Add", type="tertiary", icon=":material/add:", key="plan.add", help="Add objects"
        ):
            plan_picker.dialog(view)
    names = [each.name for each in view.objects]
    asked = st.query_params.get("object")
    at = names.index(asked) if asked in names else 0
    todo = [todo_words(each) for each in view.objects]
    config = st.column_config
    chosen = tables.show(
        tables.frame(
            [
                {
                    "name": object_name(each.name, each.target),
                    "mapped": round(100 * each.progress.mapped_share) if each.progress else None,
                    "todo": [word],
                }
                for each, word in zip(view.objects, todo, strict=True)
            ],
            ["name", "mapped", "todo"],
        ),
        {
            "name": config.TextColumn("Object", width=70),
            "mapped": config.ProgressColumn(
                "Mapped", min_value=0, max_value=100, format="%d%%", width=58
            ),
            "todo": config.MultiselectColumn(
                "To do", options=todo, color=[todo_color(word) for word in todo], width=64
            ),
        },
        key=f"plan.objects.{len(names)}.{st.session_state.get(state.OBJECT_TURN, 0)}",
        alt="Objects of the plan with their progress",
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [at]}},
        height=min(LIST_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(names) + 2),
    )
    position = tables.picked(chosen)
    found = view.objects[at if position is None or position >= len(names) else position]
    if found.name != asked:
        st.query_params["object"] = found.name
    return found


def todo_words(each: editor.ObjectView) -> str:
    """What is left to do on an object, in a word or two."""
    if each.progress is None:
        return "problem"
    return f"{each.progress.to_review} open" if each.progress.to_review else "ok"


def todo_color(word: str) -> str:
    """The pill's colour."""
    kind = word if word in TODO else "open"
    return TODO[kind].color


def bar(view: editor.EditorView, chosen: editor.ObjectView, *, may_edit: bool) -> None:
    """Which object goes where, how, and what is missing."""
    entry = view.plan.mapping(chosen.name)
    key = plan_keys.name_of(entry.key)
    operation = words.word(words.OPERATIONS, entry.operation)
    marks = [f":{operation.color}-badge[{operation.label} on {escaped(key)}]"]
    asked = (str(visit.actor().workspace_id), str(view.row.id), str(view.row.source_org_id))
    rows = None
    if not chosen.problem:
        asks = f"Counting rows of {chosen.source} in {view.plan.source}…"
        with boxes.asking(asks, height=ASKING_HEIGHT):
            rows = _row_count(asked, mapping=chosen.name, where=entry.where)
    if rows is not None:
        marks.append(f":gray-badge[{figures.plural(rows, 'row')}]")
    if chosen.progress and chosen.progress.required_unmapped:
        missing = figures.count(chosen.progress.required_unmapped)
        marks.append(f":orange-badge[:material/warning: {missing} required unmapped]")
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(
            f"**{escaped(chosen.source)}** :gray[→ {escaped(chosen.target)}]  {' '.join(marks)}",
            width="stretch",
        )
        if st.button("Key advisor", type="tertiary", icon=":material/key:", key="plan.keys"):
            plan_keys.dialog(view, chosen.name)
        tests = len(entry.tests)
        if st.button(
            f"Tests {tests}" if tests else "Tests",
            type="tertiary",
            icon=":material/checklist:",
            key="plan.tests",
            help="Source rows and what they must become",
        ):
            plan_tests.dialog(view, chosen.name)
        if may_edit and st.button(
            "Object settings", type="tertiary", icon=":material/tune:", key="plan.object.settings"
        ):
            settings_drawer(view, chosen.name)


@st.cache_data(ttl="5m", max_entries=256, show_spinner=False)
def _row_count(asked: tuple[str, str, str], *, mapping: str, where: str | None) -> int | None:
    """Rows of the source that the object's filter lets through; None where it did not say."""
    plan_id = UUID(asked[1])
    try:
        return previews.matching(
            visit.bridge(), visit.actor(), plan_id, mapping=mapping, where=where
        )
    except OrgbridgeError:
        return None


@st.dialog("Object settings", position="right", width=520, icon=":material/tune:")
def settings_drawer(view: editor.EditorView, name: str) -> None:
    """Operation, key, filter, order: what is not about a single field."""
    entry = view.plan.mapping(name)
    document = next(
        each
        for each in plan_document(view.plan)["objects"]
        if each["source"] == entry.source and each.get("as", entry.name) == name
    )
    target = _target_object(view, entry.target)
    operation = (
        st.selectbox(
            "Operation",
            list(Operation),
            index=list(Operation).index(entry.operation),
            format_func=lambda each: words.word(words.OPERATIONS, each).label,
            key="drawer.operation",
        )
        or entry.operation
    )
    key = _key_box(entry)
    where = st.text_area(
        "Only rows where (SOQL)", value=entry.where or "", key="drawer.where", height=80
    )
    _test_filter(view, name, (where or "").strip())
    blanks = st.selectbox(
        "A blank in the source",
        list(BLANKS),
        index=list(BLANKS).index(entry.blanks.value),
        format_func=BLANKS.__getitem__,
        key="drawer.blanks",
    )
    batch = st.number_input(
        "Rows per request or job (0 = by API)",
        value=entry.load.batch or 0,
        min_value=0,
        max_value=10_000,
        key="drawer.batch",
    )
    serial = st.toggle("One job at a time", value=entry.load.serial, key="drawer.serial")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Remove object", key="drawer.remove", icon=":material/delete:"):
            _save(view, partial(_remove, name=name))
        if st.button("Save", type="primary", key="drawer.save"):
            load = {**document.get("load", {}), "batch": batch or None, "serial": serial}
            settings: dict[str, object] = {
                "operation": operation.value,
                "where": (where or "").strip() or None,
                "blanks": blanks,
                "load": {label: value for label, value in load.items() if value is not None},
            }
            if entry.key.source == entry.key.target and entry.key.value is None:
                settings["key"] = _key(key)
            if target != entry.target:  # its name stays: links and other objects know it by that
                settings |= {"target": target, "as": name}
            _save(view, partial(_change, name=name, settings=settings))


def _key_box(entry: ObjectMapping) -> str:
    """What rows are recognised by; closed for keys that the key advisor alone can say."""
    given = st.text_input(
        "Match on",
        value=", ".join(entry.key.target),
        key="drawer.key",
        placeholder=words.MOVED_BEFORE,
        help="A field of both orgs, or several separated by commas. Empty: records are recognised "
        "only if an earlier run moved them.",
        disabled=entry.key.source != entry.key.target or entry.key.value is not None,
    )
    return given or "ledger"


def _target_object(view: editor.EditorView, current: str) -> str:
    """Which object of the target the rows become; the current one while the org is away."""
    try:
        found = object_picker.target_choices(visit.bridge(), visit.actor(), view.row.id)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return current
    labels = {choice.name: f"{choice.label} · {choice.name}" for choice in found}
    names = list(labels)
    at = next((n for n, name in enumerate(names) if name.lower() == current.lower()), None)
    chosen = st.selectbox(
        "Target object",
        names,
        index=at,
        format_func=labels.__getitem__,
        key="drawer.target",
        placeholder=f"{current} is not in the target",
        help="Fields keep their rules; Auto-map fits the suggested ones to the other object.",
    )
    return current if chosen is None or at == names.index(chosen) else chosen


def _test_filter(view: editor.EditorView, name: str, where: str) -> None:
    """Ask the source how many rows the filter lets through."""
    if not st.button("Test filter", icon=":material/filter_alt:", key="drawer.where.test"):
        return
    try:
        rows = previews.matching(
            visit.bridge(), visit.actor(), view.row.id, mapping=name, where=where
        )
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    st.caption(f"{figures.count(rows)} rows of the source match.")


def _key(text: str) -> str | list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or parts == ["ledger"]:
        return "ledger"
    return parts[0] if len(parts) == 1 else parts


def _change(plan: Plan, *, name: str, settings: dict[str, object]) -> Plan:
    return editing.change_settings(plan, name, settings)


def _remove(plan: Plan, *, name: str) -> Plan:
    return editing.remove_object(plan, name)


def _save(view: editor.EditorView, change: editor.Edit) -> None:
    plan_grid.save(view.row.id, change)
    plan_grid.refresh()
    st.session_state.pop(state.FOCUS, None)
    st.rerun()
