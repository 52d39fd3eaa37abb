"""What a refusal means: (HTTP status, errorCode) to our error tree, in one function.

Two axes. What to do about it is the class. Whether the org may have applied it decides between
``TransientError`` (surely not: send again) and ``LostError`` (ask first): a read is never lost.
Codes and texts: REST API Developer Guide, Status Codes and Error Responses; Bulk API 2.0, Errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson

from core.errors import (
    BugError,
    DailyLimitError,
    LockedRowError,
    LostError,
    OrgbridgeError,
    RefusedError,
    RowError,
    SessionLostError,
    TransientError,
)

#: the org said that it did not even begin: sent again as it is
_NOT_BEGUN = frozenset(
    {
        "SERVER_UNAVAILABLE",
        "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE",
        "INVALID_READ_ONLY_USER_DML",
        "TXN_SECURITY_METERING_ERROR",
        "REQUEST_LIMIT_EXCEEDED",
    }
)
#: transient for a read; a write that ended so may have been applied
_UNCLEAR = frozenset({"UNKNOWN_EXCEPTION", "REQUEST_RUNNING_TOO_LONG", "INTERNAL_ERROR", "TIMEOUT"})
_LOCKS = frozenset({"UNABLE_TO_LOCK_ROW", "TOOMANYLOCKFAILURE", "TOO_MANY_LOCK_FAILURE"})
_DAILY = frozenset({"EXCEEDED_QUOTA", "EXCEEDEDQUOTA", "LIMIT_EXCEEDED"})
_SESSION = frozenset({"INVALID_SESSION_ID", "INVALIDSESSIONID", "INVALID_AUTH_HEADER"})
_SIGN_IN = frozenset(
    {
        "INVALID_LOGIN",
        "LOGIN_MUST_USE_SECURITY_TOKEN",
        "PASSWORD_LOCKOUT",
        "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
        "INVALID_GRANT",
    }
)
#: a request as a whole refused for one record's sake (single-record calls)
_ROW = frozenset(
    {
        "REQUIRED_FIELD_MISSING",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "FIELD_FILTER_VALIDATION_EXCEPTION",
        "FIELD_INTEGRITY_EXCEPTION",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "STRING_TOO_LONG",
        "NUMBER_OUTSIDE_VALID_RANGE",
        "INVALID_EMAIL_ADDRESS",
        "INVALID_CROSS_REFERENCE_KEY",
        "DUPLICATE_VALUE",
        "DUPLICATES_DETECTED",
        "DUPLICATE_EXTERNAL_ID",
        "ENTITY_IS_DELETED",
        "ENTITY_IS_LOCKED",
        "DELETE_FAILED",
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "INACTIVE_OWNER_OR_USER",
    }
)
#: edges of the platform answer these before an application server saw the request
_EDGE_STATUSES = frozenset({406, 420, 429})
_SPLIT = frozenset(
    {"QUERY_TIMEOUT", "OPERATION_TOO_LARGE", "QUERY_TOO_COMPLICATED", "EXCEEDED_ID_LIMIT"}
)


def classify(
    status: int, code: str, message: str, *, written: bool, **facts: Any
) -> OrgbridgeError:
    """The error that an answer of this status and code stands for.

    Args:
        status: HTTP status of the answer.
        code: ``errorCode``, ``statusCode`` or ``error`` of its body; empty when it had none.
        message: the org's own sentence.
        written: the request would change the org's data, and went out.
        facts: what else is known (org, sobject, job_id …), kept on the error.
    """
    facts = {**facts, "status": status, "code": code}
    key = code.upper()
    said = _said(status, code, message)
    if key in _SESSION or (status == 401 and not code):
        return _session_lost(said, facts)
    if key in _SIGN_IN:
        return SessionLostError(
            f"The org refused to sign in: {said}",
            next_step="Check the credentials, then reconnect the org.",
            **facts,
        )
    if is_daily_limit(key, message):
        return DailyLimitError(
            f"The org's allowance for 24 hours is used up: {said}",
            state="What was already loaded stays; nothing of this request was applied.",
            next_step="Resume when the allowance has recovered.",
            **facts,
        )
    if key in _LOCKS:
        return LockedRowError(f"The org could not lock a record in time: {said}", **facts)
    if key in _NOT_BEGUN or (status in _EDGE_STATUSES and not code):
        return TransientError(f"The org is busy or in maintenance: {said}", **facts)
    if status >= 500 or status == 408 or key in _UNCLEAR:
        return _unclear(said, facts, written=written)
    if key in _ROW:
        return RowError(f"The org refused the record: {said}", **facts)
    return _refused(key, said, facts)


def is_daily_limit(code: str, message: str) -> bool:
    """Whether the refusal is a 24-hour allowance (concurrent-call limits share the code)."""
    if code.upper() == "REQUEST_LIMIT_EXCEEDED":
        return "concurrent" not in message.lower()
    return code.upper() in _DAILY or "ApiBatchItems Limit exceeded" in message


def should_split(error: OrgbridgeError) -> bool:
    """Whether the org would answer a smaller query (by id or date range) where this one failed."""
    return str(error.fact("code")).upper() in _SPLIT


_NOT_FOR_BULK = re.compile(
    r"not supported by the Bulk API|compound data not supported|does not support query"
    r"|Implementation restriction|Cannot serialize value|not supported in Bulk|Bulk API 2.0",
    re.I,
)


def is_not_for_bulk(error: OrgbridgeError) -> bool:
    """Whether the org would answer over REST what it refused as a bulk query."""
    code = str(error.fact("code") or "").upper().replace("_", "")
    if code in {"INVALIDENTITY", "FEATURENOTENABLED", "APIERROR"}:
        return True
    return bool(_NOT_FOR_BULK.search(error.happened))


def ends_everything(error: OrgbridgeError) -> bool:
    """Whether nothing else would be answered either: signed out, or the day's calls are used up."""
    return isinstance(error, SessionLostError | DailyLimitError)


