"""The value map of one field: what the source holds, with rows, and what becomes of each value.

The target's picklist, or its list of countries or states, is offered where there is one. Every edit
is saved by the caller's callback; what is typed stands in the session under the field's own keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.describe import SObject
from core.plans.value_lists import ListedValue, likely_values, listed_values
from core.services import editor, previews
from pages.parts import boxes, figures, tables, visit

TABLE_HEIGHT = 220
OTHERWISE = {
    "keep": "Stay as they are",
    "blank": "Become blank",
    "reject": "Reject the row",
}


def learn(
    view: editor.EditorView, mapping: str, *, target: SObject, field: str, source: str, at: str
) -> None:
    """Keep what the table needs for this field: values with rows, and what the target takes."""
    held = st.session_state.get(f"{at}.facts")
    if held is not None and (held["source"], held["field"]) == (source, field):
        return
    found = previews.values(
        visit.bridge(), visit.actor(), view.row.id, mapping=mapping, field=source
    )
    st.session_state[f"{at}.facts"] = {
        "source": source,
        "field": field,
        "listed": {each.value: each.label for each in listed_values(target, field)},
        "rows": {each.value: each.rows for each in found},
    }


def draw(rule: Mapping[str, Any], at: str, on_change: Callable[[], None]) -> dict[str, Any]:
    """The table and what happens to values without an entry; the rule's keys as they stand now."""
    known: dict[str, str | None] = dict(rule.get("values", {}))
    facts = st.session_state.get(f"{at}.facts") or {"source": "", "listed": {}, "rows": {}}
    counted, listed = facts["rows"], facts["listed"]
    shown = [*counted, *(value for value in known if value not in counted)]
    st.session_state[f"{at}.shown"] = shown
    st.session_state[f"{at}.known"] = known
    edited = _table(shown, known, facts=facts, key=table_key(at), on_change=on_change)
    now = str(rule.get("otherwise", "keep"))
    if now == "keep":
        _foot(shown, known, facts=facts, at=at, on_change=on_change)
    keys = list(OTHERWISE)
    options = keys if now in keys else [*keys, now]
    otherwise = st.selectbox(
        "Values without an entry",
        options + [value for value in listed if value not in options],
        index=options.index(now),
        format_func=lambda name: OTHERWISE.get(name) or f"Become {listed.get(name) or name}",
        key=f"{at}.otherwise",
        on_change=on_change,
    )
    pairs = zip(edited["value"], edited["target"], strict=True)
    values = {str(a): str(b) for a, b in pairs if pd.notna(a) and a != "" and pd.notna(b)}
    return {"values": values, "otherwise": otherwise}


def table_key(at: str) -> str:
    """The table's key; another source field, or a filled-in map, starts a fresh table."""
    facts = st.session_state.get(f"{at}.facts") or {"source": ""}
    return f"{at}.values.{facts['source']}.{st.session_state.get(f'{at}.turn', 0)}"


def values_now(at: str) -> dict[str, str]:
    """The map as it stands in the browser, for callbacks, which run before the table is drawn."""
    values = {name: other for name, other in st.session_state[f"{at}.known"].items() if other}
    shown: list[str] = st.session_state[f"{at}.shown"]
    state = st.session_state.get(table_key(at)) or {}
    filled = st.session_state.pop(f"{at}.likely", None)
    for position, cells in state.get("edited_rows", {}).items():
        name = cells.get("value", shown[int(position)])
        values.pop(shown[int(position)], None)
        _set(values, name, cells.get("target", st.session_state[f"{at}.known"].get(name)))
    for cells in state.get("added_rows", []):
        _set(values, cells.get("value"), cells.get("target"))
    for position in state.get("deleted_rows", []):
        values.pop(shown[int(position)], None)
    return {**values, **(filled or {})}


def _set(values: dict[str, str], name: str | None, other: str | None) -> None:
    if name and other:
        values[name] = other
    elif name:
        values.pop(name, None)


def _table(
    shown: list[str],
    known: Mapping[str, str | None],
    *,
    facts: Mapping[str, Any],
    key: str,
    on_change: Callable[[], None],
) -> pd.DataFrame:
    counted, listed = facts["rows"], facts["listed"]
    frame = pd.DataFrame(
        {
            "value": shown,
            "rows": [counted.get(value) for value in shown],
            "target": [known.get(value) for value in shown],
        }
    ).astype({"value": "string", "rows": "Int64", "target": "string"})
    lines = len(shown) if counted else len(shown) + 2
    options = list(dict.fromkeys([*listed, *(other for other in known.values() if other)]))
    becomes = (
        st.column_config.SelectboxColumn(
            "Becomes",
            options=options,
            format_func=lambda value: _listed_words(listed, value),
            width=130,
        )
        if listed
        else st.column_config.TextColumn("Becomes", width=130)
    )
    return st.data_editor(
        frame,
        column_config={
            "value": st.column_config.TextColumn("Source value", width=130),
            "rows": st.column_config.NumberColumn("Rows", format="localized", width=60),
            "target": becomes,
        },
        disabled=["value", "rows"] if counted else ["rows"],
        num_rows="fixed" if counted else "dynamic",
        hide_index=True,
        placeholder=figures.MISSING,
        row_height=tables.ROW_HEIGHT,
        key=key,
        height=min(TABLE_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * lines + 2),
        on_change=on_change,
        alt="Source values and what becomes of them",
    )


def _listed_words(listed: Mapping[str, str], value: str) -> str:
    label = listed.get(value, value)
    return value if label == value else f"{label} ({value})"


def _foot(
    shown: list[str],
    known: Mapping[str, str | None],
    *,
    facts: Mapping[str, Any],
    at: str,
    on_change: Callable[[], None],
) -> None:
    """What the target does not list, and the button that fills in what is beyond doubt."""
    listed: dict[str, str] = facts["listed"]
    if not listed:
        return
    lost = [v for v in shown if (known.get(v) or v) not in listed]
    rows = sum(facts["rows"].get(value, 0) for value in lost)
    likely = likely_values(
        [value for value in lost if not known.get(value)],
        [ListedValue(value, label) for value, label in listed.items()],
    )
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        if lost:
            told = f"{figures.plural(len(lost), 'value')} not in the target's list"
            boxes.remark(f"{told} ({figures.plural(rows, 'row')})", width="stretch")
        else:
            done = "Every value is in the target's list"
            boxes.remark(done, icon="check", color="green", width="stretch")
        if likely:
            st.button(
                f"Fill in {len(likely)}",
                type="tertiary",
                icon=":material/auto_fix_high:",
                key=f"{at}.fill",
                help="Values that the target lists by label or in another case",
                on_click=_fill,
                args=(at, likely, on_change),
            )


def _fill(at: str, likely: dict[str, str], on_change: Callable[[], None]) -> None:
    st.session_state[f"{at}.likely"] = likely
    on_change()
    st.session_state[f"{at}.turn"] = st.session_state.get(f"{at}.turn", 0) + 1
