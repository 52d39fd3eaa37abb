"""What one does to extra child records: write them to a file, tag them, delete them by a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.domain.roles import Role
from core.services import extra_children, orgs, plans
from core.services.extra_children import Act, Place
from pages import registry
from pages.parts import boxes, confirm, export, figures, operation_form, visit, words
from pages.parts.boxes import escaped


def buttons(plan: str, row: Mapping[str, Any]) -> None:
    """The acts on the children under one lookup."""
    place = Place(plan, row["child"], row["lookup"])
    with st.container(horizontal=True):
        if not visit.may(Role.ANALYST):
            return
        here = (visit.bridge(), visit.actor(), place)
        export.button(
            "extra-children",
            lambda: b"".join(extra_children.records_csv(*here)),
            key="extra.csv",
            help="All of them as they are now",
        )
        about = {"plan": plan, "child": row["child"], "lookup": row["lookup"]}
        operation_form.button("export_extra_children", given=about, key="extra.csv.more")
        if st.button("Tag…", icon=":material/sell:", key="extra.tag"):
            tag_dialog(place, row)
        if st.button("Delete…", icon=":material/delete:", key="extra.delete"):
            delete_dialog(place, row)


@st.dialog("Tag extra records", icon=":material/sell:")
def tag_dialog(place: Place, row: Mapping[str, Any]) -> None:
    """Writes one value into one field of all of them."""
    _about(place, row)
    field = st.text_input("Field", key="extra.tag.field", autocomplete="off")
    value = st.text_input("Value", key="extra.tag.value", autocomplete="off")
    _act(place, row, field=(field or "").strip(), value=value or "", label="Tag")


@st.dialog("Delete extra records", icon=":material/warning:")
def delete_dialog(place: Place, row: Mapping[str, Any]) -> None:
    """Sends all of them to the recycle bin."""
    _about(place, row)
    _act(place, row, field="", value="", label="Delete")


def _about(place: Place, row: Mapping[str, Any]) -> None:
    target = _target(place)
    st.markdown(
        f"**{figures.count(row['rows'])}** records of **{escaped(row['child_object'])}** in "
        f"{words.org_badge(target.name, target.environment)} that the source's parents do not "
        "have. A run does it: it can be watched, proved and undone."
    )


def _target(place: Place) -> orgs.OrgCard:
    name = plans.plan(visit.bridge(), visit.actor(), name=place.plan).plan.target
    return orgs.org_named(visit.bridge(), visit.actor(), name)


def _act(place: Place, row: Mapping[str, Any], *, field: str, value: str, label: str) -> None:
    key = f"extra.{label.lower()}"
    ready = confirm.typed(str(row["rows"]), key=f"{key}.count", what="the number")
    target, reason = _target(place), ""
    named = ""
    if label == "Delete" or target.protected:
        ready &= confirm.typed(target.name, key=f"{key}.org", what="the org's name")
        named = target.name if ready else ""
        reason = st.text_input("Why", key=f"{key}.reason", autocomplete="off") or ""
    if not confirm.buttons(
        label, key=f"{key}.do", ready=ready and (label == "Delete" or bool(field))
    ):
        return
    act = Act(count=int(row["rows"]), confirm=named, reason=reason, field=field, value=value)
    made: list[str] = []
    here = (visit.bridge(), visit.actor(), place, act)
    if boxes.acted(lambda: made.append(extra_children.launch(*here))):
        registry.go("run", run=made[0])
