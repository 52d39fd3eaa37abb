"""Binary fields: read as bytes, written as base64 in JSON or as a part of a multipart request.

Bytes live in ``@blob`` beside the rows; the row's own column holds nothing. Source: REST API guide,
"Insert or Update Blob Data".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from python_multipart.multipart import parse_options_header

from orgsim.schema.model import Field, SObject
from orgsim.store.ids import to18
from orgsim.store.rows import first_row
from orgsim.wire import records
from orgsim.wire.errors import ApiError, not_found
from orgsim.wire.router import Call, Reply, Rule
from orgsim.wire.saving import sobject_of

#: Object → (blob field, its length's field).
BLOBS = {"Attachment": ("Body", "BodyLength"), "ContentVersion": ("VersionData", "ContentSize"),
         "Document": ("Body", "BodyLength")}  # fmt: skip
#: Base64 in JSON. Source: REST API guide, 50 MB of text, 37.5 MB decoded.
JSON_BLOB_MAX_BYTES = 37_500_000
ATTACHMENT_MAX_BYTES = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body."""

    name: str
    filename: str | None
    content: bytes


def read(call: Call) -> Reply:
    """GET /sobjects/X/id/BlobField: the bytes."""
    sobject = sobject_of(call, call.parameters["sobject"])
    if BLOBS.get(sobject.name, ("",))[0].lower() != call.parameters["value"].lower():
        return records.read_by_key(call)
    record_id = to18(call.parameters["key"])
    with call.org.store.read() as cursor:
        row = first_row(
            cursor.execute(
                'SELECT b.body FROM "@blob" b WHERE b.sobject = ? AND b.id = ?',
                [sobject.name, record_id],
            )
        )
    if row is None:
        raise not_found()
    return Reply(content=bytes(row[0]), media_type="application/octet-stream")


def create(call: Call) -> Reply:
    """POST /sobjects/X, with a blob in base64 or as a part; everything else passes through."""
    sobject = sobject_of(call, call.parameters["sobject"])
    known = BLOBS.get(sobject.name)
    if known is None:
        return records.create(call)
    field = sobject.fields[known[0]]
    document, content = _taken_apart(call, field)
    if content is None:
        _check_needed(sobject, field, document)
        return records.create(replace(call, body=orjson.dumps(document)))
    if sobject.name == "Attachment" and len(content) > ATTACHMENT_MAX_BYTES:
        raise ApiError(400, "MAXIMUM_SIZE_OF_ATTACHMENT", "attachment is too large")
    with call.org.store.write() as transaction:
        reply = records.create(replace(call, body=orjson.dumps(document), headers=_plain(call)))
        record_id = reply.body["id"]
        transaction.cursor.execute('INSERT INTO "@blob" VALUES (?, ?, ?, ?)',
                                   [sobject.name, record_id, field.name, content])  # fmt: skip
        transaction.cursor.execute(
            f'UPDATE "{sobject.name}" SET "{known[1]}" = ?, "{field.name}" = ? WHERE Id = ?',
            [len(content), f"/sobjects/{sobject.name}/{record_id}/{field.name}", record_id],
        )
        if sobject.name == "ContentVersion":
            transaction.cursor.execute(
                'UPDATE "ContentDocument" AS t SET ContentSize = v.ContentSize FROM '
                '"ContentVersion" v '
                "WHERE v.Id = ? AND t.Id = v.ContentDocumentId",
                [record_id],
            )
    return reply


def _check_needed(sobject: SObject, field: Field, document: Mapping[str, Any]) -> None:
    if not field.nillable or not document.get("ContentUrl"):
        text = f"Required fields are missing: [{field.name}]"
        raise ApiError(400, "REQUIRED_FIELD_MISSING", text, fields=[field.name])


def _plain(call: Call) -> dict[str, str]:
    return {**call.headers, "content-type": "application/json"}


def _taken_apart(call: Call, field: Field) -> tuple[dict[str, Any], bytes | None]:
    """The record without its blob, and the blob's bytes."""
    kind, options = parse_options_header(call.headers.get("content-type", ""))
    if kind == b"multipart/form-data":
        return _from_parts(call.body, options.get(b"boundary", b""), field)
    document = dict(call.json())
    encoded = document.pop(field.name, None)
    if encoded is None:
        return document, None
    try:
        content = base64.b64decode(str(encoded), validate=True)
    except binascii.Error as error:
        text = f"Cannot deserialize instance of base64 from VALUE_STRING value: {error}"
        raise ApiError(400, "JSON_PARSER_ERROR", text) from error
    if len(content) > JSON_BLOB_MAX_BYTES:
        raise ApiError(400, "EXCEEDED_MAX_SIZE_REQUEST", "the blob is too large for JSON")
    return document, content


def _from_parts(body: bytes, boundary: bytes, field: Field) -> tuple[dict[str, Any], bytes | None]:
    parts = {part.name: part for part in split_parts(body, boundary)}
    document = next((one for name, one in parts.items() if name.startswith("entity")), None)
    blob = parts.get(field.name)
    if document is None or blob is None:
        raise ApiError(400, "INVALID_MULTIPART_REQUEST",
                       f"Parts entity_content and {field.name} are required")  # fmt: skip
    return dict(orjson.loads(document.content)), blob.content


def split_parts(body: bytes, boundary: bytes) -> list[Part]:
    """The parts of a multipart body."""
    made = []
    for raw in body.split(b"--" + boundary)[1:-1]:
        head, _, content = raw.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-disposition":
                _, options = parse_options_header(value.strip())
                file = options.get(b"filename")
                made.append(
                    Part(
                        options.get(b"name", b"").decode(),
                        file.decode() if file else None,
                        content.removesuffix(b"\r\n"),
                    )
                )
    return made


RULES: list[Rule] = [
    Rule("POST", "sobjects/{sobject}", create),
    Rule("GET", "sobjects/{sobject}/{key}/{value:path}", read),
]
