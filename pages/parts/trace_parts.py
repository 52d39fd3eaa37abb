"""A record's links and setbacks as tables."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.names import object_name
from core.services import tracing
from pages import registry
from pages.parts import export, tables, words

ORIGINS = {
    "inserted": words.Word("Inserted", "green", "add"),
    "updated": words.Word("Updated", "violet", "edit"),
    "matched": words.Word("Matched", "gray", "link"),
    "adopted": words.Word("Adopted", "violet", "family_restroom"),
}
KINDS = {
    "blocked": words.Word("Blocked", "orange", "block"),
    "failed": words.Word("Failed", "red", "cancel"),
    "not_processed": words.Word("Not processed", "orange", "hourglass_disabled"),
    "left_blank": words.Word("Lookup left blank", "orange", "link_off"),
}
LINK_COLUMNS = {
    "mapping": st.column_config.TextColumn("Object", pinned=True, width=100),
    "origin": words.pills("How", ORIGINS.values(), width=80),
    "source": st.column_config.TextColumn("Source record", width=155),
    "from": st.column_config.TextColumn("From", width=90),
    "target": st.column_config.TextColumn("Target record", width=155),
    "into": st.column_config.TextColumn("Into", width=90),
    "run": st.column_config.TextColumn("Last run", width=170),
    "at": tables.time_column("When", width=150),
}
SETBACK_COLUMNS = {
    "mapping": st.column_config.TextColumn("Object", pinned=True, width=100),
    "kind": words.pills("What", KINDS.values(), width=110),
    "code": st.column_config.TextColumn("Reason", width=145),
    "message": st.column_config.TextColumn("Message", width=270),
    "run": st.column_config.TextColumn("Run", width=165),
    "resolved": st.column_config.TextColumn("Arrived later in", width=145),
    "at": tables.time_column("When", width=155),
}


def links(found: tracing.Trace) -> None:
    """Where the record is; a click opens the run."""
    st.subheader("Where it is", anchor=False)
    chosen = tables.show(
        links_frame(found),
        LINK_COLUMNS,
        key="trace.links",
        alt="Records linked with this one",
        on_select="rerun",
        selection_mode="single-row",
    )
    export.button("record-links", lambda: links_csv(found), key="trace.links.csv")
    position = tables.picked(chosen)
    run = None if position is None else found.links[position].run
    if run:
        registry.go("run", run=run)


def setbacks(found: tracing.Trace) -> None:
    """What kept it back, the newest first."""
    st.subheader("What kept it back", anchor=False)
    data = tables.frame(
        [
            {
                "mapping": object_name(line.mapping_name, line.target_object),
                "kind": [words.word(KINDS, line.kind).label],
                "code": line.code,
                "message": line.message,
                "run": line.run,
                "resolved": line.resolved_by,
                "at": line.at,
            }
            for line in found.setbacks
        ],
        list(SETBACK_COLUMNS),
    )
    tables.show(data, SETBACK_COLUMNS, key="trace.setbacks", alt="Failures of this record")
    export.button("record-failures", lambda: setbacks_csv(found), key="trace.setbacks.csv")


def links_csv(found: tracing.Trace) -> bytes:
    """Every link as a file, orgs by their Organization Id."""
    columns = ("mapping_name", "origin", "source_id", "target_id", "org_pair", "run", "run_at")
    lines = ([getattr(link, name) for name in columns] for link in found.links)
    return export.csv_bytes(columns, lines)


def setbacks_csv(found: tracing.Trace) -> bytes:
    """Every failure as a file."""
    columns = ("mapping_name", "kind", "code", "message", "source_id", "run", "resolved_by", "at")
    lines = ([getattr(line, name) for name in columns] for line in found.setbacks)
    return export.csv_bytes(columns, lines)


def links_frame(found: tracing.Trace) -> pd.DataFrame:
    """One row per link."""
    lines = []
    for link in found.links:
        source, _, target = link.org_pair.partition(":")
        line = {
            "mapping": object_name(link.mapping_name, link.target_object or link.mapping_name),
            "origin": [words.word(ORIGINS, link.origin).label],
            "source": link.source_id,
            "from": found.org_names.get(source, source),
            "target": link.target_id,
            "into": found.org_names.get(target, target),
            "run": link.run,
            "at": link.run_at,
        }
        lines.append(line)
    return tables.frame(lines, list(LINK_COLUMNS))