def may_renew(status: int, body: bytes) -> bool:
    """Whether the refusal is an expired session that a new token mends (SOAP says it with a 500).

    Two refusals come as 401 however fresh the token is; renewing for them would loop for ever
    (jsforce keeps the same list).
    """
    if status == 500:
        return b":INVALID_SESSION_ID</" in body
    hopeless = (
        b"This session is not valid for use with the REST API",
        b"Connected app is not attached to Agent",
    )
    return status == 401 and not any(text in body for text in hopeless)


def error_parts(body: bytes) -> tuple[str, str, Mapping[str, Any]]:
    """``(code, message, other facts)`` of an error body in any of the org's dialects.

    REST lists ``errorCode``, collections say ``statusCode``, OAuth ``error``, SOAP and Bulk 1.0 XML
    ``exceptionCode``; an HTML page of the platform's edge yields no code and its title.
    """
    text = body[:1_000_000]
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _foreign_parts(text)
    item = parsed[0] if isinstance(parsed, list) and parsed else parsed
    if not isinstance(item, dict):
        return "", str(item)[:500], {}
    code = item.get("errorCode") or item.get("statusCode") or item.get("error") or ""
    message = item.get("message") or item.get("error_description") or ""
    extra: dict[str, Any] = {}
    if item.get("fields"):
        extra["fields"] = tuple(map(str, item["fields"]))
    return str(code), str(message), extra


class RowAdvice(StrEnum):
    """What to do with one record that an org refused inside an accepted request."""

    LOCKED = "locked"  # send again, grouped by parent
    AGAIN = "again"  # send again as it is
    SMALLER = "smaller"  # automation ran out of a limit: send again in a smaller batch
    VICTIM = "victim"  # refused for another record's sake: send again without that one
    STOP = "stop"  # every further record would end the same
    REJECT = "reject"  # this record needs mending


_VICTIMS = frozenset(
    {"ALL_OR_NONE_OPERATION_ROLLED_BACK", "PROCESSING_HALTED", "BATCH_PROCESSING_HALTED"}
)
_STOPS = frozenset({"STORAGE_LIMIT_EXCEEDED", "LICENSE_LIMIT_EXCEEDED"}) | _DAILY
_GOVERNOR = re.compile(r"LimitException|Apex CPU time limit|Too many (SOQL|DML|query)", re.I)


def row_advice(code: str, message: str) -> RowAdvice:
    """What a record's refusal calls for, by its status code and sentence."""
    key = code.upper()
    if key in _LOCKS:
        return RowAdvice.LOCKED
    if _GOVERNOR.search(message):
        return RowAdvice.SMALLER
    if key in _VICTIMS:
        return RowAdvice.VICTIM
    if key in _STOPS or (key == "REQUEST_LIMIT_EXCEEDED" and is_daily_limit(key, message)):
        return RowAdvice.STOP
    if key in _NOT_BEGUN or key in _UNCLEAR:
        return RowAdvice.AGAIN
    return RowAdvice.REJECT


