"""CSV import and export: files as the source of a plan, records of an org as a file."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.services import files
from pages import registry
from pages.parts import (
    boxes,
    choice,
    confirm,
    csv_export,
    csv_import,
    figures,
    rows,
    state,
    visit,
    words,
)
from pages.parts.boxes import escaped


@st.dialog("Delete files", icon=":material/delete:")
def delete_dialog(row: files.FileSetRow) -> None:
    """Removes a set for good, after its name was typed."""
    st.markdown(f"The {figures.size(row.bytes)} of **{escaped(row.name)}** go for good.")
    ready = confirm.typed(row.name, key="csv.delete.name")
    if confirm.buttons("Delete", key="csv.delete", ready=ready) and boxes.acted(
        files.remove, visit.bridge(), visit.actor(), row.name
    ):
        st.session_state[state.TOAST] = f"{row.name} is deleted."
        st.query_params.pop("files", None)
        registry.go("csv_files")


def one(name: str) -> None:
    """One set of files."""
    row = files.file_set(visit.bridge(), visit.actor(), name)
    with rows.head(row.name, badge=words.FILE_STATES[row.status].badge):
        if st.button("All files", icon=":material/arrow_back:", key="csv.back"):
            registry.go("csv_files")
        if visit.may(Role.ANALYST) and st.button(
            "Delete…", icon=":material/delete:", key="csv.delete.open"
        ):
            delete_dialog(row)
    csv_import.one_set(row)


def everything() -> None:
    """Both halves."""
    with rows.head("CSV import and export"):
        pass
    half, place = choice.tabs({"import": "Import", "export": "Export"}, key="half")
    with place:
        if half == "export":
            csv_export.draw()
            return
        found = files.file_sets(visit.bridge(), visit.actor())
        if not found:
            boxes.empty(
                "No files yet",
                "Rows of CSV files become records by a plan like any other: mapped, checked, "
                "rehearsed, loaded, proved, undone. Several files that belong together go as a "
                "zip.",
                icon=":material/upload_file:",
            )
        if visit.may(Role.ANALYST):
            csv_import.upload()
        if found:
            csv_import.listing(found)


chosen = st.query_params.get("files")
boxes.acted(one, chosen) if chosen else boxes.acted(everything)
