"""Who takes whose place: the owner map of a plan, and the record types of one object."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from core.domain.roles import Role
from core.plans.identity_matching import FoundBy, OrgUser
from core.services import editor, identity_maps
from core.services.identity_maps import OwnerMap, RecordTypeMap
from pages.parts import boxes, figures, plan_grid, state, tables, visit, words
from pages.parts.boxes import escaped

TABLE_HEIGHT = 330
REJECT, RUNNING = "reject", "running_user"
FOUND = {
    FoundBy.USERNAME: words.Word("same username", "green", ""),
    FoundBy.FEDERATION: words.Word("federation id", "green", ""),
    FoundBy.EMAIL: words.Word("e-mail", "green", ""),
    FoundBy.SUFFIX: words.Word("sandbox suffix", "green", ""),
    FoundBy.STEM: words.Word("name before the @", "blue", ""),
    FoundBy.LABEL: words.Word("same label", "blue", ""),
    FoundBy.HAND: words.Word("chosen by hand", "violet", ""),
    FoundBy.NONE: words.Word("not found", "orange", ""),
    FoundBy.SEVERAL: words.Word("several fit", "orange", ""),
}


@st.dialog("Owners and queues", width="large", icon=":material/group:", on_dismiss="rerun")
def dialog(view: editor.EditorView) -> None:
    """Every owner of rows in scope and who stands for them in the target."""
    boxes.acted(_owners, view)


def _owners(view: editor.EditorView) -> None:
    asks = f"Reading owners in {view.plan.source} and the people of {view.plan.target}…"
    with boxes.asking(asks, height=TABLE_HEIGHT):
        asked = (str(visit.actor().workspace_id), view.row.revision)
        found = _cached_owners(asked, str(view.row.id))
    for problem in found.problems:
        boxes.remark(escaped(problem))
    if not found.lines:
        boxes.empty("No owner to map", "No row in scope of this plan has an owner.")
        return
    st.caption(_owner_words(found))
    chosen = _owner_table(found)
    missing = _unmatched(found)
    change = partial(identity_maps.with_owners, chosen=chosen, missing=missing)
    as_found = {
        line.match.source.username: line.match.target.username if line.match.target else None
        for line in found.lines
    }
    _keep(view, change, is_edited=chosen != as_found or missing != _missing_now(found))
    if found.exceptions:
        st.caption(
            f":material/info: {escaped(', '.join(found.exceptions))}: the owner field has a policy "
            "of its own there, which goes before this map."
        )
    if visit.may(Role.ANALYST):
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button("Save owner map", type="primary", key="owners.save"):
                _save(view, change, "The owner map is saved.")


@st.cache_data(ttl="5m", max_entries=16, show_spinner=False)
def _cached_owners(asked: tuple[str, int], plan_id: str) -> OwnerMap:
    return identity_maps.owner_map(visit.bridge(), visit.actor(), UUID(plan_id))


def _owner_words(found: OwnerMap) -> str:
    lost = [line for line in found.lines if line.match.target is None]
    asleep = [line for line in found.lines if line.match.target and not line.match.target.is_active]
    told = [f"{figures.plural(len(found.lines), 'owner')} of rows in scope"]
    if lost:
        rows = figures.count(sum(line.rows for line in lost))
        told.append(f"{len(lost)} without one in the target ({rows} rows)")
    if asleep:
        rows = figures.count(sum(line.rows for line in asleep))
        told.append(
            f"{len(asleep)} inactive in the target ({rows} rows): an insert for them is refused "
            "unless the connected user may set inactive owners"
        )
    return " · ".join(told)


def _owner_table(found: OwnerMap) -> dict[str, str | None]:
    """The table; who was chosen for whom, by username or developer name."""
    labels = {user.username: _label(user) for user in (*found.users, *found.queues)}
    edited = st.data_editor(
        tables.frame(
            [
                {
                    "source": _label(line.match.source),
                    "rows": line.rows,
                    "target": line.match.target.username if line.match.target else None,
                    "found": [FOUND[line.match.found_by].label],
                    "issue": _issue(line),
                }
                for line in found.lines
            ],
            ["source", "rows", "target", "found", "issue"],
        ),
        column_config={
            "source": st.column_config.TextColumn("Owner in the source", pinned=True, width=290),
            "rows": tables.rows_column("Rows", width=65),
            "target": st.column_config.SelectboxColumn(
                "In the target",
                options=list(labels),
                format_func=lambda name: labels.get(name, name),
                width=230,
            ),
            "found": words.pills("Found by", FOUND.values(), width=125),
            "issue": st.column_config.TextColumn("Issue", width=110),
        },
        disabled=["source", "rows", "found", "issue"] if visit.may(Role.ANALYST) else True,
        num_rows="fixed",
        hide_index=True,
        placeholder=figures.MISSING,
        row_height=tables.ROW_HEIGHT,
        height=min(TABLE_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(found.lines) + 2),
        key="owners.table",
        alt="Owners of rows in scope and who stands for them in the target",
    )
    names = [line.match.source.username for line in found.lines]
    return {
        name: None if pd.isna(other) else str(other)
        for name, other in zip(names, edited["target"], strict=True)
    }


def _label(user: OrgUser) -> str:
    return user.username if user.is_active else f"{user.username} (inactive)"


def _issue(line: identity_maps.OwnerLine) -> str:
    if line.match.target is None:
        return "Not in the target"
    if not line.match.target.is_active:
        return "Inactive there"
    return "Queue" if line.is_queue else ""


def _unmatched(found: OwnerMap) -> str:
    """What becomes of rows whose owner has nobody in the target."""
    ids = {user.user_id: user.username for user in found.users if user.is_active}
    options = [REJECT, RUNNING, *ids]
    now = _missing_now(found)
    told = {REJECT: "Hold the rows back and report them", RUNNING: "Become the connected user"}
    chosen = st.selectbox(
        "Rows whose owner is not in the target",
        options,
        index=options.index(now),
        format_func=lambda each: told.get(each) or f"Become {ids[each]}",
        key="owners.missing",
    )
    return chosen or now


def _missing_now(found: OwnerMap) -> str:
    """What the plan says of owners without one in the target, if that can be chosen."""
    ids = {user.user_id for user in found.users if user.is_active}
    return found.policy.missing if found.policy.missing in {RUNNING, *ids} else REJECT


@st.dialog("Record types", width="medium", icon=":material/category:", on_dismiss="rerun")
def record_types_dialog(view: editor.EditorView, mapping: str) -> None:
    """Every record type of the source object and the one it becomes."""
    boxes.acted(_record_types, view, mapping)


def _record_types(view: editor.EditorView, mapping: str) -> None:
    asks = f"Reading the record types of {words.named_orgs(view.row)}…"
    with boxes.asking(asks, height=TABLE_HEIGHT // 2):
        asked = (str(visit.actor().workspace_id), view.row.revision)
        found = _cached_types(asked, str(view.row.id), mapping)
    if not found.lines:
        boxes.empty("No record types", f"{view.plan.mapping(mapping).source} has none.")
        return
    if not found.choices:
        boxes.empty("The target has no record types", "Rows arrive without one.")
        return
    chosen = _type_table(found)
    options = [REJECT, "blank"]
    now = found.policy.missing if found.policy.missing in options else REJECT
    missing = st.selectbox(
        "Rows of a record type without an entry",
        options,
        index=options.index(now),
        format_func={REJECT: "Hold the rows back", "blank": "Get the user's default type"}.get,
        key="types.missing",
    )
    change = partial(
        identity_maps.with_record_types, mapping=mapping, chosen=chosen, missing=missing or now
    )
    as_found = {line.developer_name: line.target for line in found.lines}
    _keep(view, change, is_edited=dict(chosen) != as_found or missing != now)
    if visit.may(Role.ANALYST):
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button("Save record types", type="primary", key="types.save"):
                _save(view, change, "The record types are saved.")


@st.cache_data(ttl="5m", max_entries=16, show_spinner=False)
def _cached_types(asked: tuple[str, int], plan_id: str, mapping: str) -> RecordTypeMap:
    found = identity_maps.record_type_map(
        visit.bridge(), visit.actor(), UUID(plan_id), mapping=mapping
    )
    return found


def _type_table(found: RecordTypeMap) -> Mapping[str, str | None]:
    labels = {each.developer_name: each.name or each.developer_name for each in found.choices}
    edited = st.data_editor(
        tables.frame(
            [
                {"source": line.label, "rows": line.rows, "target": line.target}
                for line in found.lines
            ],
            ["source", "rows", "target"],
        ),
        column_config={
            "source": st.column_config.TextColumn("Record type in the source", width=220),
            "rows": tables.rows_column("Rows", width=80),
            "target": st.column_config.SelectboxColumn(
                "Becomes",
                options=list(labels),
                format_func=lambda name: labels.get(name, name),
                width=220,
            ),
        },
        disabled=["source", "rows"] if visit.may(Role.ANALYST) else True,
        num_rows="fixed",
        hide_index=True,
        placeholder=figures.MISSING,
        row_height=tables.ROW_HEIGHT,
        key="types.table",
        alt="Record types of the source and what they become",
    )
    names = [line.developer_name for line in found.lines]
    return {
        name: None if pd.isna(other) else str(other)
        for name, other in zip(names, edited["target"], strict=True)
    }


def _keep(view: editor.EditorView, change: Any, *, is_edited: bool) -> None:
    """Save what was chosen so far: a reload or a closed dialog loses nothing."""
    if is_edited and visit.may(Role.ANALYST) and plan_grid.save(view.row.id, change):
        st.caption(":green[:material/check:] Saved as you choose.")
    plan_grid.problem()


def _save(view: editor.EditorView, change: Any, told: str) -> None:
    if plan_grid.save(view.row.id, change):
        st.session_state.setdefault(state.TOAST, told)
    plan_grid.refresh()
    st.rerun()
