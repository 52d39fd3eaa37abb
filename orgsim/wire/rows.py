"""Reads rows by id for the record resources, in the JSON that queries answer with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from orgsim.schema.model import SObject
from orgsim.soql.endpoints import run_query
from orgsim.wire.errors import ApiError
from orgsim.wire.router import Call

_SAFE = re.compile(r"^[A-Za-z0-9]{15,18}$")


def read_rows(
    call: Call, sobject: SObject, ids: Sequence[str], fields: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Rows by 18-character id; ids that are not there are left out."""
    wanted = [one for one in ids if _SAFE.match(one)]
    if not wanted:
        return {}
    listed = ", ".join(dict.fromkeys(["Id", *fields]))
    quoted = ", ".join(f"'{one}'" for one in wanted)
    text = f"SELECT {listed} FROM {sobject.name} WHERE Id IN ({quoted})"
    answer = run_query(call, text, all_rows=False)
    records = list(answer["records"])
    return {str(one["Id"]): one for one in records}


def all_fields(sobject: SObject) -> list[str]:
    """Every field that a record read without ``fields`` shows."""
    return [one.name for one in sobject.fields.values()]


def asked_fields(call: Call, sobject: SObject) -> list[str]:
    """The ``fields`` parameter, checked; every field without it."""
    text = call.query.get("fields")
    if not text:
        return all_fields(sobject)
    names = [one.strip() for one in text.split(",") if one.strip()]
    for name in names:
        if "." not in name and sobject.field(name) is None:
            raise ApiError(
                400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}"
            )
    return names
