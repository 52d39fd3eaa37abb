"""The card of one field: what fills it, why it was suggested, accept, change or skip it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.describe import Field
from core.domain.plan import Convert, Mask, Plan, ReviewState, plan_document
from core.domain.plan.rules import RuleBase
from core.plans import editing
from core.plans.editing import FieldPlace
from core.plans.field_rows import FieldRow, FieldState
from core.services import editor, previews
from pages.parts import boxes, plan_grid, state, visit
from pages.parts.boxes import escaped

KINDS = {
    "copy": "Copy",
    "constant": "Constant",
    "values": "Value map",
    "expression": "Expression",
    "convert": "Convert",
    "mask": "Mask",
}
WITHOUT_SOURCE = frozenset({"constant", "expression"})
MISSING = {
    "reject": "Reject row",
    "blank": "Leave blank and report",
    "running_user": "Running user",
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
        if row.issue:
            st.caption(f":orange[:material/warning: {escaped(row.issue)}]")
        if may_edit:
            boxes.acted(_form, view, chosen, row)


def _title(row: FieldRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        name = row.target or row.source or ""
        label = row.target_label or row.source_label
        kind = row.target_type or row.source_type
        st.markdown(f"**{escaped(label)}** `{name}` :gray[· {escaped(kind)}]", width="stretch")
        st.button(
            "",
            icon=":material/keyboard_arrow_up:",
            type="tertiary",
            shortcut="K",
            key="inspect.up",
            help="Field before",
            on_click=_walk,
            args=(-1,),
        )
        st.button(
            "",
            icon=":material/keyboard_arrow_down:",
            type="tertiary",
            shortcut="J",
            key="inspect.down",
            help="Next field",
            on_click=_walk,
            args=(1,),
        )


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
    target = row.target or st.selectbox(
        "Target field",
        [field.name for field in sides.target.fields.values() if field.is_writeable],
        index=None,
        placeholder="Choose a field of the target",
        key=f"{at}.target",
    )
    first, second = st.columns(2)
    kind = first.selectbox(
        "Rule",
        list(KINDS),
        index=list(KINDS).index(_kind_of(rule)),
        format_func=KINDS.__getitem__,
        key=f"{at}.kind",
    )
    wanted: dict[str, Any] = {}
    if kind not in WITHOUT_SOURCE:
        sources = [field.name for field in sides.source.fields.values()]
        given = rule.get("from") or row.source
        wanted["from"] = second.selectbox(
            "Source field",
            sources,
            index=sources.index(given) if given in sources else None,
            placeholder="Choose a field of the source",
            key=f"{at}.source",
        )
    if kind == "values":
        described = sides.target.fields.get(target) if target else None
        _learn_values(view, chosen.name, target=described, source=wanted["from"], at=at)
    wanted |= PARAMETERS[kind](rule, at)
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


def _kind_of(rule: dict[str, Any]) -> str:
    return next((kind for kind in KINDS if kind != "copy" and kind in rule), "copy")


def _copy(_rule: dict[str, Any], _at: str) -> dict[str, Any]:
    return {}


def _constant(rule: dict[str, Any], at: str) -> dict[str, Any]:
    given = st.text_input("Value", value=rule.get("constant") or "", key=f"{at}.constant")
    return {"constant": given or None}


def _expression(rule: dict[str, Any], at: str) -> dict[str, Any]:
    given = st.text_area(
        "Expression over the source row (SQL)",
        value=rule.get("expression", ""),
        key=f"{at}.expression",
        height=70,
        placeholder="upper(Name) || ' (moved)'",
    )
    return {"expression": (given or "").strip()}


def _mask(rule: dict[str, Any], at: str) -> dict[str, Any]:
    names = [mask.value for mask in Mask]
    index = names.index(rule["mask"]) if rule.get("mask") in names else 0
    return {"mask": st.selectbox("Mask", names, index=index, key=f"{at}.mask")}


def _convert(rule: dict[str, Any], at: str) -> dict[str, Any]:
    names = [each.value for each in Convert]
    index = names.index(rule["convert"]) if rule.get("convert") in names else 0
    chosen = st.selectbox(
        "Convert",
        names,
        index=index,
        format_func=lambda name: name.replace("_", " "),
        key=f"{at}.convert",
    )
    return {"convert": chosen}


def _values(rule: dict[str, Any], at: str) -> dict[str, Any]:
    """Every value that the source holds, with its rows, and what becomes of it."""
    known: dict[str, str | None] = rule.get("values", {})
    source, allowed, counted = st.session_state.get(f"{at}.facts", ("", [], {}))
    listed = [*counted, *(value for value in known if value not in counted)]
    edited = st.data_editor(
        pd.DataFrame(
            {
                "value": listed,
                "rows": [counted.get(value) for value in listed],
                "target": [known.get(value) for value in listed],
            }
        ).astype({"value": "string", "rows": "Int64", "target": "string"}),
        column_config={
            "value": st.column_config.TextColumn("Source value", width=130),
            "rows": st.column_config.NumberColumn("Rows", format="localized", width=60),
            "target": st.column_config.SelectboxColumn("Becomes", options=allowed, width=130)
            if allowed
            else st.column_config.TextColumn("Becomes", width=130),
        },
        disabled=["rows"] if not counted else ["value", "rows"],
        num_rows="fixed" if counted else "dynamic",
        hide_index=True,
        key=f"{at}.values.{source}",
        height=min(220, 40 + 35 * max(2, len(listed) + 1)),
        alt="Source values and what becomes of them",
    )
    otherwise = st.selectbox(
        "Values without an entry",
        ["keep", "blank", "reject"],
        index=["keep", "blank", "reject"].index(rule.get("otherwise", "keep")),
        format_func=lambda name: {
            "keep": "Stay as they are",
            "blank": "Become blank",
            "reject": "Reject the row",
        }[name],
        key=f"{at}.otherwise",
    )
    pairs = zip(edited["value"], edited["target"], strict=True)
    return {
        "values": {str(a): str(b) for a, b in pairs if pd.notna(a) and pd.notna(b)},
        "otherwise": otherwise,
    }


def _learn_values(
    view: editor.EditorView, mapping: str, *, target: Field | None, source: str | None, at: str
) -> None:
    """Keep what the value map's table needs: values with rows, and the target's picklist."""
    if not source or st.session_state.get(f"{at}.facts", ("",))[0] == source:
        return
    found = previews.values(
        visit.bridge(), visit.actor(), view.row.id, mapping=mapping, field=source
    )
    allowed = [value.value for value in target.picklist_values if value.active] if target else []
    st.session_state[f"{at}.facts"] = (source, allowed, {each.value: each.rows for each in found})


PARAMETERS: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "copy": _copy,
    "constant": _constant,
    "values": _values,
    "expression": _expression,
    "convert": _convert,
    "mask": _mask,
}


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
        "If the record is not in the target",
        options,
        index=options.index(now.missing),
        format_func=lambda name: MISSING.get(name, name),
        key=f"{at}.missing",
        on_change=_save_missing,
        args=(view, mapping),
        kwargs={"target": row.target, "key": f"{at}.missing"},
    )


def _save_missing(view: editor.EditorView, mapping: str, *, target: str, key: str) -> None:
    policy = view.plan.mapping(mapping).lookup(target)
    changed = policy.model_copy(update={"missing": st.session_state[key]})
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
    is_changed = {n: v for n, v in wanted.items() if v not in (None, "", {})} != now
    with st.container(horizontal=True):
        if row.target and row.state is not FieldState.SKIPPED:
            st.button(
                "Skip field",
                key="inspect.skip",
                on_click=_act,
                args=(view, partial(editing.skip_field, at=FieldPlace(mapping, row.target))),
            )
        if row.state is FieldState.SKIPPED and row.target:
            st.button(
                "Map again",
                key="inspect.unskip",
                on_click=_act,
                args=(
                    view,
                    partial(editing.unskip_field, at=FieldPlace(mapping, row.target)),
                ),
            )
        if row.target is None or is_changed or row.state is FieldState.UNMAPPED:
            st.button(
                "Save rule",
                type="primary",
                key="inspect.save",
                on_click=_save_rule,
                args=(view, mapping),
                kwargs={"row": row, "target": target, "wanted": wanted},
            )
        elif row.state is not FieldState.REVIEWED and row.target:
            st.button(
                "Accept",
                type="primary",
                icon=":material/check:",
                shortcut="A",
                key="inspect.accept",
                on_click=_accept,
                args=(view, mapping, row.target),
            )


def _save_rule(
    view: editor.EditorView,
    mapping: str,
    *,
    row: FieldRow,
    target: str | None,
    wanted: dict[str, Any],
) -> None:
    """Save what the card shows at the click.

    The arguments are from the run that drew the button; somebody who types and clicks at once is
    ahead of it, so what the widgets hold now goes first.
    """
    at = _place(mapping, row)
    typed = {"from": "source"}
    now = {
        name: st.session_state.get(f"{at}.{typed.get(name, name)}", value)
        for name, value in wanted.items()
        if name != "values"
    }
    chosen = target or st.session_state.get(f"{at}.target")
    if not chosen or now.get("expression") == "" or ("from" in now and not now["from"]):
        st.session_state[state.PROBLEM] = (
            "The rule is not complete.",
            "Nothing was saved.",
            "Choose the fields, or write the expression.",
        )
        return
    _act(view, partial(_with_rule, mapping=mapping, target=chosen, wanted={**wanted, **now}))


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
        st.session_state[state.TOAST] = "Saved."


def _with_rule(plan: Plan, *, mapping: str, target: str, wanted: dict[str, Any]) -> Plan:
    """The plan with a rule as the card spells it; the document's own checks apply."""
    document = plan_document(plan)
    kept = {n: v for n, v in wanted.items() if v is not None or n == "constant"}
    probe = {
        **document,
        "objects": [{"source": "Account", "fields": {target: kept}}],
    }
    from core.domain.plan import plan_from_document

    rule: RuleBase = plan_from_document(probe).objects[0].fields[target]
    return editing.set_rule(plan, FieldPlace(mapping, target), rule)
