"""Versions of a plan: who cut which and when, what differs between any two, and restore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.domain.roles import Role
from core.plans.compare import PlanChange
from core.services import plans
from pages.parts import boxes, export, figures, plan_grid, state, tables, visit

DRAFT = 0
CHANGES_HEIGHT = 300
CUT_FOR = {
    "name": "kept by name",
    "launch": "launch",
    "approval": "approval",
    "restore": "before a restore",
}
COLUMNS = {
    "number": st.column_config.TextColumn("Version", width=75),
    "label": st.column_config.TextColumn("Label", width=190),
    "cut_for": st.column_config.TextColumn("Cut for", width=120),
    "by": st.column_config.TextColumn("By", width=190),
    "at": tables.time_column("When", width=170),
}
CHANGE_COLUMNS = {
    "place": st.column_config.TextColumn("Place", pinned=True, width=230),
    "kind": st.column_config.TextColumn("Change", width=80),
    "before": st.column_config.TextColumn("Before", width=220),
    "after": st.column_config.TextColumn("After", width=220),
}


@st.dialog("Versions", width="large", icon=":material/history:")
def dialog(row: plans.PlanRow) -> None:
    """Keep the draft as a version, compare any two, restore one."""
    found = plans.versions(visit.bridge(), visit.actor(), row.id)
    if visit.may(Role.ANALYST):
        _keep(row)
    if not found:
        boxes.empty("No version yet", "A launch, an approval or a name above cuts one.")
        return
    tables.show(
        tables.frame(
            [
                {
                    "number": f"v{each.number}",
                    "label": each.label or "",
                    "cut_for": CUT_FOR.get(each.cut_for, each.cut_for),
                    "by": each.created_by,
                    "at": each.created_at,
                }
                for each in found
            ],
            list(COLUMNS),
        ),
        COLUMNS,
        key="history.table",
        alt="Versions, the newest first",
        height=min(220, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(found) + 2),
    )
    _compare(row, [each.number for each in found])


def _keep(row: plans.PlanRow) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.text_input(
            "Keep the draft as a version named",
            key="history.label",
            placeholder="Before go-live",
            live=True,
        )
        is_named = bool((label or "").strip())
        if st.button("Keep version", key="history.cut", disabled=not is_named) and boxes.acted(
            plans.cut_version, visit.bridge(), visit.actor(), row.id, label=label
        ):
            st.rerun(scope="fragment")


def _compare(row: plans.PlanRow, numbers: list[int]) -> None:
    """What differs from one to another; the draft counts as the newest."""
    left, right = st.columns(2)
    old = left.selectbox("Compare", numbers, format_func=_name, key="history.old")
    new = right.selectbox("with", [DRAFT, *numbers], format_func=_name, key="history.new")
    if old is None or new is None:
        return
    changes = plans.compare_versions(
        visit.bridge(), visit.actor(), row.id, old=old, new=None if new == DRAFT else new
    )
    if not changes:
        st.caption(f"{_name(old)} and {_name(new)} say the same.")
        return
    data = tables.frame([_change(each) for each in changes], list(CHANGE_COLUMNS))
    tables.show(
        data,
        CHANGE_COLUMNS,
        key=f"history.changes.{old}.{new}",
        alt=f"What differs from {_name(old)} to {_name(new)}",
        height=min(CHANGES_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(data) + 2),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(figures.plural(len(changes), "change"), width="stretch")
        export.button(
            "plan-changes",
            lambda: export.csv_bytes(list(data.columns), data.itertuples(index=False)),
            key="history.csv",
        )
        if visit.may(Role.ANALYST) and st.button(
            f"Restore {_name(old)}",
            key="history.restore",
            help="The draft becomes this version again; the draft as it is now is kept as one",
        ):
            _restore(row, old)


def _restore(row: plans.PlanRow, number: int) -> None:
    if boxes.acted(plans.restore, visit.bridge(), visit.actor(), row.id, number=number):
        plan_grid.refresh()
        st.session_state[state.TOAST] = f"The draft is v{number} again; the former draft is kept."
        st.rerun()


def _name(number: int) -> str:
    return "the draft" if number == DRAFT else f"v{number}"


def _change(each: PlanChange) -> dict[str, Any]:
    kind = "added" if each.before is None else "removed" if each.after is None else "changed"
    return {
        "place": each.place,
        "kind": kind,
        "before": _plain(each.before),
        "after": _plain(each.after),
    }


def _plain(value: object) -> str:
    """A value of a plan file in one line, as it would stand there.

    >>> _plain({"expression": "upper(Phone)"}), _plain(["A", "B"]), _plain(None)
    ('expression: upper(Phone)', 'A, B', '')
    """
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(part) for part in value)
    return str(value)
