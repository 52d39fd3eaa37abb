"""Selected values as the REST and Bulk APIs write them, written by the store itself."""

from __future__ import annotations

from orgsim.soql.plan import Column, Plan

#: Field types whose stored value is JSON already.
_JSON_TYPES = frozenset({"address", "location"})


def rest_sql(column: Column) -> str:
    """Return the SQL of a value in the form of a JSON answer: times as text, the rest as it is."""
    if column.field.type == "datetime":
        return f"(replace(cast({column.sql} AS VARCHAR), ' ', 'T') || '.000+0000')"
    if column.field.type in {"date", "time"}:
        suffix = " || '.000Z'" if column.field.type == "time" else ""
        return f"(cast({column.sql} AS VARCHAR){suffix})"
    return column.sql


def csv_sql(column: Column) -> str:
    """Return the SQL of a value in the form of a bulk query's CSV: text, empty for null."""
    if column.field.type == "datetime":
        return f"(replace(cast({column.sql} AS VARCHAR), ' ', 'T') || '.000Z')"
    if column.field.type == "time":
        return f"(cast({column.sql} AS VARCHAR) || '.000Z')"
    return f"cast({column.sql} AS VARCHAR)"


def is_json(column: Column) -> bool:
    """Return whether the rendered value is JSON text to be put in as an object."""
    return column.field.type in _JSON_TYPES


def rest_columns(plan: Plan) -> list[str]:
    """Return what a page is built from: the row's id, the values, then id and type of each parent.

    A grouped row has no id.
    """
    values = [rest_sql(column) for column in plan.columns]
    if plan.id_sql is None:
        return values
    parents: list[str] = []
    for parent in plan.parents:
        parents += [parent.id_sql, parent.type_sql or "NULL"]
    return [plan.id_sql, *values, *parents]
