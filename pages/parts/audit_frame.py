"""The audit trail as a table."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from core.services import audit
from pages.parts import audit_words, tables

COLUMNS = {
    "at": st.column_config.DatetimeColumn(
        "When (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC", pinned=True, width=150
    ),
    "actor": st.column_config.TextColumn("Who", width=140),
    "action": st.column_config.TextColumn("Action", width=165),
    "subject": st.column_config.TextColumn("On", width=175),
    "reason": st.column_config.TextColumn("Reason", width=100),
    "before": st.column_config.JsonColumn("Before", width=95),
    "after": st.column_config.JsonColumn("After", width=100),
    "origin": st.column_config.TextColumn("From", width=80),
}


def frame(found: tuple[audit.TrailRow, ...]) -> pd.DataFrame:
    """Rows of the trail as the table shows them."""
    return tables.frame(
        [
            {
                "at": row.at,
                "actor": row.actor,
                "action": audit_words.action(row.action),
                "subject": audit_words.subject(row.subject_kind, row.subject_name),
                "before": _json(row.before),
                "after": _json(row.after),
                "reason": row.reason or "",
                "origin": row.origin,
            }
            for row in found
        ],
        list(COLUMNS),
    )


def _json(said: Any) -> str | None:
    """As text: a frame would show a document the way Python writes it."""
    return None if said is None else json.dumps(said, ensure_ascii=False, default=str)
