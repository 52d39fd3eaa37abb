"""Reads a folder of CSV files, one sobject a file: plain exports and SFDMU's working folder.

In a plain export a row is known by its ``Id`` and lookups hold old ids. SFDMU knows a row by the
external id of its ``export.json`` (``Code``, or several fields joined with ``;``), lookups are
columns such as ``Product2.StockKeepingUnit`` or ``Parent.$$A.Code$B.Code``.
Source: SFDMU help, "CSV files as a source".
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orgsim.seeds.tables import REF, DataSetError, Row, Table

_FIELD_BYTES_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class _Naming:
    """How an SFDMU export names the rows of one object, and whether known ones are updated."""

    fields: tuple[str, ...]
    updates: bool

    @property
    def column(self) -> str:
        """The column that holds the name."""
        return self.fields[0] if len(self.fields) == 1 else "$$" + "$".join(self.fields)


def csv_tables(folder: Path) -> Iterator[Table]:
    """Yield one table a CSV file; with an ``export.json`` in its order and with its keys.

    Raises:
        DataSetError: A file cannot be read.
    """
    namings = _namings(folder / "export.json")
    files = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    ordered = [name for name in namings if name in files]
    for name in [*ordered, *(name for name in files if name not in namings)]:
        naming = namings.get(name)
        key = naming.fields if naming is not None and naming.updates else ()
        column = naming.column if naming is not None else None
        rows = tuple(_rows(files[name], name, column))
        yield Table(name, rows, key=key if key != ("Id",) else ())


def _namings(export: Path) -> dict[str, _Naming]:
    """Return how the rows of each object are named, from an SFDMU export."""
    if not export.is_file():
        return {}
    document = json.loads(export.read_text(encoding="utf-8"))
    sets = document.get("objectSets") or [document]
    found: dict[str, _Naming] = {}
    for one in (entry for part in sets for entry in part.get("objects") or ()):
        sobject = str(one["query"]).split(" FROM ", 1)[-1].split()[0]
        updates = str(one.get("operation") or "Upsert").lower() != "insert"
        found.setdefault(
            sobject, _Naming(tuple(str(one.get("externalId") or "Id").split(";")), updates)
        )
    return found


def _rows(path: Path, sobject: str, key: str | None) -> Iterator[Row]:
    csv.field_size_limit(_FIELD_BYTES_MAX)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for found in csv.DictReader(lines, restkey="$$rest", restval=""):
                yield _row(found, sobject, key)
    except (csv.Error, UnicodeDecodeError) as problem:
        raise DataSetError(f"{path.name}: {problem}") from problem


def _row(found: dict[str, str], sobject: str, key: str | None) -> Row:
    row: Row = {}
    name = found.get(key or "Id")
    if name:
        row[REF] = f"{sobject}|{name}" if key else name
    for column, value in found.items():
        # "#N/A" is how SFDMU writes null; "$$…" repeats the key.
        if column != "Id" and not column.startswith("$$"):
            row[column] = None if value in {"", "#N/A"} else value
    return row
