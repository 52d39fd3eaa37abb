"""One org: its facts, its objects, and the fields of the object one picks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.describe import Field, SObject
from core.domain.roles import Role
from core.errors import OrgbridgeError
from core.services import orgs
from pages import registry
from pages.parts import boxes, export, figures, org_acts, org_describing, rows, tables, visit, words
from pages.parts.boxes import escaped

OBJECT_COLUMNS = {
    "name": st.column_config.TextColumn("Object", pinned=True, width=220),
    "label": st.column_config.TextColumn("Label", width=180),
    "fields": tables.rows_column("Fields", width=70),
    "may": st.column_config.TextColumn("You may", width=170),
}
FIELD_COLUMNS = {
    "name": st.column_config.TextColumn("Field", pinned=True, width=210),
    "label": st.column_config.TextColumn("Label", width=170),
    "type": st.column_config.TextColumn("Type", width=170),
    "marks": st.column_config.TextColumn("Marks", width=220),
}
PICKED_HEIGHT = 560


def draw(org_id: str) -> None:
    """The page of one org."""
    try:
        card = orgs.org(visit.bridge(), visit.actor(), org_id)
    except OrgbridgeError:
        with rows.head("Org"):  # a link to an org that was removed has a way on
            _back_button()
        raise
    kind = words.word(words.ENVIRONMENTS, card.environment)
    with rows.head(card.name, badge=words.word(words.HEALTH, card.status).badge):
        if visit.may(Role.ANALYST) and not card.describing.state.is_moving:
            _refresh_button(card)
        _back_button()
    rows.facts(
        kind.badge,
        escaped(card.organization_name or figures.MISSING),
        f"`{card.organization_id}`",
        escaped(card.username or ""),
        f"API {card.api_version}",
        org_describing.words(card),
    )
    org_describing.watched(card, _browser, key="org.browser")


def _back_button() -> None:
    if st.button("All orgs", icon=":material/arrow_back:", key="org.back"):
        registry.go("orgs")


def _browser(card: orgs.OrgCard) -> None:
    """Objects left, the fields of the one that is picked right; both grow while the org is read."""
    org_describing.bar(card.describing)
    listed, shown = st.columns([0.44, 0.56], gap="medium")
    with listed:
        sobject = _objects(card)
    with shown:
        if sobject is None:
            boxes.empty("Fields", "Pick an object to see its fields.", icon=":material/list:")
        else:
            boxes.acted(_fields, card, sobject)


def _refresh_button(card: orgs.OrgCard) -> None:
    if st.button("Refresh metadata", icon=":material/refresh:", key="org.refresh") and boxes.acted(
        org_acts.refresh, card.id
    ):
        st.rerun()


def _objects(card: orgs.OrgCard) -> str | None:
    with boxes.asking(f"Reading the objects of {card.name}…", height=PICKED_HEIGHT):
        found = orgs.objects(visit.bridge(), visit.actor(), card.id)
    needle = st.text_input(
        f"Filter {figures.count(len(found))} objects",
        type="search",
        live=True,
        key="object_q",
        bind="query-params",
        placeholder=f"Filter {figures.count(len(found))} objects…",
        label_visibility="collapsed",
    )
    wanted = (needle or "").lower()
    kept = [row for row in found if wanted in f"{row.name} {row.label}".lower()]
    if not kept:
        boxes.empty("No object matches", "Change the filter.", icon=":material/search_off:")
        return None
    chosen = tables.show(
        tables.frame(
            [{"name": r.name, "label": r.label, "fields": r.fields, "may": _may(r)} for r in kept],
            list(OBJECT_COLUMNS),
        ),
        OBJECT_COLUMNS,
        key=f"org.objects.{wanted}",
        alt=f"Objects of {card.name}",
        on_select="rerun",
        selection_mode="single-row",
        height=PICKED_HEIGHT,
    )
    position = tables.picked(chosen)
    return None if position is None else kept[position].name


def _may(row: orgs.ObjectRow) -> str:
    rights = {
        "read": row.queryable,
        "create": row.createable,
        "update": row.updateable,
        "delete": row.deletable,
    }
    return ", ".join(name for name, has in rights.items() if has) or figures.MISSING


def _fields(card: orgs.OrgCard, name: str) -> None:
    with boxes.asking(f"Reading the fields of {name} in {card.name}…", height=PICKED_HEIGHT):
        sobject = orgs.fields(visit.bridge(), visit.actor(), card.id, name)
    data = field_frame(sobject)
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(
            f"**{escaped(sobject.label)}** `{sobject.name}` :gray[{len(data)} fields]",
            width="stretch",
        )
        export.button(
            f"fields-{sobject.name}",
            lambda: export.csv_bytes(list(data.columns), data.itertuples(index=False)),
            key=f"org.fields.csv.{name}",
        )
    tables.show(
        data,
        FIELD_COLUMNS,
        key=f"org.fields.{name}",
        alt=f"Fields of {name}",
        height=PICKED_HEIGHT,
    )


def field_frame(sobject: SObject) -> pd.DataFrame:
    """One row per field: name, label, type in words, marks."""
    return tables.frame(
        [
            {"name": f.name, "label": f.label, "type": type_words(f), "marks": ", ".join(marks(f))}
            for f in sobject.fields.values()
        ],
        list(FIELD_COLUMNS),
    )


def type_words(field: Field) -> str:
    """A field's type as people say it: ``Text(255)``, ``Lookup(Account)``, ``Number(16, 2)``."""
    if field.reference_to:
        return f"Lookup({', '.join(field.reference_to[:3])})"
    if field.type in {"double", "currency", "percent"}:
        return f"{field.type.capitalize()}({field.precision - field.scale}, {field.scale})"
    if field.type in {"picklist", "multipicklist"}:
        return f"{field.type.capitalize()} · {len(field.picklist_values)} values"
    named = {"string": "Text", "textarea": "Long text", "int": "Integer"}.get(field.type)
    label = named or field.type.capitalize()
    return f"{label}({field.length})" if field.length and field.type != "id" else label


def marks(field: Field) -> list[str]:
    """What one must know before mapping to a field."""
    known = {
        "required": field.required_on_create,
        "external id": field.external_id,
        "unique": field.unique,
        "read-only": not (field.createable or field.updateable),
        "formula": field.calculated,
        "auto number": field.auto_number,
        "encrypted": field.encrypted,
    }
    return [name for name, holds in known.items() if holds]
