"""The editor of one plan: objects left, fields of one object right, one field in the inspector."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from core.domain.describe import SObject
from core.domain.plan import Operation
from core.domain.roles import Role
from core.errors import NotFoundError, OrgbridgeError, UserError
from core.plans.field_rows import FieldRow
from core.services import editor, orgs, plans
from pages import registry
from pages.parts import (
    boxes,
    choice,
    figures,
    plan_acts,
    plan_checks,
    plan_grid,
    plan_inspector,
    plan_keys,
    plan_objects,
    plan_owners,
    plan_picker,
    plan_preview,
    plan_tests,
    rows,
    state,
    visit,
    words,
)
from pages.parts.boxes import escaped

SURE_PERCENT = 90
#: of what stands in for the page while an org is asked
ASKING_HEIGHT = 420


def draw(plan_id: str) -> None:
    """The page of one plan."""
    try:
        row = plans.row(visit.bridge(), visit.actor(), _uuid(plan_id))
        asks = f"Reading the fields of {words.named_orgs(row)}…"
        with boxes.asking(asks, height=ASKING_HEIGHT):
            view = editor.view(visit.bridge(), visit.actor(), _uuid(plan_id))
    except OrgbridgeError:
        with rows.head("Plan"):  # the page has its title and a way on, whatever went wrong
            if st.button("All plans", icon=":material/arrow_back:", key="plan.all"):
                registry.go("plans")
        raise
    st.session_state[state.REVISION] = view.row.revision
    may_edit = visit.may(Role.ANALYST)
    _head(view, may_edit=may_edit)
    plan_grid.problem()
    _focus_of_address()
    left, right = st.columns([0.25, 0.75], gap="medium")
    with left:
        chosen = plan_objects.draw(view, may_edit=may_edit)
    with right:
        focused = _fields(view, chosen, may_edit=may_edit)
    if not chosen.problem:
        below, beside = st.columns([0.62, 0.38], gap="medium")
        with beside:
            if focused is not None:
                boxes.acted(plan_inspector.draw, view, chosen, focused, may_edit=may_edit)
        with below:
            plan_preview.draw(view, chosen, focused)
    _asked_dialog(view, chosen)


def _focus_of_address() -> None:
    """A link may name the field that the inspector shows first."""
    asked = st.query_params.get("field")
    if asked and st.session_state.get(state.ASKED_FIELD) != asked:
        st.session_state[state.FOCUS] = asked
    st.session_state[state.ASKED_FIELD] = asked


def _asked_dialog(view: editor.EditorView, chosen: editor.ObjectView) -> None:
    """A link may name a dialog: it opens once, then leaves the address."""
    asked = st.query_params.get("open")
    if asked is None:
        return
    del st.query_params["open"]
    if asked == "key":
        plan_keys.dialog(view, chosen.name)
    elif asked == "settings" and visit.may(Role.ANALYST):
        plan_objects.settings_drawer(view, chosen.name)
    elif asked == "tests":
        plan_tests.dialog(view, chosen.name)
    elif asked == "owners":
        plan_owners.dialog(view)
    elif asked == "objects" and visit.may(Role.ANALYST):
        plan_picker.dialog(view)


def _head(view: editor.EditorView, *, may_edit: bool) -> None:
    to_review = sum(each.progress.to_review for each in view.objects if each.progress)
    is_open = to_review or any(each.problem for each in view.objects)
    status = "needs_review" if is_open else "ready"
    with rows.head(view.row.name, badge=words.word(words.STATUSES, status).badge):
        matches = may_edit and plan_acts.buttons(view)
        validates = st.button(
            "Validate",
            icon=":material/fact_check:",
            key="plan.validate",
            shortcut="Mod+Shift+Enter",  # without Shift it ends typing in the expression's box
            help="Asks both orgs what would speak against a launch, and runs the test rows",
        )
        if (
            registry.is_listed("launch")
            and may_edit
            and st.button(
                "Launch…", type="primary", icon=":material/rocket_launch:", key="plan.launch"
            )
        ):
            registry.go("launch", plan=str(view.row.id))
    # what waits and what fails is told below the head, in its whole width
    if matches:
        plan_acts.auto_map(view.row)
    if validates:
        plan_checks.validate(view)
    known = {card.id: card for card in orgs.sources(visit.bridge(), visit.actor())}
    source, target = (
        known.get(org_id) if org_id else None
        for org_id in (view.row.source_org_id, view.row.target_org_id)
    )
    newest = view.row.newest_version
    version = f"v{newest}" if newest else "draft"
    rows.facts(
        words.org_pair(
            (view.plan.source, source.environment if source else "not connected"),
            (view.plan.target, target.environment if target else "not connected"),
        ),
        version,
        f"saved {figures.ago(view.row.updated_at)} by "
        f"{escaped(figures.person(view.row.updated_by))}",
        figures.plural(len(view.objects), "object"),
    )


def _fields(
    view: editor.EditorView, chosen: editor.ObjectView, *, may_edit: bool
) -> FieldRow | None:
    """The bar, the filter row and the table of one object; the row that the inspector shows."""
    plan_objects.bar(view, chosen, may_edit=may_edit)
    if chosen.problem:
        way_on = "Test the org under Orgs, or open Object settings to take another object."
        boxes.error(UserError(chosen.problem, next_step=way_on))
        return None
    if chosen.since is not None:
        boxes.remark(
            "An org does not answer. Fields are shown as it told them "
            f"{figures.ago(chosen.since)}; what you change is saved all the same."
        )
    found = editor.rows(
        visit.bridge(),
        visit.actor(),
        view.row.id,
        mapping=chosen.name,
        issues=plan_checks.issues(view, chosen.name),
    )
    shown, needle = _filter_row(view, chosen, found, may_edit=may_edit)
    wanted = [
        row
        for row in found
        if plan_grid.matches(row, shown)
        and needle in f"{row.source} {row.source_label} {row.target} {row.target_label}".lower()
    ]
    ordered = plan_grid.held_order(found, wanted, place=f"{chosen.name}|{shown}|{needle}")
    if not ordered:
        boxes.empty("No field matches", "Change the filter.", icon=":material/search_off:")
        return None
    sides = editor.sides(visit.bridge(), visit.actor(), view.row.id, mapping=chosen.name)
    plan_grid.draw(
        ordered,
        plan_id=view.row.id,
        mapping=chosen.name,
        targets=target_labels(sides.target),
        locked=not may_edit,
    )
    return _focused(ordered)


def target_labels(target: SObject) -> dict[str, str]:
    """Writeable fields of the target by API name, with their label."""
    return {
        field.name: f"{field.name} · {field.label}"
        for field in target.fields.values()
        if field.is_writeable
    }


def _filter_row(
    view: editor.EditorView,
    chosen: editor.ObjectView,
    found: tuple[FieldRow, ...],
    *,
    may_edit: bool,
) -> tuple[str, str]:
    counts = {
        name: sum(plan_grid.matches(row, name) for row in found) for name in plan_grid.FILTERS
    }
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = choice.segmented(
            "Show",
            list(plan_grid.FILTERS),
            default="all",
            format_func=lambda name: f"{plan_grid.FILTERS[name]} {counts[name]}",
            key="show",
            label_visibility="collapsed",
        )
        needle = st.text_input(
            "Filter fields",
            type="search",
            live=True,
            key="q",
            bind="query-params",
            placeholder="Filter fields…",
            label_visibility="collapsed",
        )
        if may_edit and st.button(
            f"Accept ≥ {SURE_PERCENT} %",
            type="tertiary",
            icon=":material/done_all:",
            key="plan.accept",
            help="Approves every suggestion of this object that is at least that sure",
        ):
            plan_acts.accept_sure(view, chosen.name, SURE_PERCENT / 100)
    return str(shown), (needle or "").strip().lower()


def _focused(ordered: list[FieldRow]) -> FieldRow:
    wanted = st.session_state.get(state.FOCUS)
    return next(
        (row for row in ordered if row.key == wanted),
        next((row for row in ordered if row.is_open), ordered[0]),
    )


def operation_word(operation: str) -> str:
    """An operation as people say it."""
    return words.word(words.OPERATIONS, Operation(operation)).label


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError(
            "There is no such plan.", next_step="Open one from the list of plans."
        ) from None
