"""The key advisor: by what the rows of an object can be recognised, in figures of both orgs."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import streamlit as st

from core.domain.plan import KeySpec
from core.domain.roles import Role
from core.plans.key_advisor import Verdict
from core.services import editor, key_advice
from core.services.key_advice import KeyAdvice, KeyAssessment, KeyKind
from pages.parts import boxes, figures, plan_grid, state, tables, visit, words
from pages.parts.boxes import escaped

TABLE_HEIGHT = 260
VERDICTS = {
    Verdict.GOOD: words.Word("Good", "green", "check_circle"),
    Verdict.USABLE: words.Word("Usable", "violet", "task_alt"),
    Verdict.POOR: words.Word("Poor", "orange", "warning"),
    Verdict.UNSAFE: words.Word("Unsafe", "red", "cancel"),
}
COLUMNS = {
    "key": st.column_config.TextColumn("Key", pinned=True, width=190),
    "verdict": words.pills("Verdict", VERDICTS.values(), width=80),
    "filled": tables.share_column("Filled", width=75),
    "distinct": tables.share_column("Distinct", width=75),
    "source": tables.rows_column("Repeated in source", width=75),
    "target": tables.rows_column("Repeated in target", width=75),
    "overlap": tables.share_column("Known in target", width=75),
    "blocked": tables.rows_column("Blocked rows", width=75),
}


@st.dialog("Key advisor", width="large", icon=":material/key:")
def dialog(view: editor.EditorView, mapping: str) -> None:
    """Candidates, the best first; the one that is picked, with the rows it would block."""
    boxes.acted(_draw, view, mapping)


def name_of(key: KeySpec) -> str:
    """A key in words: Email · Name + City__c · Id → Legacy_Id__c · records moved before."""
    if key.is_ledger:
        return words.MOVED_BEFORE
    if key.value is not None:
        return f"{key.value} → {key.target[0]}"
    return " + ".join(key.target)


def _draw(view: editor.EditorView, mapping: str) -> None:
    with boxes.asking(f"Reading keys of {words.named_orgs(view.row)}…", height=TABLE_HEIGHT):
        found = _cached(
            (str(visit.actor().workspace_id), view.row.revision), str(view.row.id), mapping
        )
    entry = view.plan.mapping(mapping)
    sample = " · figures of a sample: repeats may be more" if found.is_sampled else ""
    st.caption(
        f"{escaped(entry.source)}: {figures.count(found.source_rows)} rows in scope of the source, "
        f"{figures.count(found.target_rows)} in the target{sample}. "
        f"Now matched on **{escaped(name_of(found.now))}**."
    )
    _offer_migration_key(view, found)
    position = _table(found)
    _picked(view, found, found.candidates[0 if position is None else position])


@st.cache_data(ttl="5m", max_entries=32, show_spinner=False)
def _cached(asked: tuple[str, int], plan_id: str, mapping: str) -> KeyAdvice:
    return key_advice.advice(visit.bridge(), visit.actor(), UUID(plan_id), mapping=mapping)


def _offer_migration_key(view: editor.EditorView, found: KeyAdvice) -> None:
    """The key that settles reruns, lost answers and lookups together goes first (rule 2.1)."""
    key = found.migration_key
    if key is None:
        st.caption(
            ":material/info: The target has no external id for the ids of the source. A text field "
            "of 18 characters, unique and case-sensitive, marked as external id, would be the "
            "surest key: create it in Setup, refresh the metadata under Orgs, and come back."
        )
        return
    if found.now == key.key:
        st.caption(
            f":green[:material/check_circle:] The migration key {escaped(key.key.target[0])} is "
            "in use."
        )
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**Migration key** :gray[the id of each source row is kept in "
            f"{escaped(key.key.target[0])}: reruns, lost answers and lookups are settled by it]",
            width="stretch",
        )
        if visit.may(Role.ANALYST) and st.button(
            "Use migration key", type="primary", icon=":material/key:", key="keys.migration"
        ):
            _use(view, found.mapping, key.key)


def _table(found: KeyAdvice) -> int | None:
    rows = [
        {
            "key": name_of(one.key),
            "verdict": [VERDICTS[one.verdict].label],
            "filled": round(100 * one.source.filled_share),
            "distinct": round(100 * one.source.distinct_share),
            "source": one.source.repeated,
            "target": one.target.repeated,
            "overlap": round(100 * one.overlap_share),
            "blocked": one.blocked_rows,
        }
        for one in found.candidates
    ]
    return tables.picked(
        tables.show(
            tables.frame(rows, list(COLUMNS)),
            COLUMNS,
            key="keys.table",
            alt="Candidate keys, the best first",
            on_select="rerun",
            selection_mode="single-row-required",
            selection_default={"selection": {"rows": [0]}},
            height=min(TABLE_HEIGHT, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(rows) + 2),
        )
    )


def _picked(view: editor.EditorView, found: KeyAdvice, one: KeyAssessment) -> None:
    """What the figures mean, the rows that would be blocked, and the button that takes the key."""
    kept = " The target keeps it unique: writes can be upserts." if one.is_kept_unique else ""
    st.markdown(f"{VERDICTS[one.verdict].badge} {escaped(one.sentence)}{kept}")
    if one.blocked:
        shown = f", {len(one.blocked)} of them here" if one.blocked_rows > len(one.blocked) else ""
        st.caption(f"{figures.plural(one.blocked_rows, 'row')} would be blocked{shown}:")
        names = [f"v{at}" for at in range(len(one.key.source))]
        labels = dict(zip(names, one.key.source, strict=True))
        tables.show(
            tables.frame(
                [
                    {
                        "id": row.source_id,
                        **dict(zip(names, row.values, strict=False)),
                        "why": "repeated" if row.is_repeated else "blank",
                    }
                    for row in one.blocked
                ],
                ["id", *names, "why"],
            ),
            {
                "id": st.column_config.TextColumn("Source id", width=170),
                **{n: st.column_config.TextColumn(labels[n], width=200) for n in names},
                "why": st.column_config.TextColumn("Why", width=90),
            },
            key="keys.blocked",
            alt="Rows that this key would block",
            height=min(200, tables.HEADER_HEIGHT + tables.ROW_HEIGHT * len(one.blocked) + 2),
        )
    is_used = one.key == found.now
    if not visit.may(Role.ANALYST):
        return
    with st.container(horizontal=True, horizontal_alignment="right"):
        label = "In use" if is_used else f"Match on {name_of(one.key)}"
        is_first = one.kind is KeyKind.STAMP
        if st.button(
            label, key="keys.use", disabled=is_used, type="secondary" if is_first else "primary"
        ):
            _use(view, found.mapping, one.key)


def _use(view: editor.EditorView, mapping: str, key: KeySpec) -> None:
    if plan_grid.save(view.row.id, partial(key_advice.with_key, mapping=mapping, key=key)):
        st.session_state.setdefault(state.TOAST, f"{mapping} is matched on {name_of(key)}.")
    plan_grid.refresh()
    st.rerun()
