"""Reads a CumulusCI data set: an SQL dump and the mapping that names its tables.

Source: CumulusCI documentation, "Extract and Load Data"; both its mapping forms (list and mapping
of fields) and its record-type tables are read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from orgsim.seeds.tables import REF, DataSetError, Row, Table


def cumulusci_tables(sql: Path, mapping: Path) -> Iterator[Table]:
    """Yield one table a step of the mapping, in its order.

    Raises:
        DataSetError: The dump or the mapping cannot be read; the message names the step.
    """
    steps = yaml.safe_load(mapping.read_text(encoding="utf-8"))
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(sql.read_text(encoding="utf-8"))
        connection.row_factory = sqlite3.Row
        for name, step in steps.items():
            if not isinstance(step, Mapping):
                raise DataSetError(f"{mapping.name}: step {name!r} is no mapping")
            if "sf_object" in step:
                yield Table(str(step["sf_object"]), tuple(_rows(connection, name, step)))
    except sqlite3.Error as problem:
        raise DataSetError(f"{sql.name}: {problem}") from problem
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection, name: str, step: Mapping[str, Any]) -> Iterator[Row]:
    table = str(step.get("table") or step["sf_object"])
    columns = _columns(step)
    record_types = _record_types(connection, table)
    filters = " AND ".join(f"({condition})" for condition in step.get("filters") or ())
    statement = f'SELECT * FROM "{table}"' + (f" WHERE {filters}" if filters else "")
    for found in connection.execute(statement):
        known = set(found.keys())
        key = _key(found, known)
        row: Row = {REF: f"{table}-{key}"}
        for field, column in columns.items():
            if column in known and column not in {"id", "sf_id"}:
                row[field] = found[column] or None
        row.update(_lookups(step, found, known))
        if "RecordTypeId" in row:
            row["RecordTypeId"] = record_types.get(str(row["RecordTypeId"]))
        elif step.get("record_type"):
            row["RecordTypeId"] = f"@RecordType|{step['sf_object']}.{step['record_type']}"
        row.update(step.get("static") or {})
        yield row


def _columns(step: Mapping[str, Any]) -> dict[str, str]:
    fields = step.get("fields") or {}
    if isinstance(fields, Mapping):
        return {str(field): str(column) for field, column in fields.items()}
    return {str(field): str(field) for field in fields}


def _key(found: sqlite3.Row, known: set[str]) -> Any:
    return found["sf_id"] if "sf_id" in known and "id" not in known else found["id"]


def _lookups(step: Mapping[str, Any], found: sqlite3.Row, known: set[str]) -> Row:
    row: Row = {}
    for field, lookup in (step.get("lookups") or {}).items():
        tables = lookup["table"] if isinstance(lookup["table"], list) else [lookup["table"]]
        column = _lookup_column(str(lookup.get("key_field") or field), known)
        value = found[column] if column is not None else None
        if value in (None, ""):
            row[field] = None
        elif len(tables) == 1:
            row[field] = f"@{tables[0]}-{value}"
        else:
            # A polymorphic lookup already names the table in its value.
            row[field] = f"@{value}"
    return row


def _lookup_column(name: str, known: set[str]) -> str | None:
    """Return the column of a lookup; dumps differ in letter case and in the ending ``_id``."""
    lower = {column.lower(): column for column in known}
    for tried in (name, f"{name}_id", name.removesuffix("Id") + "_id"):
        if tried.lower() in lower:
            return lower[tried.lower()]
    return None


def _record_types(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return old record type id → reference, from ``<table>_rt_mapping`` if there is one."""
    try:
        found = connection.execute(
            f'SELECT record_type_id, developer_name FROM "{table}_rt_mapping"'
        ).fetchall()
    except sqlite3.OperationalError:
        return {}
    return {row[0]: f"@RecordType|{table}.{row[1]}" for row in found}
