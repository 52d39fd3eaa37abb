"""A plan from a file of any tool: what to give, and what of it could not be carried over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from core.errors import OrgbridgeError
from core.services import plans
from pages import registry
from pages.parts import boxes, export, figures, plan_grid, state, tables, visit
from pages.parts.boxes import escaped

#: SFDMU keeps these beside its export.json
TABLES = {"valuemapping.csv": "values", "fieldmapping.csv": "fields"}
NOTE_COLUMNS = {
    "place": st.column_config.TextColumn("Place", pinned=True, width=190),
    "sentence": st.column_config.TextColumn("What could not be carried over", width=460),
}
NOTES_HEIGHT = 300


def form(names: list[str]) -> None:
    """Ask for the file and what it does not say itself."""
    sent = st.file_uploader(
        "Plan file",
        type=["yaml", "yml", "json", "sdl"],
        key="new.file",
        help="Our own YAML, an SFDMU export.json, a Data Loader .sdl or a CumulusCI mapping.yml.",
    )
    beside: Iterable[Any] = ()
    if sent is not None and sent.name.lower().endswith(".json"):
        beside = st.file_uploader(
            "ValueMapping.csv and FieldMapping.csv, if the export uses them",
            type=["csv"],
            accept_multiple_files=True,
            key="new.file_tables",
        )
    left, right = st.columns(2)
    source = left.selectbox(
        "Source org", names, index=None, key="new.file_source", help="For files that name none."
    )
    target = right.selectbox(
        "Target org", names, index=None, key="new.file_target", help="For files that name none."
    )
    sobject = st.text_input("Object", key="new.file_object", help="Of a Data Loader .sdl only.")
    st.caption("A plan of the same name gets the file as its new draft; versions stay.")
    if sent is not None and st.button("Import plan", type="primary", key="new.import"):
        _import(
            plans.ForeignFile(
                content=sent.getvalue(),
                file_name=sent.name,
                source=source,
                target=target,
                sobject=(sobject or "").strip() or None,
                **texts(beside),
            )
        )


def texts(sent: Iterable[Any]) -> dict[str, str]:
    """The tables of SFDMU that were sent, by what they are for; others are left out."""
    return {
        TABLES[each.name.lower()]: each.getvalue().decode("utf-8-sig", errors="replace")
        for each in sent
        if each.name.lower() in TABLES
    }


def _import(file: plans.ForeignFile) -> None:
    """Keep the file's plan; open it, or say first what of it could not be carried over."""
    try:
        kept = plans.import_file(visit.bridge(), visit.actor(), file)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    plan_grid.refresh()
    if not kept.notes:
        registry.go("plans", plan=str(kept.plan_id))
        return
    st.session_state[state.IMPORTED] = kept
    st.rerun(scope="fragment")


def told() -> bool:
    """The report of the last import, until the plan is opened; whether there is one."""
    kept: plans.ImportOutcome | None = st.session_state.get(state.IMPORTED)
    if kept is None:
        return False
    st.warning(
        f"**{escaped(kept.name)}** is kept: {figures.plural(kept.objects, 'object')} of the "
        f"{kept.tool} file. {figures.plural(len(kept.notes), 'thing')} could not be carried over.",
        icon=":material/warning:",
    )
    data = tables.frame(
        [{"place": each.place, "sentence": each.sentence} for each in kept.notes],
        list(NOTE_COLUMNS),
    )
    tables.show(
        data,
        NOTE_COLUMNS,
        key="new.notes",
        alt="What of the file could not be carried over",
        height=min(NOTES_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(data) + 2),
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        export.button(
            "import-report",
            lambda: export.csv_bytes(list(data.columns), data.itertuples(index=False)),
            key="new.notes.csv",
            help="The whole report as CSV",
        )
        if st.button("Open the plan", type="primary", key="new.notes.open"):
            forget()
            registry.go("plans", plan=str(kept.plan_id))
    return True


def forget() -> None:
    """The next new plan starts with the form."""
    st.session_state.pop(state.IMPORTED, None)
