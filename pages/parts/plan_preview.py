"""Real rows of the source through the saved rules: five, before and after, with a verdict."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from core.plans.field_rows import FieldRow
from core.plans.verdicts import OK
from core.services import editor, previews
from core.services.previews import Pick, Preview
from pages.parts import boxes, figures, plan_checks, tables, visit, words

ROWS = 5
#: pairs of columns that fit beside the verdict
PAIRS = 2
BLANK = "∅"
PICKS = {Pick.RANDOM: "Random", Pick.FIRST: "First", Pick.ISSUES: "With issues"}
TURN = "plan.preview.turn"


def draw(view: editor.EditorView, chosen: editor.ObjectView, focused: FieldRow | None) -> None:
    """The card; the focused field stands first, if the table above shows one."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            st.markdown(
                f"**Preview** :gray[{ROWS} source rows through the saved rules]", width="stretch"
            )
            pick = st.segmented_control(
                "Which rows",
                list(PICKS),
                default=Pick.FIRST,
                required=True,
                format_func=PICKS.__getitem__,
                key="plan.preview.pick",
                label_visibility="collapsed",
            )
            if st.button(
                "",
                icon=":material/refresh:",
                type="tertiary",
                key="plan.preview.again",
                help="Read the rows again",
            ):
                st.session_state[TURN] = st.session_state.get(TURN, 0) + 1
        boxes.acted(_rows, view, chosen, focused, pick=pick)


def _rows(
    view: editor.EditorView, chosen: editor.ObjectView, focused: FieldRow | None, *, pick: Pick
) -> None:
    actor = visit.actor()
    asked = (str(actor.workspace_id), view.row.revision, st.session_state.get(TURN, 0))
    height = tables.HEADER_HEIGHT + ROWS * tables.ROW_HEIGHT
    asks = f"Reading rows of {chosen.source} in {view.plan.source}…"
    with boxes.asking(asks, height=height):
        found = _cached(asked, str(view.row.id), mapping=chosen.name, pick=pick.value)
    if plan_checks.keep_seen(view, chosen.name, found) and not visit.shows_dialog():
        st.rerun()  # the table above counts the same issues
    if not found.rows:
        told = "No issue in the rows looked at" if pick is Pick.ISSUES else "The source has no row"
        boxes.empty(told, f"{figures.count(found.looked_at)} rows were looked at.")
        return
    data, columns = frame(found, focused.target if focused else None)
    tables.show(data, columns, key="plan.preview", alt="Source rows before and after the rules")
    if found.with_issues:
        # a caption is drawn faint: orange on white would be too pale to read
        st.markdown(
            f":small[:orange[{figures.count(found.with_issues)} of "
            f"{figures.count(found.looked_at)} rows that were looked at have an issue.]]"
        )


@st.cache_data(ttl="2m", max_entries=64, show_spinner=False)
def _cached(asked: tuple[Any, ...], plan_id: str, *, mapping: str, pick: str) -> Preview:
    """Rows for one revision of the plan; ``asked`` is part of the key."""
    return previews.preview(
        visit.bridge(), visit.actor(), UUID(plan_id), mapping=mapping, pick=Pick(pick), rows=ROWS
    )


def frame(found: Preview, focused: str | None) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Id, pairs of source and target values, verdict; the focused pair first, then guilty ones."""
    guilty = [row.field for row in found.rows if row.field]
    order = sorted(
        range(len(found.columns)),
        key=lambda at: (found.columns[at][1] != focused, found.columns[at][1] not in guilty, at),
    )
    pairs = [found.columns[at] for at in order[:PAIRS]]
    config: dict[str, Any] = {"id": st.column_config.TextColumn("Source id", width=100)}
    rows: list[dict[str, Any]] = []
    for number, (source, target) in enumerate(pairs):
        if source:
            config[f"b{number}"] = st.column_config.TextColumn(source, width=105)
        config[f"a{number}"] = st.column_config.TextColumn(f"→ {target}", width=110)
    verdicts = sorted({row.verdict for row in found.rows})
    config["verdict"] = words.pills(
        "Verdict",
        [words.Word(each, "green" if each == OK else "orange", "") for each in verdicts],
        width=150,
    )
    for row in found.rows:
        cells: dict[str, Any] = {
            "id": figures.short_id(row.source_id),
            "verdict": [row.verdict],
        }
        for number, (source, target) in enumerate(pairs):
            cells[f"b{number}"] = row.before.get(source)
            after = row.after.get(target)
            cells[f"a{number}"] = BLANK if after is None else after
        rows.append(cells)
    return tables.frame(rows, list(config)), config
