"""Reading uploaded files: every table once, into sealed pages that plans then read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.db import file_sets
from core.db.file_sets import FileSetRow
from core.errors import ConflictError
from core.files.archive import KeptUpload, open_part, parts_of
from core.files.reading import ReadTable, read_table
from core.files.tables import BadCell, TableSpec
from core.operations.protocol import Operation, OperationContext, Parameters, Report

#: odd cells and lines that the set keeps for people to look at
BAD_KEPT = 1_000


class ReadFilesParameters(Parameters):
    """Which files."""

    #: name of the file set
    files: str


def carry(context: OperationContext, parameters: ReadFilesParameters) -> Report:
    """Read every table of a set; afterwards plans may read from it. A second reading starts anew.

    Raises:
        ConflictError: the set was read before; what plans read from it never changes.
    """
    with context.session() as session:
        row = file_sets.named(session, parameters.files)
    if row.status == "read":
        raise ConflictError(
            f"The files {row.name} have been read already.",
            state="Nothing was changed.",
            next_step="Upload the files again, under another name, to read them otherwise.",
        )
    read, bad = _read(context, row)
    document = {
        **row.document,
        "read": [asdict(one) for one in read],
        "bad": [asdict(one) for one in bad[:BAD_KEPT]],
    }
    rows = sum(one.rows for one in read)
    with context.session() as session:
        file_sets.change(session, row.id, {"status": "read", "document": document, "rows": rows})
    left_out = sum(one.left_out for one in read)
    odd = sum(one.bad_cells for one in read)
    tables = f"{len(read)} tables" if len(read) != 1 else "one table"
    sentence = f"{rows:,} {'row' if rows == 1 else 'rows'} of {tables} ready."
    if left_out or odd:
        lines = "line was" if left_out == 1 else "lines were"
        cells = "cell is" if odd == 1 else "cells are"
        sentence += f" {left_out:,} {lines} left out, {odd:,} {cells} odd."
    result: Mapping[str, Any] = {"files": row.name, "tables": document["read"], "rows": rows}
    return Report(result, sentence, partial=bool(left_out or odd))


def _read(context: OperationContext, row: FileSetRow) -> tuple[list[ReadTable], list[BadCell]]:
    spool = context.spool(row.id, row.wrapped_key)
    uploads = tuple(KeptUpload(**one) for one in row.document["uploads"])
    parts = parts_of(spool, uploads)
    read: list[ReadTable] = []
    bad: list[BadCell] = []
    for given in row.document["tables"]:
        spec = TableSpec.model_validate(given)

        def beat(rows: int, name: str = spec.file_name) -> None:
            context.progress(f"{name}: {rows:,} rows read.")

        with open_part(spool, uploads, parts[spec.part]) as file:
            done, odd = read_table(file, spec, spool, beat=beat)
        read.append(done)
        bad.extend(odd)
    return read, bad


OPERATION = Operation(
    kind="read_files",
    title="CSV import",
    purpose="Read uploaded CSV files, so that plans can take rows from them.",
    parameters=ReadFilesParameters,
    carry=carry,
    log_table="csv_data_log",
)
