"""The export half of the CSV page: an object or a query of an org, written while it is read."""

from __future__ import annotations

import textwrap
from urllib.parse import urlencode

import streamlit as st

from core.services import exporting, importing, orgs
from pages.parts import boxes, export, kept_files, operation_form, visit
from pages.parts.boxes import escaped

OBJECT, SOQL = "An object", "A query"
PEOPLE, MACHINES = "People (spreadsheet)", "Machines (byte for byte)"
#: letters of a query that the page shows; an object of many fields has a long one
SOQL_SHOWN = 300


def draw() -> None:
    """The form with the link that starts the download, and the files that launches wrote."""
    _form()
    kept_files.draw()


def _form() -> None:
    cards = [card.name for card in orgs.orgs(visit.bridge(), visit.actor())]
    if not cards:
        boxes.empty("No org yet", "Connect an org first; its records can be written to a file.")
        return
    with st.container(width=720):
        org = st.selectbox("Org", cards, key="csv.export.org", width=300)
        what = st.segmented_control(
            "What", [OBJECT, SOQL], default=OBJECT, required=True, key="csv.export.what"
        )
        asked = _object_form(org) if what == OBJECT else _query_form()
        readers = st.segmented_control(
            "For",
            [PEOPLE, MACHINES],
            default=PEOPLE,
            required=True,
            key="csv.export.for",
            help="For people, cells that a spreadsheet would run get an apostrophe.",
        )
        deleted = st.toggle("Deleted and archived rows too", key="csv.export.all")
    if not (asked.get("sobject") or asked.get("soql")):
        return
    asked_for = exporting.ExportParameters(
        org=org,
        sobject=asked.get("sobject", ""),
        soql=asked.get("soql", ""),
        fields=tuple(one.strip() for one in asked.get("fields", "").split(",") if one.strip()),
        where=asked.get("where", ""),
        all_rows=deleted,
        for_people=readers == PEOPLE,
    )
    said: list[exporting.Outlook] = []
    here = (visit.bridge(), visit.actor())
    if not boxes.acted(lambda: said.append(exporting.outlook(*here, asked_for))):
        return
    told = "rows not counted" if said[0].rows is None else f"{said[0].rows:,} rows"
    soql = textwrap.shorten(said[0].soql, SOQL_SHOWN, placeholder=" …")
    st.caption(f"{told} · {escaped(soql)}")
    given = {**asked, "org": org, "people": int(readers == PEOPLE), "all": int(deleted)}
    with st.container(horizontal=True):
        st.link_button(
            "Write the file",
            f"/download/records?{urlencode(given)}",
            type="primary",
            icon=":material/download:",
        )
        operation_form.button("export_records", given=asked_for.model_dump(), key="csv.export.more")


def _object_form(org: str) -> dict[str, str]:
    sobject = (
        st.text_input("Object", key="csv.export.object", placeholder="Account") or ""
    ).strip()
    fields = st.text_input("Fields", key="csv.export.fields", placeholder="All of them")
    where = st.text_input("Where", key="csv.export.where", placeholder="Type = 'Customer'")
    if sobject:
        export.button(
            f"{sobject}-template",
            lambda: importing.template_csv(visit.bridge(), visit.actor(), org=org, sobject=sobject),
            key="csv.export.template",
            label="Template with headers only",
            help="All fields that an insert may carry",
        )
    return {"sobject": sobject, "fields": (fields or "").strip(), "where": (where or "").strip()}


def _query_form() -> dict[str, str]:
    soql = st.text_area(
        "SOQL", key="csv.export.soql", placeholder="SELECT Id, Name FROM Account", height=120
    )
    return {"soql": (soql or "").strip()}
