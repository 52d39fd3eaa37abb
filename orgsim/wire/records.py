"""Single records: create, read, update, delete, and all of these by external id."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from orgsim import dml
from orgsim.dml.outcomes import Outcomes, UnknownFieldError
from orgsim.schema.model import Field, SObject
from orgsim.store.columns import quoted
from orgsim.store.ids import to18
from orgsim.wire.cells import frame_of
from orgsim.wire.errors import ApiError
from orgsim.wire.router import Call, Reply, Rule
from orgsim.wire.rows import asked_fields, read_rows
from orgsim.wire.saving import body_object, refused, save_of, sobject_of, unknown_field

_MISSING = "The requested resource does not exist"


def create(call: Call) -> Reply:
    """POST /sobjects/X."""
    sobject = _writeable(call, "createable", "POST")
    body = body_object(call)
    if "Id" in body or "id" in body:
        raise ApiError(400, "INVALID_FIELD", "cannot specify Id in an insert call", fields=["Id"])
    return _created(_saved(call, lambda: dml.insert(
        save_of(call), sobject.name, frame_of([body], sobject))), call, sobject)  # fmt: skip


def read(call: Call) -> Reply:
    """GET /sobjects/X/id."""
    sobject = sobject_of(call, call.parameters["sobject"])
    record_id = _id_of(call, sobject)
    rows = read_rows(call, sobject, [record_id], asked_fields(call, sobject))
    if record_id not in rows:
        raise _not_there()
    return Reply(body=rows[record_id])


def update(call: Call) -> Reply:
    """PATCH /sobjects/X/id."""
    sobject = _writeable(call, "updateable", "PATCH")
    record_id = _id_of(call, sobject)
    body = body_object(call)
    if any(name.lower() == "id" for name in body):
        raise ApiError(
            400,
            "INVALID_FIELD",
            "The Id field should not be specified in the sobject data.",
            fields=["Id"],
        )
    frame = frame_of([{**body, "Id": record_id}], sobject)
    outcomes = _saved(call, lambda: dml.update(save_of(call), sobject.name, frame))
    _raise_refusal(outcomes)
    return Reply(204)


def delete(call: Call) -> Reply:
    """DELETE /sobjects/X/id."""
    sobject = _writeable(call, "deletable", "DELETE")
    outcomes = dml.delete(save_of(call), [_id_of(call, sobject)])
    _raise_refusal(outcomes)
    return Reply(204)


def read_by_key(call: Call) -> Reply:
    """GET /sobjects/X/Key__c/value."""
    sobject = sobject_of(call, call.parameters["sobject"])
    found = _ids_by_key(call, sobject, _key_field(call, sobject))
    if len(found) > 1:
        return _several(call, sobject, found)
    rows = read_rows(call, sobject, found, asked_fields(call, sobject))
    if not rows:
        raise _not_there()
    return Reply(body=next(iter(rows.values())))


def upsert_by_key(call: Call) -> Reply:
    """PATCH /sobjects/X/Key__c/value: 201 created, 200 updated, 300 several matches."""
    sobject = _writeable(call, "createable", "PATCH")
    key, body = _key_field(call, sobject), body_object(call)
    _check_key_body(body, key)
    found = [] if key.name == "Id" else _ids_by_key(call, sobject, key)
    if len(found) > 1:
        return _several(call, sobject, found)
    only = call.query.get("updateOnly", "").lower() == "true"
    record = {**body, key.name: call.parameters["value"]}
    outcomes = _saved(
        call,
        lambda: dml.upsert(
            save_of(call, update_only=only), sobject.name, key.name, frame_of([record], sobject)
        ),
    )
    _raise_refusal(outcomes)
    _, record_id, created = outcomes.saved.row(0)
    if float(call.version) < 46 and not created:
        return Reply(204)
    body_out = {"id": record_id, "success": True, "errors": [], "created": created}
    return Reply(201 if created else 200, body_out)


def delete_by_key(call: Call) -> Reply:
    """DELETE /sobjects/X/Key__c/value."""
    sobject = _writeable(call, "deletable", "DELETE")
    found = _ids_by_key(call, sobject, _key_field(call, sobject))
    if len(found) > 1:
        return _several(call, sobject, found)
    if not found:
        raise _not_there()
    _raise_refusal(dml.delete(save_of(call), found))
    return Reply(204)


def _writeable(call: Call, flag: str, method: str) -> SObject:
    sobject = sobject_of(call, call.parameters["sobject"])
    if not getattr(sobject, flag):
        raise ApiError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed. "
                       "Allowed are HEAD,GET")  # fmt: skip
    return sobject


def _id_of(call: Call, sobject: SObject) -> str:
    record_id = to18(call.parameters["id"])
    if record_id is None or not record_id.startswith(sobject.key_prefix or ""):
        raise ApiError(404, "NOT_FOUND", (
            "Provided external ID field does not exist or is not accessible: "
            + call.parameters["id"]))  # fmt: skip
    return record_id


def _not_there() -> ApiError:
    return ApiError(404, "NOT_FOUND", _MISSING)


def _key_field(call: Call, sobject: SObject) -> Field:
    key = sobject.field(call.parameters["key"])
    if key is None or not (key.external_id or key.id_lookup):
        raise ApiError(404, "NOT_FOUND", (
            "Provided external ID field does not exist or is not accessible: "
            + call.parameters["key"]))  # fmt: skip
    return key


def _check_key_body(body: Any, key: Field) -> None:
    for name in body:
        if name.lower() in ("id", key.name.lower()):
            raise ApiError(
                400,
                "INVALID_FIELD",
                (f"The {name} field should not be specified in the sobject data."),
                fields=[name],
            )


def _ids_by_key(call: Call, sobject: SObject, key: Field) -> list[str]:
    column = f"{quoted(key.name)}::VARCHAR"
    value = call.parameters["value"]
    left, right = (column, "?") if key.case_sensitive else (f"lower({column})", "lower(?)")
    sql = (
        f"SELECT Id FROM {quoted(sobject.name)} WHERE {left} = {right} AND NOT IsDeleted LIMIT 200"
    )
    with call.org.store.read() as cursor:
        return [row[0] for row in cursor.execute(sql, [value]).fetchall()]


def _several(call: Call, sobject: SObject, ids: list[str]) -> Reply:
    base = f"{call.base}/sobjects/{sobject.name}"
    return Reply(300, [f"{base}/{quote(one)}" for one in ids])


def _saved(call: Call, work: Any) -> Outcomes:
    try:
        outcomes: Outcomes = work()
    except UnknownFieldError as error:
        raise unknown_field(error) from error
    return outcomes


def _raise_refusal(outcomes: Outcomes) -> None:
    if outcomes.refusals:
        reasons = outcomes.refusals[0]
        if reasons[0].code == "INVALID_CROSS_REFERENCE_KEY" and not reasons[0].fields:
            raise _not_there()
        raise refused(reasons)


def _created(outcomes: Outcomes, call: Call, sobject: SObject) -> Reply:
    _raise_refusal(outcomes)
    record_id = outcomes.saved["id"][0]
    location = {"Location": f"{call.base}/sobjects/{sobject.name}/{record_id}"}
    return Reply(201, {"id": record_id, "success": True, "errors": []}, headers=location)


RULES = [
    # POST and reads by key are in blobs.py, which hands them on to here.
    Rule("GET", "sobjects/{sobject}/{id}", read),
    Rule("PATCH", "sobjects/{sobject}/{id}", update),
    Rule("DELETE", "sobjects/{sobject}/{id}", delete),
    Rule("PATCH", "sobjects/{sobject}/{key}/{value:path}", upsert_by_key),
    Rule("DELETE", "sobjects/{sobject}/{key}/{value:path}", delete_by_key),
]
