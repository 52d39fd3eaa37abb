"""The card of one field: what fills it, why it was suggested, who reviewed it; accept or change it.

A rule saves itself as soon as it is whole; the button is there for what is not, and for blanks.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from core.domain.expressions import check_shape
from core.domain.plan import LookupPolicy, Plan, ReviewState, plan_document, plan_from_document
from core.domain.plan.rules import RuleBase
from core.errors import UserError
from core.plans import editing
from core.plans.editing import FieldPlace
from core.plans.field_rows import FieldRow, FieldState
from core.services import editor
from pages.parts import (
    boxes,
    figures,
    plan_grid,
    plan_owners,
    plan_rules,
    plan_values,
    state,
    visit,
)
from pages.parts.boxes import code, escaped
from pages.parts.plan_rules import KINDS, WITHOUT_SOURCE, WRITES

MISSING = {
    "reject": "Reject row",
    "blank": "Leave blank and report",
    "running_user": "Running user",
}
_REVIEWED = {
    FieldState.REVIEWED: "Reviewed",
    FieldState.QUESTION: "Questioned",
    FieldState.REJECTED: "Rejected",
    FieldState.SKIPPED: "Skipped",
}


def draw(
    view: editor.EditorView, chosen: editor.ObjectView, row: FieldRow, *, may_edit: bool
) -> None:
    """The card; keyboard: A accepts, J and K walk."""
    with st.container(border=True):
        _title(row)
        if row.reasons or row.confidence is not None:
            sure = "" if row.confidence is None else f"{round(100 * row.confidence)} % match"
            st.markdown(f":blue-badge[{sure}] :gray[{escaped(' · '.join(row.reasons))}]")
        _who(view, chosen.name, row)
        if row.issue:
            boxes.remark(escaped(row.issue))
        if may_edit:
            boxes.acted(_form, view, chosen, row)


def _title(row: FieldRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        name = row.target or row.source or ""
        label = row.target_label or row.source_label
        kind = row.target_type or row.source_type
        st.markdown(f"**{escaped(label)}** {code(name)} :gray[· {escaped(kind)}]", width="stretch")
        for icon, key, told, by in (
            ("keyboard_arrow_up", "K", "Field before", -1),
            ("keyboard_arrow_down", "J", "Next field", 1),
        ):
            st.button(
                "",
                icon=f":material/{icon}:",
                type="tertiary",
                shortcut=key,
                key=f"inspect.{key}",
                help=told,
                on_click=_walk,
                args=(by,),
            )


def _who(view: editor.EditorView, mapping: str, row: FieldRow) -> None:
    """Who said the last word on this field, and when; the audit trail has every earlier one."""
    word = _REVIEWED.get(row.state)
    if word is None or row.target is None:
        return
    said = editor.last_word(
        visit.bridge(), visit.actor(), view.row.id, mapping=mapping, field=row.target
    )
    told = (
        f"{word} with the plan"
        if said is None
        else f"{word} by {escaped(figures.person(said.by))}, {figures.ago(said.at)}"
    )
    whole = None if said is None else f"{escaped(said.by)}, {figures.absolute(said.at)}"
    st.caption(told, help=whole)


def _walk(by: int) -> None:
    held = st.session_state.get(state.GRID_ORDER)
    if not held or not held["keys"]:
        return
    keys = held["keys"]
    now = st.session_state.get(state.FOCUS)
    at = keys.index(now) if now in keys else 0
    st.session_state[state.FOCUS] = keys[(at + by) % len(keys)]


def _form(view: editor.EditorView, chosen: editor.ObjectView, row: FieldRow) -> None:
    sides = editor.sides(visit.bridge(), visit.actor(), view.row.id, mapping=chosen.name)
    rule = _rule_now(view, chosen.name, row)
    at = _place(chosen.name, row)
    save = partial(_autosave, view, chosen.name, row=row)
    target = row.target or st.selectbox(
        "Target field",
        [field.name for field in sides.target.fields.values() if field.is_writeable],
        index=None,
        placeholder="Choose a field of the target",
        key=f"{at}.target",
        on_change=save,
    )
    first, second = st.columns(2)
    kind = first.selectbox(
        "Rule",
        list(KINDS),
        index=list(KINDS).index(plan_rules.kind_of(rule)),
        format_func=KINDS.__getitem__,
        key=f"{at}.kind",
        on_change=save,
    )
    wanted: dict[str, Any] = {}
    if kind not in WITHOUT_SOURCE:
        sources = [field.name for field in sides.source.fields.values()]
        given = rule.get("from") or row.source
        options = sources if given in sources or not given else [given, *sources]
        wanted["from"] = second.selectbox(
            "Source field",
            options,
            index=options.index(given) if given else None,
            placeholder="Choose a field of the source",
            key=f"{at}.from",
            on_change=save,
        )
    if kind == "values" and wanted.get("from") and target and "." not in wanted["from"]:
        plan_values.learn(
            view, chosen.name, target=sides.target, field=target, source=wanted["from"], at=at
        )
    wanted |= plan_rules.parameters(kind, rule, at, on_change=save)
    left, right = st.columns(2)
    with left:
        _write(rule, row, at=at, on_change=save)
    with right:
        _lookup(view, chosen.name, row, at=at)
    _buttons(view, chosen.name, row, target=target, wanted=wanted, now=rule)


def _rule_now(view: editor.EditorView, mapping: str, row: FieldRow) -> dict[str, Any]:
    """The field's rule as a plan file spells it; {} for none."""
    entry = view.plan.mapping(mapping)
    found = next((r for n, r in entry.fields.items() if n == row.target), None)
    if found is None:
        return {"from": row.source} if row.source else {}
    plain: dict[str, Any] = found.model_dump(by_alias=True, mode="json", exclude_defaults=True)
    return {n: v for n, v in plain.items() if n not in {"review", "confidence", "reasons"}}