def never_arrived(reason: str, *, host: str | None, **facts: Any) -> TransientError:
    """The request did not leave this machine, or no connection was made: nothing was applied."""
    return TransientError(
        f"The org{f' at {host}' if host else ''} could not be reached: {reason}.",
        state="Nothing was sent.",
        next_step="Check network and address of the org, then try again; a run goes on by itself.",
        **facts,
    )


def unanswered(host: str | None, *, written: bool, **facts: Any) -> OrgbridgeError:
    """The request went out and nothing came within the time allowed."""
    if written:
        return answer_lost("no answer within the time allowed", written=True, **facts)
    return TransientError(
        f"The org{f' at {host}' if host else ''} does not answer: it took the request and sent"
        " nothing within the time allowed.",
        state="Nothing was changed.",
        next_step="Try again in some minutes; if it stays so, ask the org's admin or look at"
        " status.salesforce.com. A run goes on by itself.",
        **facts,
    )


def answer_lost(reason: str, *, written: bool, **facts: Any) -> OrgbridgeError:
    """The request went out and no complete answer came back."""
    if not written:
        return TransientError(f"The org's answer broke off: {reason}.", **facts)
    return LostError(
        f"The org's answer to a write was lost: {reason}.",
        state="The org may have applied it or not.",
        next_step="Compare with the org before anything is sent again.",
        **facts,
    )


def unreadable(what: str, **facts: Any) -> BugError:
    """An answer that was complete and well-formed, but not of the shape we know."""
    return BugError(
        f"The org's answer was not understood: {what}.",
        next_step="Report this with the request's name; nothing was sent again.",
        **facts,
    )


def _unclear(said: str, facts: Mapping[str, Any], *, written: bool) -> OrgbridgeError:
    if not written:
        return TransientError(f"The org failed to answer: {said}", **facts)
    return LostError(
        f"The org failed in the middle of a write: {said}",
        state="The org may have applied it or not.",
        next_step="Compare with the org before anything is sent again.",
        **facts,
    )


def _session_lost(said: str, facts: Mapping[str, Any]) -> SessionLostError:
    return SessionLostError(
        f"The org no longer accepts our session: {said}",
        state="Nothing of this request was applied.",
        next_step="Reconnect the org.",
        **facts,
    )


def _refused(key: str, said: str, facts: Mapping[str, Any]) -> RefusedError:
    status = facts["status"]
    if status in {301, 302, 303, 307, 308}:
        return RefusedError(
            "The org's address redirects elsewhere, which is not followed.",
            next_step="Reconnect the org with its present address.",
            **facts,
        )
    next_step = _NEXT_STEPS.get(key, "")
    if status == 410 or key == "UNSUPPORTED_API_VERSION":
        next_step = "Reconnect the org: its API version has been retired."
    return RefusedError(f"The org refused: {said}", next_step=next_step, **facts)


_NEXT_STEPS = {
    "API_DISABLED_FOR_ORG": "Give the user the permission API Enabled, or use another edition.",
    "API_CURRENTLY_DISABLED": "Give the user the permission API Enabled.",
    "INSUFFICIENT_ACCESS": "Ask the org's admin for access.",
    "INVALID_TYPE": "Refresh the org's metadata: the object is missing or hidden from this user.",
    "INVALID_FIELD": "Refresh the org's metadata: a field is missing or hidden from this user.",
    "MALFORMED_QUERY": "Correct the filter.",
    "STORAGE_LIMIT_EXCEEDED": "Free or buy storage in the org, then resume.",
}


def _said(status: int, code: str, message: str) -> str:
    sentence = " ".join(message.split())[:500] or "no reason given"
    return f"{sentence} ({code or 'HTTP'} {status})" if status else f"{sentence} ({code})"


def _foreign_parts(text: bytes) -> tuple[str, str, Mapping[str, Any]]:
    shown = text.decode("utf-8", "replace")
    code = re.search(r"<(?:\w+:)?exceptionCode>(?:\w+:)?([^<]+)<", shown)
    fault = code or re.search(r"<faultcode>(?:\w+:)?([^<]+)<", shown)
    words = re.search(r"<(?:\w+:)?exceptionMessage>([^<]*)<", shown) or re.search(
        r"<faultstring>(?:\w+: )?([^<]*)<", shown
    )
    if fault:
        return fault.group(1).strip(), words.group(1).strip() if words else "", {}
    form = re.search(r"(?:^|&)error=([^&\s]+)", shown)
    if form:
        return form.group(1), shown[:300], {}
    title = re.search(r"<title>([^<]*)</title>", shown, re.I)
    if title:
        return "", f"a web page titled “{title.group(1).strip()[:200]}”", {}
    return "", re.sub(r"<[^>]*>", " ", shown).strip()[:200], {}
