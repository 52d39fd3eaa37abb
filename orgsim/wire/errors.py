"""Refusals as the REST API words them: a status and a list of ``{message, errorCode, fields}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ApiError(Exception):
    """A refused request.

    Attributes:
        status: HTTP status.
        body: what is answered, a list of errors or, for some, any JSON value.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        fields: Sequence[str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        entry: dict[str, Any] = {"message": message, "errorCode": code}
        if fields is not None:
            entry["fields"] = list(fields)
        entry.update(extra or {})
        self.status = status
        self.code = code
        self.body: Any = [entry]


def not_found(message: str = "The requested resource does not exist") -> ApiError:
    """404 as recorded."""
    return ApiError(404, "NOT_FOUND", message)


def method_not_allowed(method: str, allowed: Sequence[str]) -> ApiError:
    """405: the resource exists, the method does not."""
    named = ",".join(sorted(allowed))
    return ApiError(
        405, "METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed. Allowed are {named}"
    )


def malformed_json(message: str) -> ApiError:
    """400 of a body that is no JSON, or not of the shape that the resource takes."""
    return ApiError(400, "JSON_PARSER_ERROR", message)
