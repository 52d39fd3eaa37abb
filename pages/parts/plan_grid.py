"""The field table of the plan editor, and how its edits become saved changes of the plan.

Edits of a data editor are matched by row *position*. Therefore the order of rows is held still
while the same object and filter are shown: a row that was just accepted stays where it is, and a
callback finds the field that was meant. Bulk changes start a fresh table under a new key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from core.domain.plan import CopyRule, ReviewState
from core.errors import OrgbridgeError, UserError
from core.plans import editing
from core.plans.editing import FieldPlace
from core.plans.field_rows import FieldRow, FieldState
from core.services import editor
from pages.parts import boxes, figures, state, tables, visit, words

GRID_HEIGHT = 300
STATES = {
    FieldState.REVIEWED: words.Word("Reviewed", "green", "check"),
    FieldState.AUTO: words.Word("Auto", "blue", "auto_awesome"),
    FieldState.QUESTION: words.Word("Question", "violet", "help"),
    FieldState.REJECTED: words.Word("Rejected", "red", "close"),
    FieldState.UNMAPPED: words.Word("Unmapped", "orange", "link_off"),
    FieldState.SKIPPED: words.Word("Skipped", "gray", "block"),
}
FILTERS = {
    "all": "All",
    "review": "To review",
    "unmapped": "Unmapped",
    "issues": "With issues",
    "reviewed": "Reviewed",
}


def matches(row: FieldRow, shown: str) -> bool:
    """Whether a filter shows a row."""
    return {
        "all": True,
        "review": row.is_open,
        "unmapped": row.state is FieldState.UNMAPPED,
        "issues": bool(row.issue),
        "reviewed": row.state is FieldState.REVIEWED,
    }[shown]


def held_order(
    rows: Sequence[FieldRow], wanted: Sequence[FieldRow], *, place: str
) -> list[FieldRow]:
    """The rows to show, in the order in which this place showed them first.

    ``place`` names object, filter and search; a new place starts with the rows the filter gives.
    """
    held = st.session_state.get(state.GRID_ORDER)
    by_key = {row.key: row for row in rows}
    is_held = held is not None and held["place"] == place and held["keys"]
    if held is None or not is_held or any(key not in by_key for key in held["keys"]):
        turn = 0 if held is None else held["turn"] + 1
        held = {"place": place, "keys": [row.key for row in wanted], "turn": turn}
        st.session_state[state.GRID_ORDER] = held
    return [by_key[key] for key in held["keys"]]


def refresh() -> None:
    """Let the next run start a fresh table, after a change that was not made in it."""
    st.session_state.pop(state.GRID_ORDER, None)
    st.session_state[state.GRID_TURN] = st.session_state.get(state.GRID_TURN, 0) + 1


def draw(
    shown: Sequence[FieldRow], *, plan_id: UUID, mapping: str, targets: dict[str, str], locked: bool
) -> None:
    """The table; every edit saves at once. ``targets``: label by API name of writeable fields."""
    held = st.session_state[state.GRID_ORDER]
    turn = f"{held['turn']}.{st.session_state.get(state.GRID_TURN, 0)}"
    key = f"plan.grid.{mapping}.{turn}"
    st.data_editor(
        frame(shown),
        column_config=columns(targets),
        num_rows="fixed",
        hide_index=True,
        height=GRID_HEIGHT,
        row_height=tables.ROW_HEIGHT,
        placeholder=figures.MISSING,
        disabled=True if locked else ["source", "api", "rule", "match", "state", "issue"],
        key=key,
        on_change=apply_edits,
        kwargs={"key": key, "plan_id": plan_id, "mapping": mapping},
        alt=f"Fields of {mapping}",
    )


def frame(rows: Sequence[FieldRow]) -> pd.DataFrame:
    """Rows as the table shows them."""
    return tables.frame(
        [
            {
                "source": row.source_label or row.source or "—",
                "api": f"{row.source} · {row.source_type}" if row.source else "—",
                "target": row.target,
                "rule": row.rule_words,
                "match": None if row.confidence is None else round(100 * row.confidence),
                "state": [STATES[row.state].label],
                "reviewed": row.state is FieldState.REVIEWED,
                "open": ":material/tune:",
                "issue": row.issue or ("Required" if row.is_required and row.is_open else ""),
            }
            for row in rows
        ],
        ["source", "api", "target", "rule", "match", "state", "reviewed", "open", "issue"],
    )


def columns(targets: dict[str, str]) -> dict[str, Any]:
    """How each column is drawn; one list of targets serves all rows."""
    config = st.column_config
    return {
        "source": config.TextColumn("Source field", pinned=True, width=100),
        "api": config.TextColumn("API name · type", width=128),
        "target": config.SelectboxColumn(
            "Target field",
            options=list(targets),
            format_func=lambda name: targets.get(str(name), str(name)),
            width=130,
        ),
        "rule": config.TextColumn("Rule", width=66),
        "match": tables.share_column("Match", width=66),
        "state": words.pills("State", STATES.values(), width=82),
        "reviewed": config.CheckboxColumn("OK", width=46, help="Reviewed by a person"),
        "open": config.ButtonColumn(
            "", type="tertiary", width=36, key=state.GRID_CLICK, on_click=focus_clicked
        ),
        "issue": config.TextColumn("Issue", width=90),
    }


def focus_clicked() -> None:
    """The button of a row: show it in the inspector."""
    click = st.session_state.get(state.GRID_CLICK)
    held = st.session_state.get(state.GRID_ORDER)
    if click is not None and held is not None and click.row < len(held["keys"]):
        st.session_state[state.FOCUS] = held["keys"][click.row]


def apply_edits(*, key: str, plan_id: UUID, mapping: str) -> None:
    """Save what was edited since the table was drawn; a problem waits for the next run."""
    held = st.session_state[state.GRID_ORDER]
    done: dict[int, dict[str, Any]] = st.session_state.setdefault(f"{key}.done", {})
    for position, edits in st.session_state[key]["edited_rows"].items():
        for column, value in edits.items():
            if done.get(position, {}).get(column, ...) == value:
                continue
            if save(plan_id, change_of(held["keys"][position], column, value, mapping=mapping)):
                done.setdefault(position, {})[column] = value
                st.session_state[state.FOCUS] = held["keys"][position]
                if column == "target":
                    # The row is now known by its new target; the position stays its own.
                    held["keys"][position] = value or held["keys"][position]


def change_of(row_key: str, column: str, value: Any, *, mapping: str) -> editor.Edit:
    """The change of the plan that an edited cell means."""
    at = FieldPlace(mapping, row_key)
    if column == "reviewed":
        review = ReviewState.APPROVED if value else ReviewState.SUGGESTED
        return lambda plan: editing.review(plan, at, review)
    if row_key.startswith("source:"):
        rule = CopyRule.model_validate({"from": row_key.removeprefix("source:")})
        return lambda plan: editing.set_rule(plan, FieldPlace(mapping, str(value)), rule)
    if value is None:
        return lambda plan: editing.unmap(plan, at)
    return lambda plan: editing.move_rule(plan, at, str(value))


def save(plan_id: UUID, change: editor.Edit) -> bool:
    """Save one change under the revision that the person saw; False leaves the problem behind."""
    try:
        saved = editor.edit(
            visit.bridge(),
            visit.actor(),
            plan_id,
            revision=st.session_state[state.REVISION],
            change=change,
        )
    except OrgbridgeError as problem:
        st.session_state[state.PROBLEM] = (problem.happened, problem.state, problem.next_step)
        refresh()
        return False
    st.session_state[state.REVISION] = saved.revision
    if saved.others:
        st.session_state[state.TOAST] = told_of_others(saved.others)
    return True


def problem() -> None:
    """A problem of the last save, shown once."""
    waiting = st.session_state.pop(state.PROBLEM, None)
    if waiting:
        happened, in_state, next_step = waiting
        boxes.error(UserError(happened, state=in_state, next_step=next_step))


def told_of_others(others: Sequence[editor.PlanEdit]) -> str:
    """Who changed what meanwhile, in one sentence."""
    names = sorted({figures.person(each.by) for each in others})
    places = list(dict.fromkeys(p for each in others for p in (each.after or each.before or {})))
    more = f" and {len(places) - 2} more places" if len(places) > 2 else ""
    return (
        f"Saved. {' and '.join(names)} changed {', '.join(places[:2])}{more} meanwhile; "
        "both edits are kept."
    )
