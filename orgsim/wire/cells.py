"""JSON records as text frames for the save path: one column a field, dotted columns for parents'
keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from orgsim.dml.outcomes import SET_NULL
from orgsim.schema.model import SObject
from orgsim.wire.errors import ApiError


def frame_of(records: Sequence[Mapping[str, Any]], sobject: SObject) -> pl.DataFrame:
    """A text frame of the records, ``attributes`` left out; missing keys are null (not given).

    Raises:
        ApiError: 400 for a value that no field can hold.
    """
    rows = [_cells(record, sobject) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    # A frame without columns has no rows: records that say nothing still are records.
    names = names or [next(one.name for one in sobject.fields.values() if one.createable)]
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))


def _cells(record: Mapping[str, Any], sobject: SObject) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, value in record.items():
        if name == "attributes":
            continue
        if isinstance(value, Mapping):
            made.update(_parent(name, value, sobject))
        else:
            made[_canonical(name, sobject)] = _text(name, value, sobject)
    return made


def _canonical(name: str, sobject: SObject) -> str:
    """One spelling a field, so that ``name`` and ``Name`` of two records share a column."""
    if name.lower() == "id":
        return "Id"
    field = sobject.field(name)
    return field.name if field else name


def _parent(name: str, value: Mapping[str, Any], sobject: SObject) -> dict[str, str]:
    """``{"Account": {"Ext__c": "7"}}`` names the parent by its key."""
    kind = (value.get("attributes") or {}).get("type")
    keys = [key for key in value if key != "attributes"]
    if len(keys) != 1:
        raise ApiError(400, "INVALID_FIELD",
                       f"Exactly one field must be given for the relationship {name}")  # fmt: skip
    head = f"{kind}:{name}" if kind and _is_many(name, sobject) else name
    return {f"{head}.{keys[0]}": _text(keys[0], value[keys[0]], sobject)}


def _is_many(name: str, sobject: SObject) -> bool:
    field = sobject.relationship(name)
    return field is not None and len(field.reference_to) > 1


def _text(name: str, value: object, sobject: SObject) -> str:
    match value:
        case None | "":
            return SET_NULL
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case float():
            return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    field = sobject.field(name)
    kind = field.type if field else "string"
    raise ApiError(
        400,
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {kind} from START_ARRAY value [line:1, column:1]",
    )
