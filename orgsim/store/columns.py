"""Which DuckDB column holds a field, and the table an object needs."""

from __future__ import annotations

import polars as pl

from orgsim.schema.model import Field, SObject

_SQL_TYPES = {
    "boolean": "BOOLEAN", "int": "BIGINT", "long": "BIGINT", "double": "DOUBLE",
    "currency": "DOUBLE", "percent": "DOUBLE", "date": "DATE", "datetime": "TIMESTAMP",
    "time": "TIME",
}  # fmt: skip
_POLARS_TYPES: dict[str, pl.DataType] = {
    "BOOLEAN": pl.Boolean(), "BIGINT": pl.Int64(), "DOUBLE": pl.Float64(), "DATE": pl.Date(),
    "TIMESTAMP": pl.Datetime("us"), "TIME": pl.Time(), "VARCHAR": pl.String(),
}  # fmt: skip

#: Columns that every table has, described or not.
ALWAYS = {"Id": "VARCHAR", "IsDeleted": "BOOLEAN", "SystemModstamp": "TIMESTAMP",
          "CreatedDate": "TIMESTAMP", "CreatedById": "VARCHAR", "LastModifiedDate": "TIMESTAMP",
          "LastModifiedById": "VARCHAR"}  # fmt: skip


def sql_type(field: Field) -> str:
    """The DuckDB type of a stored field."""
    return _SQL_TYPES.get(field.type, "VARCHAR")


def polars_type(field: Field) -> pl.DataType:
    """The polars type of a stored field, as it comes out of the store."""
    return _POLARS_TYPES[sql_type(field)]


def quoted(name: str) -> str:
    """A name as SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def columns_of(sobject: SObject) -> dict[str, str]:
    """Column name → SQL type of an object's table, described order, system columns included."""
    made = {one.name: sql_type(one) for one in sobject.stored_fields}
    return {**made, **{name: kind for name, kind in ALWAYS.items() if name not in made}}
