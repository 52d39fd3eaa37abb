"""Test rows of one object: a source row and what it must become; run on the saved rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

import pandas as pd
import streamlit as st

from core.domain.plan import RowTest
from core.domain.roles import Role
from core.services import editor, previews, row_testing
from core.services.previews import Pick, Preview
from core.services.row_testing import RowTestResult
from pages.parts import boxes, figures, plan_grid, state, tables, visit, words

SHOWN_PAIRS = 3
PASSED, FAILED = words.Word("Passed", "green", "check"), words.Word("Failed", "red", "close")
COLUMNS = {
    "number": st.column_config.NumberColumn("Test", width=50),
    "given": st.column_config.TextColumn("Source row", width=230),
    "expected": st.column_config.TextColumn("Must become", width=230),
    "result": words.pills("Result", [PASSED, FAILED], width=80),
    "why": st.column_config.TextColumn("Why", width=230),
}


@st.dialog("Test rows", width="large", icon=":material/fact_check:", on_dismiss="rerun")
def dialog(view: editor.EditorView, mapping: str) -> None:
    """All tests with their result; one of them can be changed; a real row can become one."""
    boxes.acted(_draw, view, mapping)


def _draw(view: editor.EditorView, mapping: str) -> None:
    tests = _now(view, mapping)
    found = row_testing.results(visit.bridge(), visit.actor(), view.row.id, mapping=mapping)
    failed = {each.number for each in found if not each.passed}
    if tests:
        badge = FAILED if failed else PASSED
        st.markdown(
            f":{badge.color}-badge[:material/{badge.icon}: {len(tests) - len(failed)} of "
            f"{len(tests)} pass] :gray[they run with every validation]"
        )
        position = tables.picked(_table(tests, found))
    else:
        boxes.empty(
            "No test row yet",
            "A source row and what it must become. It runs with every validation, so that a later "
            "change of a rule cannot break it unseen.",
            icon=":material/fact_check:",
        )
        position = None
    if not visit.may(Role.ANALYST):
        return
    _take_over(view, mapping, tests)
    _form(view, mapping, tests, position=position)


def _now(view: editor.EditorView, mapping: str) -> tuple[RowTest, ...]:
    """The tests as they are saved; the dialog saves while it is open."""
    return editor.as_launched(visit.bridge(), visit.actor(), view.row.id, mapping=mapping).tests


def _table(tests: Sequence[RowTest], found: Sequence[RowTestResult]) -> object:
    wrong: dict[int, str] = {}
    for each in found:
        if not each.passed:
            wrong.setdefault(each.number, each.sentence)
    rows = [
        {
            "number": number,
            "given": _pairs(test.given),
            "expected": _pairs(test.expected),
            "result": [FAILED.label if number in wrong else PASSED.label],
            "why": wrong.get(number, ""),
        }
        for number, test in enumerate(tests, start=1)
    ]
    return tables.show(
        tables.frame(rows, list(COLUMNS)),
        COLUMNS,
        key=f"tests.table.{len(tests)}",
        alt="Test rows with their result",
        on_select="rerun",
        selection_mode="single-row",
        height=min(220, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(rows) + 2),
    )


def _pairs(values: Mapping[str, str | None]) -> str:
    """Some values in few words."""
    told = [f"{name} = {value or '∅'}" for name, value in values.items()]
    more = f" … {len(told) - SHOWN_PAIRS} more" if len(told) > SHOWN_PAIRS else ""
    return ", ".join(told[:SHOWN_PAIRS]) + more


def _take_over(view: editor.EditorView, mapping: str, tests: Sequence[RowTest]) -> None:
    """A real row as a test: as it comes out now, so it has to stay."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        asked = (str(visit.actor().workspace_id), view.row.revision)
        found = _cached_rows(asked, str(view.row.id), mapping)
        at = st.selectbox(
            "A real row as a test",
            range(len(found.rows)),
            index=None,
            format_func=lambda number: _row_words(found, number),
            placeholder="Choose one of the first rows of the source",
            key="tests.real",
        )
        if st.button("Add it", icon=":material/add:", key="tests.add", disabled=at is None):
            row = found.rows[int(at or 0)]
            taken = row_testing.row_as_test(row.before, row.after)
            _save(view, mapping, [*tests, taken], "The row is a test now.")


