"""The import half of the CSV page: upload, tables as they are read, odd cells, the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.roles import Role
from core.services import files, importing, operations, orgs, plans
from pages import registry
from pages.parts import boxes, export, figures, state, tables, visit, words
from pages.parts.boxes import escaped

KIND = "read_files"
TYPES = ["string", "textarea", "int", "double", "boolean", "date", "datetime"]
SIGNS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "^": "caret", "`": "backtick"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "cp437", "shift_jis", "gb18030"]
LIST = {
    "name": st.column_config.TextColumn("Files", pinned=True, width=320),
    "status": words.pills("State", words.FILE_STATES.values(), width=110),
    "rows": tables.rows_column("Rows", width=100),
    "size": st.column_config.NumberColumn("Size", format="bytes", width=90),
    "by": st.column_config.TextColumn("By", width=180),
    "at": tables.time_column("Uploaded", width=190),
}
ODD = {
    "line": tables.rows_column("Line", width=80),
    "column": st.column_config.TextColumn("Column", width=160),
    "value": st.column_config.TextColumn("Value", width=260),
    "reason": st.column_config.TextColumn("What is odd", width=320),
}


def listing(found: Sequence[files.FileSetRow]) -> None:
    """All sets; a click opens one."""
    data = tables.frame(
        [
            {
                "name": row.name,
                "status": [words.FILE_STATES[row.status].label],
                "rows": row.rows if row.status == "read" else None,
                "size": row.bytes,
                "by": row.created_by,
                "at": row.created_at,
            }
            for row in found
        ],
        list(LIST),
    )
    chosen = tables.show(
        data,
        LIST,
        key="csv.table",
        alt="Uploaded files, the newest first",
        on_select="rerun",
        selection_mode="single-row",
    )
    at = tables.picked(chosen)
    if at is not None:
        registry.go("csv_files", files=found[at].name)


def upload() -> None:
    """Takes files in; opens what came of them."""
    with st.form("csv.upload", width=640):
        name = st.text_input(
            "Name",
            placeholder="customers",
            autocomplete="off",
            help="Plans name the files so. “customers 2” is a later delivery of “customers”: rows "
            "with the same key are the same records.",
        )
        sent = st.file_uploader(
            "CSV files, or a zip of them",
            type=["csv", "tsv", "txt", "zip"],
            accept_multiple_files=True,
        )
        st.caption("Up to 200 MB here; larger ones by the terminal: cli.py files import FILE.")
        if not st.form_submit_button("Look at the files", type="primary"):
            return
    uploads = [
        files.Upload(one.name, iter(lambda one=one: one.read(4_000_000), b"")) for one in sent
    ]
    if boxes.acted(files.keep, visit.bridge(), visit.actor(), name=name or "", uploads=uploads):
        registry.go("csv_files", files=" ".join((name or "").split()))


def one_set(row: files.FileSetRow) -> None:
    """Where a set stands, and the next step."""
    if row.status == "read":
        _ready(row)
        return
    entry = _last(row)
    if entry is not None and entry.status in ("pending", "running"):
        _reading(row.name)
        return
    if entry is not None and entry.error_message:
        st.error(escaped(entry.error_message), title="The files could not be read")
    _tables_form(row)


def _last(row: files.FileSetRow) -> operations.LogEntry | None:
    found = operations.entries(visit.bridge(), visit.actor(), KIND)
    mine = [one for one in found if one.parameters.get("files") == row.name]
    return next((one for one in mine if one.created_at >= row.created_at), None)


@st.fragment(run_every=1.0)
def _reading(name: str) -> None:
    """How far the reading is; ends by itself."""
    row = files.file_set(visit.bridge(), visit.actor(), name)
    entry = _last(row)
    if entry is None or entry.status not in ("pending", "running"):
        st.rerun()
    st.markdown(f"{words.word(words.STATUSES, entry.status).badge}  {escaped(entry.message or '')}")
    st.caption("You may leave this page; the reading goes on.")


def _tables_form(row: files.FileSetRow) -> None:
    heads = files.heads(visit.bridge(), visit.actor(), row)
    specs = files.tables(row)
    may_change = visit.may(Role.ANALYST)
    given: list[dict[str, Any]] = []
    for spec, head in zip(specs, heads, strict=True):
        with st.container(border=True):
            given.append(_table(spec, head.rows, row=row, specs=specs))
    if may_change and st.button("Read the files", type="primary", key="csv.read"):
        here = (visit.bridge(), visit.actor())
        if boxes.acted(files.describe_tables, *here, row.id, given) and boxes.acted(
            operations.enqueue, *here, KIND, given={"files": row.name}
        ):
            st.rerun()


def _table(
    spec: files.TableSpec,
    rows: Sequence[Sequence[str]],
    *,
    row: files.FileSetRow,
    specs: Sequence[files.TableSpec],
) -> dict[str, Any]:
    """One table as it will be read; what the person made of it."""
    key = f"csv.{row.id}.{spec.part}"
    st.markdown(f"**{escaped(spec.file_name)}**")
    name, encoding, sign = st.columns([0.5, 0.25, 0.25])
    said = spec.model_dump(mode="json")
    said["object"] = name.text_input("Table", spec.object, key=f"{key}.object") or ""
    offered = list(dict.fromkeys([spec.encoding, *ENCODINGS]))
    said["encoding"] = encoding.selectbox("Encoding", offered, key=f"{key}.encoding")
    sign.text_input(
        "Delimiter", SIGNS.get(spec.delimiter, spec.delimiter), disabled=True, key=f"{key}.sign"
    )
    for remark in spec.remarks:
        boxes.remark(escaped(remark))
    labels = [column.name for column in spec.columns]
    if rows:
        width = len(labels)
        shown = [[*line[:width], *[""] * (width - len(line))] for line in rows]
        st.dataframe(
            pd.DataFrame(shown, columns=labels),
            hide_index=True,
            height="content",
            key=f"{key}.head",
            alt=f"First rows of {spec.file_name}",
        )
    said["columns"] = _columns(spec, key)
    said["key"] = st.multiselect(
        "A row is known again by",
        labels,
        default=list(spec.key),
        key=f"{key}.key",
        placeholder="All of its columns",
    )
    said["links"] = _links(spec, specs, key)
    return said


def _columns(spec: files.TableSpec, key: str) -> list[dict[str, Any]]:
    """Type and format per column, editable."""
    plain = [column.model_dump(mode="json") for column in spec.columns]
    with st.expander(f"{len(plain)} columns: types and formats"):
        edited = st.data_editor(
            pd.DataFrame(plain)[["name", "label", "type", "format"]],
            column_config={
                "name": st.column_config.TextColumn("Field", required=True),
                "label": st.column_config.TextColumn("Header", disabled=True),
                "type": st.column_config.SelectboxColumn("Type", options=TYPES, required=True),
                "format": st.column_config.TextColumn(
                    "Format", help="Dates: %d.%m.%Y and so on. Numbers: point or comma."
                ),
            },
            hide_index=True,
            key=f"{key}.columns",
        )
    changed = edited.fillna("").to_dict("records")
    return [{**old, **new} for old, new in zip(plain, changed, strict=True)]


def _links(
    spec: files.TableSpec, specs: Sequence[files.TableSpec], key: str
) -> list[dict[str, Any]]:
    """Columns that name rows of other tables, or records of the target."""
    known = pd.DataFrame(
        [link.model_dump() for link in spec.links], columns=["column", "object", "by"]
    )
    with st.expander(f"Lookups by value ({len(spec.links)})"):
        st.caption(
            "A column that names rows of another table by their key, or records that the target "
            "org has by one of their fields. Tables here: "
            + ", ".join(
                escaped(f"{one.object} ({', '.join(one.key) or 'no key'})") for one in specs
            )
        )
        edited = st.data_editor(
            known,
            column_config={
                "column": st.column_config.SelectboxColumn(
                    "Column", options=[one.name for one in spec.columns], required=True
                ),
                "object": st.column_config.TextColumn("Table or object", required=True),
                "by": st.column_config.TextColumn("By its field", required=True),
            },
            num_rows="dynamic",
            hide_index=True,
            key=f"{key}.links",
        )
    return [one for one in edited.fillna("").to_dict("records") if all(one.values())]


def _ready(row: files.FileSetRow) -> None:
    """Rows per table, what was odd, and the way to a plan."""
    specs = {spec.object: spec for spec in files.tables(row)}
    shown = [
        {"table": one["object"], "file": specs[one["object"]].file_name, "rows": one["rows"],
         "left_out": one["left_out"], "odd": one["bad_cells"]}
        for one in row.document["read"]
    ]  # fmt: skip
    tables.show(
        tables.frame(shown, list(shown[0])),
        {
            "table": st.column_config.TextColumn("Table", width=200),
            "file": st.column_config.TextColumn("File", width=240),
            "rows": tables.rows_column("Rows", width=100),
            "left_out": tables.rows_column("Left out", width=100),
            "odd": tables.rows_column("Odd cells", width=100),
        },
        key="csv.read_tables",
        alt="Tables that were read",
    )
    odd = files.odd_cells(row)
    if odd:
        with st.expander(f"{figures.count(len(odd))} odd cells and lines", expanded=False):
            plain = [{name: getattr(one, name) for name in ODD} for one in odd]
            tables.show(tables.frame(plain, list(ODD)), ODD, key="csv.odd", alt="Odd cells")
            export.button("odd-cells", lambda: files.odd_cells_csv(row), key="csv.odd.csv")
    if visit.may(Role.ANALYST):
        _plan_form(row)


def _plan_form(row: files.FileSetRow) -> None:
    """A new plan, or the next delivery of one."""
    cards = [card.name for card in orgs.orgs(visit.bridge(), visit.actor())]
    if not cards:
        boxes.empty("No org yet", "Rows of files are loaded into a connected org.")
        return
    st.subheader("Load them", anchor=False)
    target = st.selectbox("Into", cards, key="csv.target", width=300)
    guessed: list[importing.TableTarget] = []
    here = (visit.bridge(), visit.actor())
    if not boxes.acted(lambda: guessed.extend(importing.targets(*here, row, target=target))):
        return
    plain = [
        {"table": one.table, "target": one.target, "operation": one.operation,
         "key_column": one.key_column, "key_field": one.key_field}
        for one in guessed
    ]  # fmt: skip
    with st.form("csv.plan"):
        name = st.text_input("Plan", row.name, autocomplete="off", width=300)
        edited = st.data_editor(
            pd.DataFrame(plain),
            column_config={
                "table": st.column_config.TextColumn("Table", disabled=True),
                "target": st.column_config.TextColumn("Becomes", help="Leave blank to skip it"),
                "operation": st.column_config.SelectboxColumn(
                    "Operation", options=["insert", "update", "upsert"], required=True
                ),
                "key_column": st.column_config.TextColumn("Key column"),
                "key_field": st.column_config.TextColumn("Key field in the target"),
            },
            hide_index=True,
            key=f"csv.targets.{row.id}.{target}",
        )
        made = st.form_submit_button("Make the plan", type="primary")
    if made:
        chosen = [importing.TableTarget(**one) for one in edited.fillna("").to_dict("records")]
        if boxes.acted(
            importing.plan_of, *here, row, target=target, name=(name or "").strip(), tables=chosen
        ):
            view = plans.plan(*here, name=(name or "").strip())
            registry.go("plans", plan=str(view.row.id))
    _delivery_form(row)


def _delivery_form(row: files.FileSetRow) -> None:
    names = [one.name for one in plans.plans(visit.bridge(), visit.actor())]
    if not names:
        return
    with st.expander("Or as the next delivery of a plan"), st.form("csv.deliver", border=False):
        plan = st.selectbox("Plan", names, width=300)
        if st.form_submit_button("Let it read these files") and boxes.acted(
            importing.deliver, visit.bridge(), visit.actor(), row, plan=plan
        ):
            st.session_state[state.TOAST] = f"{plan} reads {row.name} now."
            st.rerun()