def _write(rule: dict[str, Any], row: FieldRow, *, at: str, on_change: Any) -> None:
    """When the field is written; always unless somebody says otherwise."""
    if row.target is None or row.state is FieldState.UNMAPPED:
        return
    st.selectbox(
        "Written",
        list(WRITES),
        index=list(WRITES).index(rule.get("write", "always")),
        format_func=WRITES.__getitem__,
        key=f"{at}.write",
        on_change=on_change,
    )


def _lookup(view: editor.EditorView, mapping: str, row: FieldRow, *, at: str) -> None:
    """Which way a lookup goes that finds no record in the target; saved at once."""
    if not row.target or not row.target_type.startswith("Lookup"):
        return
    entry = view.plan.mapping(mapping)
    now = entry.lookup(row.target)
    if row.target not in entry.lookups and view.plan.users and "User" in row.target_type:
        now = view.plan.users
    options = [*MISSING, *([now.missing] if now.missing not in MISSING else [])]
    st.selectbox(
        "If not in the target",
        options,
        index=options.index(now.missing),
        format_func=lambda name: MISSING.get(name, name),
        key=f"{at}.missing",
        on_change=_save_missing,
        args=(view, mapping),
        kwargs={"target": row.target, "key": f"{at}.missing", "now": now},
    )


def _maps(view: editor.EditorView, mapping: str, row: FieldRow) -> None:
    """The map behind a lookup to users or to record types."""
    if "User" in row.target_type and st.button(
        "Owners and queues…", icon=":material/group:", key="inspect.owners"
    ):
        plan_owners.dialog(view)
    if row.target == "RecordTypeId" and st.button(
        "Record types…", icon=":material/category:", key="inspect.types"
    ):
        plan_owners.record_types_dialog(view, mapping)


def _save_missing(
    view: editor.EditorView, mapping: str, *, target: str, key: str, now: LookupPolicy
) -> None:
    changed = now.model_copy(update={"missing": st.session_state[key]})
    at = FieldPlace(mapping, target)
    plan_grid.save(view.row.id, lambda plan: editing.set_lookup(plan, at, changed))


def _buttons(
    view: editor.EditorView,
    mapping: str,
    row: FieldRow,
    *,
    target: str | None,
    wanted: dict[str, Any],
    now: dict[str, Any],
) -> None:
    said, stands = (
        {name: value for name, value in rule.items() if value not in (None, "", {}, "keep")}
        for rule in (wanted, now)
    )
    is_changed = said != {name: value for name, value in stands.items() if name != "write"}
    is_whole = bool(target) and plan_rules.is_complete(plan_rules.kind_of(now), now)
    with st.container(horizontal=True):
        _maps(view, mapping, row)
        if row.target is not None:
            at = FieldPlace(mapping, row.target)
            if row.state is FieldState.SKIPPED:
                _button("Map again", view, partial(editing.unskip_field, at=at), key="unskip")
            else:
                _button("Skip field", view, partial(editing.skip_field, at=at), key="skip")
            if row.state in (FieldState.AUTO, FieldState.QUESTION) and not is_changed:
                _review_buttons(view, at, row)
        if row.target is None or is_changed or row.state is FieldState.UNMAPPED:
            st.button(
                "Save rule",
                type="primary",
                key="inspect.save",
                on_click=_save_rule,
                args=(view, mapping),
                kwargs={"row": row},
            )
        elif row.state in (FieldState.AUTO, FieldState.QUESTION, FieldState.REJECTED) and is_whole:
            st.button(
                "Accept",
                type="primary",
                icon=":material/check:",
                shortcut="A",
                key="inspect.accept",
                on_click=_accept,
                args=(view, mapping, row.target),
            )


