"""What one does to a whole plan: make, import, copy, export, versions, compare, restore, delete."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import streamlit as st

from core.domain.plan import Plan
from core.errors import OrgbridgeError
from core.plans import editing
from core.services import editor, orgs, plan_start, plans
from pages import registry
from pages.parts import (
    boxes,
    confirm,
    figures,
    plan_grid,
    plan_import,
    plan_owners,
    plan_versions,
    state,
    visit,
    words,
)
from pages.parts.boxes import escaped

AUTO, OTHER, FILE = "Auto-map by name", "Another plan", "Plan file"
OWNERS, EXPORT, COPY, HISTORY, RENAME, DELETE = (
    "Owners and queues…",
    "Export plan file…",
    "Duplicate…",
    "Versions…",
    "Rename…",
    "Delete…",
)


def buttons(view: editor.EditorView) -> bool:
    """The frame's buttons of a plan; whether fields are to be matched, which says what it does
    below the frame."""
    matches = st.button(
        "Auto-map",
        icon=":material/auto_awesome:",
        key="plan.automap",
        help="Suggests a rule for every field that nobody has reviewed; reviewed ones stay",
    )
    chosen = st.menu_button(
        "More",
        [OWNERS, HISTORY, EXPORT, COPY, RENAME, DELETE],
        key="plan.more",
        icon=":material/more_horiz:",
    )
    dialogs = {
        EXPORT: export_dialog,
        HISTORY: plan_versions.dialog,
        COPY: copy_dialog,
        RENAME: rename_dialog,
        DELETE: delete_dialog,
    }
    if chosen == OWNERS:
        plan_owners.dialog(view)
    elif chosen is not None:
        dialogs[chosen](view.row)
    return matches


def new_plan() -> None:
    """Open the dialog afresh: without the report of an import that was looked at."""
    plan_import.forget()
    new_dialog()


@st.dialog("New plan", width="medium", icon=":material/conversion_path:")
def new_dialog() -> None:
    """From the names of two orgs and a first object, or from a plan file."""
    if plan_import.told():
        return
    cards = orgs.orgs(visit.bridge(), visit.actor())
    if len(cards) < 2:
        boxes.empty("Connect two orgs first", "A plan needs a source and a target.")
        if st.button("Open orgs", type="primary", key="new.orgs"):
            registry.go("orgs")
        return
    start = st.segmented_control(
        "Start from", [AUTO, OTHER, FILE], default=AUTO, required=True, key="new.start"
    )
    names = [card.name for card in cards]
    if start == FILE:
        plan_import.form(names)
        return
    if start == OTHER:
        _from_plan(names)
        return
    name = st.text_input("Name", key="new.name", autocomplete="off", placeholder="Sales core")
    source = st.selectbox("Source", names, key="new.source")
    target = st.selectbox("Target", [each for each in names if each != source], key="new.target")
    objects = st.text_input(
        "Objects",
        value="Account, Contact",
        key="new.object",
        autocomplete="off",
        help="API names, separated by commas; more are added in the editor.",
    )
    owners = st.toggle(
        "Owners whom the target does not know become the connected user",
        value=True,
        key="new.owners",
        help="Otherwise rows of such owners are held back until you map the owner.",
    )
    if st.button("Create plan", type="primary", key="new.act"):
        objects_named = (objects or "").split(",")
        make = partial(_create, name or "", objects_named, source=source, target=target)
        _open(partial(make, adopts_owners=owners))


def _create(
    name: str, objects: list[str], *, source: str, target: str, adopts_owners: bool
) -> UUID:
    document = plan_start.document(
        name, objects, source=source, target=target, adopts_owners=adopts_owners
    )
    return plan_start.start(visit.bridge(), visit.actor(), document)


def _from_plan(names: list[str]) -> None:
    """The draft of another plan under a new name, for the same orgs or for others."""
    found = plans.plans(visit.bridge(), visit.actor())
    if not found:
        boxes.empty("No plan yet", "There is none to start from.")
        return
    row = st.selectbox("Plan", found, format_func=lambda each: each.name, key="new.other")
    name = st.text_input(
        "Name", value=f"{row.name} copy", key=f"new.other_name.{row.id}", autocomplete="off"
    )
    left, right = st.columns(2)
    source = left.selectbox(
        "Source", names, index=_at(names, row.source_org), key=f"new.other_source.{row.id}"
    )
    target = right.selectbox(
        "Target", names, index=_at(names, row.target_org), key=f"new.other_target.{row.id}"
    )
    if st.button("Create plan", type="primary", key="new.copy"):
        _open(
            partial(
                plans.copy,
                visit.bridge(),
                visit.actor(),
                row.id,
                name=(name or "").strip(),
                source=source,
                target=target,
            )
        )


def _at(names: list[str], name: str | None) -> int:
    return names.index(name) if name in names else 0


def _open(make: partial[UUID]) -> None:
    try:
        plan_id = make()
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    plan_grid.refresh()
    registry.go("plans", plan=str(plan_id))


def auto_map(row: plans.PlanRow) -> None:
    """Suggest rules for all objects; what people reviewed stays."""
    with boxes.asking(f"Matching the fields of {words.named_orgs(row)}…", height=60):
        made = suggested(row.id, row.revision)
    if made is not None:
        plan_grid.refresh()
        st.session_state[state.TOAST] = (
            f"{figures.plural(made, 'field')} matched; review what is open."
            if made
            else "Nothing new to match."
        )
        st.rerun()


def suggested(plan_id: UUID, revision: int) -> int | None:
    """How many suggestions were added; None when a problem was drawn."""
    try:
        return editor.suggest(visit.bridge(), visit.actor(), plan_id, revision=revision).added
    except OrgbridgeError as problem:
        boxes.error(problem)
        return None


def accept_sure(view: editor.EditorView, mapping: str, at_least: float) -> None:
    """Approve every suggestion that is sure enough."""
    if plan_grid.save(view.row.id, partial(_accept, mapping=mapping, at_least=at_least)):
        plan_grid.refresh()
        st.session_state[state.TOAST] = "Suggestions accepted."
    st.rerun()


def _accept(plan: Plan, *, mapping: str, at_least: float) -> Plan:
    return editing.accept_at_least(plan, at_least, mapping=mapping)


@st.dialog("Export plan file", icon=":material/download:")
def export_dialog(row: plans.PlanRow) -> None:
    """The draft as a file that the terminal and another workspace can read."""
    st.caption("The draft as YAML: maps, review states and test cases included, no secret.")
    st.download_button(
        "Download",
        data=visit.kept(
            lambda: plans.export(visit.bridge(), visit.actor(), name=row.name).encode()
        ),
        file_name=f"{row.name}.yaml",
        mime="application/yaml",
        on_click="ignore",
        type="primary",
        key="export.file",
    )


@st.dialog("Duplicate plan", icon=":material/content_copy:")
def copy_dialog(row: plans.PlanRow) -> None:
    """A new plan with this draft."""
    name = st.text_input("Name", value=f"{row.name} copy", key="copy.name", autocomplete="off")
    if st.button("Duplicate", type="primary", key="copy.act"):
        _open(partial(plans.copy, visit.bridge(), visit.actor(), row.id, name=(name or "").strip()))


@st.dialog("Rename plan", icon=":material/edit:")
def rename_dialog(row: plans.PlanRow) -> None:
    """Versions and runs keep theirs."""
    name = st.text_input("Name", value=row.name, key="rename.name", autocomplete="off")
    if st.button("Rename", type="primary", key="rename.act") and boxes.acted(
        plans.rename, visit.bridge(), visit.actor(), row.id, name=(name or "").strip()
    ):
        st.rerun()


@st.dialog("Delete plan?", icon=":material/warning:")
def delete_dialog(row: plans.PlanRow) -> None:
    """Runs and their logs stay."""
    st.markdown(f"**{escaped(row.name)}** leaves the list. Its runs and their logs stay.")
    ready = confirm.typed(row.name, key="delete.name")
    if confirm.buttons("Delete plan", key="delete.plan", ready=ready) and boxes.acted(
        plans.remove, visit.bridge(), visit.actor(), row.id, confirm=row.name
    ):
        st.session_state[state.TOAST] = f"{row.name} was deleted."
        registry.go("plans")
