"""What each kind of rule asks for in the inspector, and the rule that the widgets say together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import available_timezones

import streamlit as st

from core.domain.plan import Convert, Mask
from pages.parts import plan_values

KINDS = {
    "copy": "Copy",
    "constant": "Constant",
    "values": "Value map",
    "expression": "Expression",
    "convert": "Convert",
    "mask": "Mask",
    "ids": "Rewrite ids",
}
WITHOUT_SOURCE = frozenset({"constant", "expression"})
WRITES = {
    "always": "On insert and update",
    "insert_only": "On insert only",
    "if_blank": "Where the target is blank",
}
_ZONED = frozenset({Convert.TO_DATE, Convert.TO_DATETIME, Convert.PARSE_DATETIME})
_FORMATTED = frozenset({Convert.PARSE_DATE, Convert.PARSE_DATETIME})
#: parameters of a rule and the end of the key under which their widget stands
_PARTS = {
    "copy": ("from",),
    "constant": ("constant",),
    "values": ("from", "otherwise"),
    "expression": ("expression",),
    "convert": ("from", "convert", "zone", "format", "days"),
    "mask": ("from", "mask"),
    "ids": ("from",),
}
Changed = Callable[[], None]


def kind_of(rule: Mapping[str, Any]) -> str:
    """The kind of a rule as a plan file spells it."""
    return next((kind for kind in KINDS if kind != "copy" and kind in rule), "copy")


def parameters(
    kind: str, rule: Mapping[str, Any], at: str, *, on_change: Changed
) -> dict[str, Any]:
    """Draw what this kind asks for beside the source field; its keys as they stand now."""
    draws: dict[str, Callable[[Mapping[str, Any], str, Changed], dict[str, Any]]] = {
        "copy": lambda _rule, _at, _changed: {},
        "constant": _constant,
        "values": plan_values.draw,
        "expression": _expression,
        "convert": _convert,
        "mask": _mask,
        "ids": lambda _rule, _at, _changed: {"ids": "rewrite"},
    }
    return draws[kind](rule, at, on_change)


def typed(kind: str, at: str) -> dict[str, Any]:
    """The rule as the widgets hold it at a click or a change: ahead of what was drawn."""
    found = {
        name: st.session_state[f"{at}.{name}"]
        for name in _PARTS[kind]
        if f"{at}.{name}" in st.session_state
    }
    if kind == "values" and f"{at}.shown" in st.session_state:
        found["values"] = plan_values.values_now(at)
    if kind == "ids":
        found["ids"] = "rewrite"
    if kind == "constant":
        found["constant"] = found.get("constant") or None
    return {name: value for name, value in found.items() if value is not None or name == "constant"}


def is_complete(kind: str, rule: Mapping[str, Any]) -> bool:
    """Whether the widgets say a whole rule, so that it can be saved without a click."""
    if kind not in WITHOUT_SOURCE and not rule.get("from"):
        return False
    needs = {"constant": "constant", "expression": "expression", "mask": "mask"}
    needs |= {"values": "values", "convert": "convert"}
    says_rest = kind == "values" and rule.get("otherwise", "keep") != "keep"
    if kind in needs and not rule.get(needs[kind]) and not says_rest:
        return False
    return not (rule.get("convert") in _FORMATTED and not rule.get("format"))


def _constant(rule: Mapping[str, Any], at: str, on_change: Changed) -> dict[str, Any]:
    given = st.text_input(
        "Value", value=rule.get("constant") or "", key=f"{at}.constant", on_change=on_change
    )
    return {"constant": given or None}


def _expression(rule: Mapping[str, Any], at: str, on_change: Changed) -> dict[str, Any]:
    given = st.text_area(
        "Expression over the source row (SQL)",
        value=rule.get("expression", ""),
        key=f"{at}.expression",
        height=70,
        placeholder="upper(Name) || ' (moved)'",
        on_change=on_change,
    )
    return {"expression": (given or "").strip()}


def _mask(rule: Mapping[str, Any], at: str, on_change: Changed) -> dict[str, Any]:
    names = [mask.value for mask in Mask]
    index = names.index(rule["mask"]) if rule.get("mask") in names else 0
    chosen = st.selectbox("Mask", names, index=index, key=f"{at}.mask", on_change=on_change)
    return {"mask": chosen}


def _convert(rule: Mapping[str, Any], at: str, on_change: Changed) -> dict[str, Any]:
    names = [each.value for each in Convert]
    index = names.index(rule["convert"]) if rule.get("convert") in names else 0
    chosen = st.selectbox(
        "Convert",
        names,
        index=index,
        format_func=lambda name: name.replace("_", " "),
        key=f"{at}.convert",
        on_change=on_change,
    )
    found: dict[str, Any] = {"convert": chosen}
    if chosen in _FORMATTED:
        text = st.text_input(
            "Format of the text",
            value=rule.get("format") or "",
            key=f"{at}.format",
            placeholder="%d.%m.%Y",
            on_change=on_change,
        )
        found["format"] = text or None
    if chosen in _ZONED:
        zones = sorted(available_timezones())
        now = zones.index(rule.get("zone", "UTC"))
        found["zone"] = st.selectbox(
            "Time zone", zones, index=now, key=f"{at}.zone", on_change=on_change
        )
    if chosen == Convert.SHIFT_DAYS:
        found["days"] = st.number_input(
            "Days", value=int(rule.get("days", 0)), key=f"{at}.days", on_change=on_change
        )
    return found
