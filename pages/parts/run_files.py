"""What one can take home from a run, each made on the click."""

from __future__ import annotations

import streamlit as st

from core.services import run_reads, running
from pages.parts import export, visit


def draw(view: run_reads.RunView) -> None:
    """Failed rows, the id map, the log."""
    name = view.row.name
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown("**Failed rows** :gray[sent values and reason]", width="stretch")
        export.button(
            f"failed-rows-{name}",
            lambda: b"".join(running.failures_csv(visit.bridge(), visit.actor(), name)),
            key="run.files.failed",
        )
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown("**Log** :gray[every event in order]", width="stretch")
        export.button(f"log-{name}", lambda: _log(name), key="run.files.log")


def _log(name: str) -> bytes:
    found = running.events(visit.bridge(), visit.actor(), name, limit=1_000_000)
    return export.csv_bytes(
        ["at", "level", "object", "message"],
        ([event.at, event.level, event.step, event.message] for event in found),
    )
