"""What failed in a run, grouped by object, code and message, each with its usual fix and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.names import object_name
from core.domain.roles import Role
from core.domain.states import RunState
from core.errors import OrgbridgeError
from core.services import retrying, run_files, run_reads, running
from pages import registry
from pages.parts import boxes, export, figures, run_again, settled, tables, visit, words
from pages.parts.boxes import escaped

#: where one goes to mend it; violet and gray stay readable on a selected row
PLACES = {
    "plan": words.Word("Plan", "violet", "conversion_path"),
    "transform": words.Word("Rule", "violet", "function"),
    "data": words.Word("Data or rule", "orange", "database"),
    "duplicate": words.Word("Duplicate rule", "violet", "content_copy"),
    "permission": words.Word("Permission", "red", "lock"),
    "transient": words.Word("Transient", "gray", "schedule"),
}
#: the message tells most and has the room; the code of the reason heads the card beside
COLUMNS = {
    "rows": tables.rows_column("Rows", width=42),
    "object": st.column_config.TextColumn("Object", width=74),
    "message": st.column_config.TextColumn("Message", width=400),
    "place": words.pills("Fix in", PLACES.values(), width=86),
}
SAMPLE_ROWS = 20
#: fields that tell people which record it is, beside its id
NAMES = ("Name", "LastName", "FirstName", "Subject", "CaseNumber")
#: rows of one group in its CSV; the CSV of the whole run holds all
GROUP_ROWS = 100_000


def draw(view: run_reads.RunView) -> None:
    """The groups left, the chosen one right."""
    groups = settled.failure_groups(view)
    if not groups:
        _none_failed(view)
        return
    listed, shown = st.columns([0.58, 0.42], gap="medium")
    with listed:
        chosen = tables.show(
            frame(groups),
            COLUMNS,
            key="run.groups",
            alt="Failed rows by object and reason",
            on_select="rerun",
            selection_mode="single-row-required",
        )
        export.button(
            f"failed-rows-{view.row.name}",
            lambda: b"".join(running.failures_csv(visit.bridge(), visit.actor(), view.row.name)),
            key="run.failures.csv",
            label="All failed rows",
            help="Sent values and reason of every failed row, as CSV",
        )
    with shown:
        _group(view, groups[tables.picked(chosen) or 0])


def _none_failed(view: run_reads.RunView) -> None:
    """Why the list is empty: nothing failed, or nothing was looked at yet."""
    if view.totals.done:
        told = "Every row so far arrived." if view.row.finished_at is None else "Every row arrived."
        only_read = view.row.mode == "dry-run" or bool(view.row.options.get("preview"))
        if only_read:
            told = "Nothing was sent; nothing speaks against any row."
        elif view.row.mode == "undo":
            told = "Every row was taken back."
        title = "No row would fail" if only_read else "No row failed"
        boxes.empty(title, told, icon=":material/task_alt:")
        return
    if view.row.status is RunState.SUCCEEDED:
        is_undo = view.row.mode == "undo"
        boxes.empty(
            "Nothing to take back" if is_undo else "No row to send",
            "The run had left nothing in the target."
            if is_undo
            else "No record of the source matched the plan and its filters.",
            icon=":material/task_alt:",
        )
        return
    is_over = view.row.finished_at is not None
    told = "It ended before the first row." if is_over else "Rows that fail appear here with why."
    boxes.empty(
        "No row was sent" if is_over else "No row was sent yet",
        told,
        icon=":material/hourglass_empty:",
    )


def frame(groups: Sequence[run_reads.FailureGroup]) -> pd.DataFrame:
    """One row per group."""
    return tables.frame(
        [
            {
                "rows": group.line.rows,
                "object": object_name(group.line.mapping_name, group.line.target_object),
                "message": group.line.message,
                "place": [words.word(PLACES, group.fix.place).label],
            }
            for group in groups
        ],
        list(COLUMNS),
    )


def _group(view: run_reads.RunView, group: run_reads.FailureGroup) -> None:
    name, line = view.row.name, group.line
    with st.container(border=True):
        st.markdown(
            f"**{escaped(line.code)}** "
            f":gray[{escaped(object_name(line.mapping_name, line.target_object))} · "
            f"{what_failed(line)}]"
        )
        st.caption(f"“{escaped(line.message.rstrip('.'))}”. {escaped(group.fix.sentence)}")
        if line.resolved or view.made_good_by:
            boxes.remark(
                what_came_later(line) if line.resolved else "A later run left nothing behind.",
                icon="check_circle",
                color="green",
            )
        found = run_reads.failures(
            visit.bridge(), visit.actor(), name, group=line, limit=SAMPLE_ROWS
        )
        chosen = st.dataframe(
            samples(_with_source(name, line, found), line.fields, targets=_targets(view, found)),
            hide_index=True,
            row_height=tables.ROW_HEIGHT,
            height="content" if len(found) < 6 else 230,
            key=f"run.samples.{line.mapping_name}.{line.fingerprint}",
            alt="Rows of this group with their values",
            on_select="rerun",
            selection_mode="multi-row",
        )
        _acts(view, line, [found[at] for at in chosen.selection.rows if at < len(found)])


def what_failed(line: run_reads.GroupLine) -> str:
    """Rows, or what rows that arrived go without: those are no failed rows of the run."""
    if line.phase == "finally":
        return f"last fields of {figures.plural(line.rows, 'row')} not filled in"
    if line.kind == "left_blank" or line.phase == "second_pass":
        return f"{figures.plural(line.rows, 'lookup')} left blank, the rows arrived"
    return figures.plural(line.rows, "row")


def what_came_later(line: run_reads.GroupLine) -> str:
    """What a later run made good of the group."""
    if line.phase == "finally":
        rows = figures.plural(line.resolved, "row")
        return f"The last fields of {rows} were filled in by a later run."
    if line.kind == "left_blank" or line.phase == "second_pass":
        were = "was" if line.resolved == 1 else "were"
        return f"{figures.plural(line.resolved, 'lookup')} {were} filled in by a later run."
    return f"{figures.plural(line.resolved, 'row')} arrived in a later run."


def _acts(
    view: run_reads.RunView,
    line: run_reads.GroupLine,
    picked: Sequence[run_reads.FailureLine],
) -> None:
    """Retry the group or the chosen rows, take them home, go and mend them."""
    name = view.row.name
    with st.container(horizontal=True):
        rows = len(picked) or line.rows - line.resolved
        if (
            rows
            and visit.may(Role.ANALYST)
            and run_again.can_retry(view)
            and st.button(
                f"Retry {figures.plural(rows, 'row')}…",
                type="primary",
                icon=":material/replay:",
                key="run.group.retry",
                help="All rows of this group, or those you tick above",
            )
        ):
            run_again.ask_retry(view, choice_of(line, picked))
        export.button(
            f"failed-{name}-{line.code.lower()}", lambda: group_csv(name, line), key="run.group.csv"
        )
        if view.row.living_plan_id and st.button(
            "Open plan", type="tertiary", icon=":material/conversion_path:", key="run.group.plan"
        ):
            where = {"plan": str(view.row.living_plan_id), "object": line.mapping_name}
            registry.go("plans", **where, **({"q": line.fields[0]} if line.fields else {}))


def choice_of(
    line: run_reads.GroupLine, picked: Sequence[run_reads.FailureLine]
) -> retrying.RetryChoice:
    """The ticked rows, or the whole group."""
    return retrying.RetryChoice(
        fingerprints=(line.fingerprint,),
        mappings=(line.mapping_name,),
        source_ids=tuple(row.source_id for row in picked if row.source_id),
    )


def _targets(view: run_reads.RunView, found: Sequence[run_reads.FailureLine]) -> list[str | None]:
    """Ids in the target where these are what one looks at: an undo leaves records there alone."""
    return [row.target_id for row in found] if view.row.mode == "undo" else []


def _with_source(
    name: str, line: run_reads.GroupLine, found: Sequence[run_reads.FailureLine]
) -> list[tuple[str | None, Mapping[str, Any]]]:
    """Source id and the values sent; for rows that were held back, the values as they were read."""
    unsent = [row.source_id for row in found if row.source_id and not row.sent]
    read: Mapping[str, Mapping[str, str | None]] = {}
    if unsent:
        try:
            read = run_files.source_values(
                visit.bridge(), visit.actor(), name, mapping=line.mapping_name, ids=unsent
            )
        except OrgbridgeError:
            read = {}  # the run's pages are no longer kept: the ids stand alone
    return [(row.source_id, row.sent or read.get(row.source_id or "", {})) for row in found]


def group_csv(name: str, line: run_reads.GroupLine) -> bytes:
    """All rows of one group, with the values that were sent; of rows that were held back, as they
    were read."""
    found = run_reads.failures(visit.bridge(), visit.actor(), name, group=line, limit=GROUP_ROWS)
    values = [values for _, values in _with_source(name, line, found)]
    columns = sorted({field for each in values for field in each})
    return export.csv_bytes(
        ["source_id", "target_id", "code", "message", "resolved_by", *columns],
        (
            [row.source_id, row.target_id, row.code, row.message, row.resolved_by]
            + [each.get(field) for field in columns]
            for row, each in zip(found, values, strict=True)
        ),
    )


def samples(
    found: Sequence[tuple[str | None, Mapping[str, Any]]],
    guilty: Sequence[str],
    *,
    targets: Sequence[str | None] = (),
) -> pd.DataFrame:
    """Source id, target id if asked for, name, then the guilty fields, then the other values."""
    records = [{"Source id": source_id, **values} for source_id, values in found]
    data = pd.DataFrame(records).fillna("")
    if targets:
        data.insert(1, "Target id", [target or "" for target in targets])
    named = [field for field in NAMES if field in data.columns and data[field].any()]
    wanted = dict.fromkeys(("Source id", "Target id", *named, *guilty))
    first = [field for field in wanted if field in data.columns]
    return data[[*first, *(name for name in data.columns if name not in (*first, "Id"))]]
