"""Files that operations wrote, such as on a schedule, each with its link."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.services import operations
from pages.parts import tables, visit

COLUMNS = {
    "at": tables.time_column("When", width=170, pinned=True),
    "link": st.column_config.LinkColumn("File", display_text="Fetch", width=80),
    "name": st.column_config.TextColumn("Name", width=260),
    "rows": tables.rows_column("Rows", width=90),
    "bytes": st.column_config.NumberColumn("Size", format="bytes", width=90),
    "by": st.column_config.TextColumn("By", width=180),
}


def draw() -> None:
    """The newest files; nothing where there are none or where they are not for one's role."""
    if not visit.may(Role.ANALYST):
        return
    found = operations.kept(visit.bridge(), visit.actor())
    if not found:
        return
    st.subheader("Files of operations and schedules", anchor=False)
    lines = [
        {
            "at": row.created_at,
            "link": f"/download/file/{row.id}",
            "name": row.file_name,
            "rows": row.rows,
            "bytes": row.bytes,
            "by": row.created_by,
        }
        for row in found
    ]
    tables.show(
        tables.frame(lines, list(COLUMNS)),
        COLUMNS,
        key="files.kept",
        alt="Files that operations wrote, the newest first",
    )
    st.caption("Kept for as long as temporary data is (Settings), then deleted with their keys.")
