"""What the REST headers ask of a save, and outcomes in the words of REST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orgsim.dml.outcomes import Outcomes, Refusal, UnknownFieldError
from orgsim.dml.save import Save, SaveOptions
from orgsim.schema.model import SObject
from orgsim.wire.errors import ApiError
from orgsim.wire.router import Call

#: Refusals of a whole row whose REST status is not 400.
_STATUS = {"INSUFFICIENT_ACCESS_OR_READONLY": 403, "NOT_FOUND": 404, "ENTITY_IS_DELETED": 404}


def save_of(call: Call, *, all_or_none: bool = False, update_only: bool = False) -> Save:
    """The caller's right to save, with the switches of the request's headers."""
    options = SaveOptions(
        all_or_none=all_or_none,
        assignment_rule=_assignment(call.headers.get("sforce-auto-assign")),
        allow_duplicates=_allow_save(call.headers.get("sforce-duplicate-rule-header", "")),
        update_only=update_only,
    )
    save: Save = call.org.save(user_id=call.session.user_id, options=options)
    return save


def _assignment(header: str | None) -> str | bool | None:
    if header is None or header.strip().lower() == "true":
        return None
    return False if header.strip().lower() == "false" else header.strip()


def _allow_save(header: str) -> bool:
    parts = dict(part.strip().lower().partition("=")[::2] for part in header.split(";"))
    return parts.get("allowsave") == "true"


def sobject_of(call: Call, name: str) -> SObject:
    """The object of that name as the caller sees it, or 404."""
    found: SObject | None = call.schema.sobject(name)
    if found is None:
        raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
    return found


def unknown_field(error: UnknownFieldError) -> ApiError:
    """INVALID_FIELD for a name that is no field."""
    return ApiError(400, "INVALID_FIELD", str(error))


def refused(reasons: tuple[Refusal, ...]) -> ApiError:
    """The refusal of a single-record call."""
    error = ApiError(_STATUS.get(reasons[0].code, 400), reasons[0].code, reasons[0].message)
    error.body = [_reason(one) for one in reasons]
    return error


def _reason(reason: Refusal) -> dict[str, Any]:
    made: dict[str, Any] = {"message": reason.message, "errorCode": reason.code}
    if reason.extra is None:
        made["fields"] = list(reason.fields)
    else:
        made = {**reason.extra, **made}
    return made


def results(outcomes: Outcomes, *, created: bool = False) -> list[dict[str, Any]]:
    """Outcomes as collections answer them, in request order; ``created`` adds that key (upsert)."""
    saved = {row: (record_id, new) for row, record_id, new in outcomes.saved.iter_rows()}
    made = []
    for row in range(outcomes.rows):
        if row in outcomes.refusals:
            made.append(_failure(outcomes.refusals[row], created=created))
        else:
            record_id, new = saved[row]
            entry = {"id": record_id, "success": True, "errors": []}
            made.append({**entry, "created": new} if created else entry)
    return made


def _failure(reasons: tuple[Refusal, ...], *, created: bool) -> dict[str, Any]:
    errors = [
        {"statusCode": one.code, "message": one.message, "fields": list(one.fields),
         **(one.extra or {})}
        for one in reasons
    ]  # fmt: skip
    made: dict[str, Any] = {"success": False, "errors": errors}
    return {**made, "created": False} if created else made


def body_object(call: Call) -> Mapping[str, Any]:
    """The request's JSON object, or 400."""
    body = call.json()
    if not isinstance(body, Mapping):
        raise ApiError(400, "JSON_PARSER_ERROR", "The request body must be a JSON object")
    return body
