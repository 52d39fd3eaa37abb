"""sObject Collections: up to 200 records a call, answered in request order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from orgsim import dml
from orgsim.dml.outcomes import ROLLED_BACK, ROLLED_BACK_MESSAGE, Outcomes, UnknownFieldError
from orgsim.dml.save import Save
from orgsim.schema.model import SObject
from orgsim.store.ids import to18
from orgsim.wire.cells import frame_of
from orgsim.wire.errors import ApiError
from orgsim.wire.router import Call, Reply, Rule
from orgsim.wire.rows import asked_fields, read_rows
from orgsim.wire.saving import body_object, results, save_of, sobject_of, unknown_field

#: Source: REST API guide, "sObject Collections".
RECORDS_MAX = 200
#: Runs of equal type in one call.
RUNS_MAX = 10
READ_MAX = 2000

_Write = Callable[[Save, SObject, Sequence[Mapping[str, Any]]], Outcomes]


def create(call: Call) -> Reply:
    """POST /composite/sobjects."""
    return _write(call, lambda save, sobject, records: dml.insert(
        save, sobject.name, frame_of(records, sobject)))  # fmt: skip


def update(call: Call) -> Reply:
    """PATCH /composite/sobjects."""
    return _write(call, lambda save, sobject, records: dml.update(
        save, sobject.name, frame_of(records, sobject)))  # fmt: skip


def upsert(call: Call) -> Reply:
    """PATCH /composite/sobjects/X/Key__c."""
    key = call.parameters["key"]
    return _write(call, lambda save, sobject, records: dml.upsert(
        save, sobject.name, key, frame_of(records, sobject)), created=True)  # fmt: skip


def delete(call: Call) -> Reply:
    """DELETE /composite/sobjects?ids=a,b."""
    ids = [one for one in call.query.get("ids", "").split(",") if one]
    _check_count(ids)
    all_or_none = call.query.get("allOrNone", "").lower() == "true"
    return Reply(body=results(dml.delete(save_of(call, all_or_none=all_or_none), ids)))


def read(call: Call) -> Reply:
    """GET /composite/sobjects/X?ids=&fields= and POST with both in the body; null for what is not
    there."""
    sobject = sobject_of(call, call.parameters["sobject"])
    if call.method == "POST":
        body = body_object(call)
        ids, fields = list(body.get("ids") or ()), list(body.get("fields") or ())
    else:
        ids = call.query.get("ids", "").split(",")
        fields = asked_fields(call, sobject)
    if len(ids) > READ_MAX:
        raise _too_many(READ_MAX)
    full = [to18(one) or one for one in ids]
    found = read_rows(call, sobject, full, fields)
    return Reply(body=[found.get(one) for one in full])


def _write(call: Call, work: _Write, *, created: bool = False) -> Reply:
    body = body_object(call)
    records = body.get("records")
    if not isinstance(records, list) or not records:
        raise ApiError(400, "MISSING_ARGUMENT", "The records parameter is required")
    _check_count(records)
    save = save_of(call, all_or_none=bool(body.get("allOrNone")))
    runs = [list(run) for _, run in groupby(records, key=_type_of)]
    if len(runs) > RUNS_MAX:
        raise ApiError(400, "INVALID_BATCH_SIZE", f"Cannot have more than {RUNS_MAX} chunks")
    try:
        return Reply(body=_results_of(call, save, runs, work, created=created))
    except UnknownFieldError as error:
        raise unknown_field(error) from error


class _UndoneError(Exception):
    """Takes the results of an all-or-none call with several types out of its transaction."""

    def __init__(self, made: list[dict[str, Any]]) -> None:
        super().__init__()
        self.made = made


def _results_of(
    call: Call, save: Save, runs: list[list[Mapping[str, Any]]], work: _Write, *, created: bool
) -> list[dict[str, Any]]:
    if len(runs) == 1 or not save.options.all_or_none:
        return [
            one
            for run in runs
            for one in results(work(save, _sobject(call, run[0]), run), created=created)
        ]
    try:
        with save.store.write():
            made = [
                one
                for run in runs
                for one in results(work(save, _sobject(call, run[0]), run), created=created)
            ]
            if not all(one["success"] for one in made):
                raise _UndoneError(made)
            return made
    except _UndoneError as undone:
        return [_rolled_back() if one["success"] else one for one in undone.made]


def _rolled_back() -> dict[str, Any]:
    error = {"statusCode": ROLLED_BACK, "message": ROLLED_BACK_MESSAGE, "fields": []}
    return {"success": False, "errors": [error]}


def _type_of(record: object) -> str:
    attributes = record.get("attributes") if isinstance(record, Mapping) else None
    name = (attributes or {}).get("type")
    if not name:
        raise ApiError(400, "INVALID_INPUT", "Include an entity type in each record's attributes")
    return str(name)


def _sobject(call: Call, record: Mapping[str, Any]) -> SObject:
    named = _type_of(record)
    found: SObject | None = call.schema.sobject(named)
    if found is None:
        raise ApiError(400, "INVALID_TYPE", f"sObject type '{named}' is not supported.")
    return found


def _check_count(records: Sequence[Any]) -> None:
    if len(records) > RECORDS_MAX:
        raise _too_many(RECORDS_MAX)


def _too_many(most: int) -> ApiError:
    return ApiError(
        400,
        "EXCEEDED_ID_LIMIT",
        (f"record limit reached. cannot submit more than {most} records into this call"),
    )


RULES = [
    Rule("POST", "composite/sobjects", create),
    Rule("PATCH", "composite/sobjects", update),
    Rule("DELETE", "composite/sobjects", delete),
    Rule("PATCH", "composite/sobjects/{sobject}/{key}", upsert),
    Rule("GET", "composite/sobjects/{sobject}", read),
    Rule("POST", "composite/sobjects/{sobject}", read),
]