@st.cache_data(ttl="2m", max_entries=16, show_spinner=False)
def _cached_rows(asked: tuple[str, int], plan_id: str, mapping: str) -> Preview:
    return previews.preview(
        visit.bridge(), visit.actor(), UUID(plan_id), mapping=mapping, pick=Pick.FIRST, rows=20
    )


def _row_words(found: Preview, number: int) -> str:
    row = found.rows[number]
    named = row.before.get("Name") or row.before.get("LastName") or row.before.get("Subject") or ""
    return f"{figures.short_id(row.source_id)} {named} · {row.verdict}"


def _form(
    view: editor.EditorView, mapping: str, tests: Sequence[RowTest], *, position: int | None
) -> None:
    """Both sides of the picked test, or of a new one, value by value."""
    is_picked = position is not None and position < len(tests)
    at = position if position is not None and is_picked else _growing_at(view, tests)
    key = f"tests.{at if is_picked else 'new'}.{view.row.revision}"
    test = st.session_state.setdefault(f"{key}.base", tests[at] if is_picked else None)
    st.markdown(f"**Test {at + 1}**" if is_picked else "**New test**")
    sides = editor.sides(visit.bridge(), visit.actor(), view.row.id, mapping=mapping)
    targets = [field.name for field in sides.target.fields.values() if field.is_writeable]
    left, right = st.columns(2)
    with left:
        given = _values(
            "Source field", list(sides.source.fields), test.given if test else {}, f"{key}.in"
        )
    with right:
        expected = _values("Target field", targets, test.expected if test else {}, f"{key}.out")
    kept = [*tests[:at], _made(given, expected), *tests[at + 1 :]]
    if expected:
        _keep(view, mapping, kept, was=tests)
    if is_picked:
        st.session_state.pop(state.GROWING_TEST, None)
    else:
        st.session_state[state.GROWING_TEST] = {"revision": view.row.revision, "at": at}
    with st.container(horizontal=True, horizontal_alignment="right"):
        if is_picked and st.button("Delete test", key="tests.delete"):
            _save(view, mapping, [*tests[:at], *tests[at + 1 :]], "The test is gone.")
        if st.button("Save test", type="primary", key="tests.save", disabled=not expected):
            _save(view, mapping, kept, "The test is saved.")


def _growing_at(view: editor.EditorView, tests: Sequence[RowTest]) -> int:
    """Where the new test of this dialog is kept; it is saved as soon as it says something."""
    held = st.session_state.get(state.GROWING_TEST)
    is_this = held is not None and held["revision"] == view.row.revision
    return min(held["at"], len(tests)) if held is not None and is_this else len(tests)


def _made(given: Mapping[str, str | None], expected: Mapping[str, str | None]) -> RowTest:
    return RowTest(given=dict(given), expected=dict(expected))


def _keep(
    view: editor.EditorView, mapping: str, tests: Sequence[RowTest], *, was: Sequence[RowTest]
) -> None:
    """Save a test as far as it is changed: a reload or a closed dialog loses nothing."""
    if tuple(tests) != tuple(was):
        change = partial(row_testing.with_tests, mapping=mapping, tests=tests)
        if plan_grid.save(view.row.id, change):
            st.caption(":green[:material/check:] Saved as you type.")
    plan_grid.problem()


def _values(
    label: str, options: Sequence[str], now: Mapping[str, str | None], key: str
) -> dict[str, str | None]:
    edited = st.data_editor(
        pd.DataFrame({"field": list(now), "value": [value or "" for value in now.values()]}).astype(
            "string"
        ),
        column_config={
            "field": st.column_config.SelectboxColumn(
                label, options=sorted({*options, *now}), width=180
            ),
            "value": st.column_config.TextColumn("Value (empty is blank)", width=180),
        },
        num_rows="dynamic",
        hide_index=True,
        row_height=tables.ROW_HEIGHT,
        height=min(250, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * (len(now) + 2)),
        key=key,
        alt=f"{label}s of the test with their values",
    )
    return {
        str(field): None if pd.isna(value) or value == "" else str(value)
        for field, value in zip(edited["field"], edited["value"], strict=True)
        if not pd.isna(field) and field
    }


def _save(view: editor.EditorView, mapping: str, tests: Sequence[RowTest], told: str) -> None:
    change = partial(row_testing.with_tests, mapping=mapping, tests=tests)
    if plan_grid.save(view.row.id, change):
        st.session_state.setdefault(state.TOAST, told)
    plan_grid.refresh()
    st.rerun()