def _review_buttons(view: editor.EditorView, at: FieldPlace, row: FieldRow) -> None:
    """A suggestion can be refused, or somebody else asked."""
    if row.state is FieldState.AUTO:
        asked = partial(editing.review, at=at, state=ReviewState.NEEDS_CLARIFICATION)
        told = "Applied, and marked for somebody to look at"
        _button("Question", view, asked, key="ask", told=told)
    refused = partial(editing.review, at=at, state=ReviewState.REJECTED)
    told = "Not applied, and not suggested again"
    _button("Reject", view, refused, key="reject", told=told)


def _button(
    label: str, view: editor.EditorView, change: editor.Edit, *, key: str, told: str | None = None
) -> None:
    st.button(label, key=f"inspect.{key}", help=told, on_click=_act, args=(view, change))


def _autosave(view: editor.EditorView, mapping: str, *, row: FieldRow) -> None:
    """Save the rule that the card shows as soon as it is whole; until then nothing is lost."""
    at = _place(mapping, row)
    kind = st.session_state[f"{at}.kind"]
    typed = _typed(at, kind, row)
    target = row.target or st.session_state.get(f"{at}.target")
    if target and plan_rules.is_complete(kind, typed):
        _save(view, mapping, row=row, target=target, typed=typed)


def _save_rule(view: editor.EditorView, mapping: str, *, row: FieldRow) -> None:
    """Save what the card shows at the click, also a constant that is blank."""
    at = _place(mapping, row)
    kind = st.session_state[f"{at}.kind"]
    typed = _typed(at, kind, row)
    target = row.target or st.session_state.get(f"{at}.target")
    is_blank = kind == "constant" and not typed.get("constant")
    if not target or not (is_blank or plan_rules.is_complete(kind, typed)):
        st.session_state[state.PROBLEM] = (
            "The rule is not complete.",
            "Nothing was saved.",
            "Choose the fields, or write the expression.",
        )
        return
    _save(view, mapping, row=row, target=target, typed=typed)


def _typed(at: str, kind: str, row: FieldRow) -> dict[str, Any]:
    """What the widgets hold; a suggested source field that nobody touched counts too."""
    typed = plan_rules.typed(kind, at)
    if kind not in WITHOUT_SOURCE and not typed.get("from") and row.source:
        typed["from"] = row.source
    write = st.session_state.get(f"{at}.write")
    return typed if write in (None, "always") else {**typed, "write": write}


def _save(
    view: editor.EditorView, mapping: str, *, row: FieldRow, target: str, typed: dict[str, Any]
) -> None:
    try:
        if "expression" in typed:
            check_shape(typed["expression"].strip())
    except UserError as problem:
        st.session_state[state.PROBLEM] = (problem.happened, "Nothing was saved.", "")
        return
    change = partial(_with_rule, mapping=mapping, target=target, wanted=typed)
    if plan_grid.save(view.row.id, change):
        st.session_state[state.FOCUS] = target
        st.session_state.setdefault(state.TOAST, "Saved.")
        if row.key != target:
            plan_grid.refresh()


def _place(mapping: str, row: FieldRow) -> str:
    """Start of the keys of one field's widgets."""
    return f"inspect.{mapping}.{row.key}"


def _accept(view: editor.EditorView, mapping: str, target: str) -> None:
    approve = partial(editing.review, at=FieldPlace(mapping, target), state=ReviewState.APPROVED)
    if plan_grid.save(view.row.id, approve):
        _next_open(target)


def _next_open(after: str) -> None:
    """The next field, so that A A A walks through what is left."""
    st.session_state[state.FOCUS] = after
    _walk(1)


def _act(view: editor.EditorView, change: editor.Edit) -> None:
    if plan_grid.save(view.row.id, change):
        plan_grid.refresh()
        st.session_state.setdefault(state.TOAST, "Saved.")


def _with_rule(plan: Plan, *, mapping: str, target: str, wanted: dict[str, Any]) -> Plan:
    """The plan with a rule as the card spells it; the document's own checks apply."""
    document = plan_document(plan)
    probe = {**document, "objects": [{"source": "Account", "fields": {target: wanted}}]}
    rule: RuleBase = plan_from_document(probe).objects[0].fields[target]
    return editing.set_rule(plan, FieldPlace(mapping, target), rule)
