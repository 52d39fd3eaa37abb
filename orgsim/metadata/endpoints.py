"""The Tooling API: query, and create, read, change, delete of custom fields and validation
rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orgsim.metadata import changes
from orgsim.metadata.changes import MetadataError
from orgsim.metadata.rows import catalogue, rows_of
from orgsim.schema import describe
from orgsim.soql.endpoints import run_query
from orgsim.wire.errors import ApiError, not_found
from orgsim.wire.router import Call, Reply, Rule

_WHOLE = ("Metadata", "FullName")


def query(call: Call) -> Reply:
    """GET /tooling/query: Metadata and FullName only when one row comes back."""
    text = call.query.get("q")
    if text is None:
        raise ApiError(400, "MALFORMED_QUERY", "A query string has to be specified")
    answer = run_query(call, text, all_rows=False, tooling=True)
    records = answer.get("records") or []
    if len(records) > 1 and any(key in records[0] for key in _WHOLE):
        raise ApiError(
            400,
            "MALFORMED_QUERY",
            (
                "When retrieving results with Metadata or FullName fields, the query "
                "qualifications must "
                f"specify no more than one row for retrieval. Result size: {len(records)}"
            ),
        )
    for record in records:
        if isinstance(record.get("Metadata"), str):
            record["Metadata"] = json.loads(record["Metadata"])
    return Reply(
        body={"size": len(records), "entityTypeName": None, "queryLocator": None, **answer}
    )


def global_describe(call: Call) -> Reply:
    """GET /tooling/sobjects."""
    return Reply(body=describe.global_document(catalogue(), call.version))


def sobject_describe(call: Call) -> Reply:
    """GET /tooling/sobjects/X/describe."""
    target = catalogue().sobject(call.parameters["sobject"])
    if target is None:
        raise not_found()
    return Reply(body=describe.document(target, version=call.version, instance_url=call.org.url))


def create(call: Call) -> Reply:
    """POST /tooling/sobjects/CustomField and ValidationRule."""
    name, body = _changeable(call), call.json()
    full_name, metadata = str(body.get("FullName") or ""), body.get("Metadata")
    if not full_name or not isinstance(metadata, Mapping):
        raise ApiError(400, "REQUIRED_FIELD_MISSING",
                       "Required fields are missing: [FullName, Metadata]",
                       fields=["FullName", "Metadata"])  # fmt: skip
    try:
        if name == "CustomField":
            made = changes.create_field(call.org, full_name, metadata)
        else:
            made = changes.put_rule(call.org, full_name, metadata, new=True)
    except MetadataError as error:
        raise _refused(error) from error
    body_out = {"id": made, "success": True, "errors": [], "warnings": [], "infos": []}
    return Reply(201, body_out)


def read(call: Call) -> Reply:
    """GET /tooling/sobjects/X/id."""
    row = _row(call)
    name = call.parameters["sobject"]
    url = f"{call.base}/tooling/sobjects/{name}/{row['Id']}"
    shown = {**row, "Metadata": json.loads(row["Metadata"])} if "Metadata" in row else row
    return Reply(body={"attributes": {"type": name, "url": url}, **shown})


def update(call: Call) -> Reply:
    """PATCH /tooling/sobjects/X/id: the whole Metadata is replaced."""
    name, row, body = _changeable(call), _row(call), call.json()
    metadata = body.get("Metadata")
    if not isinstance(metadata, Mapping):
        raise ApiError(400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Metadata]",
                       fields=["Metadata"])  # fmt: skip
    try:
        if name == "CustomField":
            changes.change_field(call.org, row["FullName"], metadata)
        else:
            changes.put_rule(call.org, row["FullName"], metadata, new=False)
    except MetadataError as error:
        raise _refused(error) from error
    return Reply(204)


def delete(call: Call) -> Reply:
    """DELETE /tooling/sobjects/X/id."""
    name, row = _changeable(call), _row(call)
    try:
        if name == "CustomField":
            changes.delete_field(call.org, row["FullName"])
        else:
            changes.delete_rule(call.org, row["FullName"])
    except MetadataError as error:
        raise _refused(error) from error
    return Reply(204)


def _changeable(call: Call) -> str:
    name = call.parameters["sobject"]
    found = next(
        (one for one in ("CustomField", "ValidationRule") if one.lower() == name.lower()), None
    )
    if found is None:
        raise ApiError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{call.method}' not allowed. "
                       "Allowed are HEAD,GET")  # fmt: skip
    if "CustomizeApplication" not in call.org.permissions_of(call.session.user_id):
        raise ApiError(403, "INSUFFICIENT_ACCESS", "insufficient access rights")
    return found


def _row(call: Call) -> dict[str, Any]:
    target = catalogue().sobject(call.parameters["sobject"])
    wanted: str = call.parameters["id"]
    rows = rows_of(call.org, target.name) if target else []
    found = next((one for one in rows if str(one["Id"])[:15] == wanted[:15]), None)
    if found is None:
        raise not_found()
    return found


def _refused(error: MetadataError) -> ApiError:
    return ApiError(400, error.code, str(error), fields=list(error.fields))


RULES = [
    Rule("GET", "tooling/query", query),
    Rule("GET", "tooling/sobjects", global_describe),
    Rule("GET", "tooling/sobjects/{sobject}/describe", sobject_describe),
    Rule("POST", "tooling/sobjects/{sobject}", create),
    Rule("GET", "tooling/sobjects/{sobject}/{id}", read),
    Rule("PATCH", "tooling/sobjects/{sobject}/{id}", update),
    Rule("DELETE", "tooling/sobjects/{sobject}/{id}", delete),
]
