"""The cookies of the door: the session token and the browser's half of a CSRF pair."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION_COOKIE = "orgbridge_session"
CSRF_COOKIE = "orgbridge_csrf"


def session_token(connection: HTTPConnection) -> str | None:
    """What the browser shows for a session; proves nothing before the server looked it up."""
    return connection.cookies.get(SESSION_COOKIE) or None


def set_session(response: Response, token: str, *, expires_at: datetime, secure: bool) -> None:
    """Lay the session token into the browser: no script reads it, no other site posts with it.

    SameSite is ``lax``, not ``strict``: a strict cookie is absent when an org's OAuth page sends
    the browser back to us, and when somebody follows a link to a run from a mail.
    """
    lifetime_s = max(0, int((expires_at - datetime.now(UTC)).total_seconds()))
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=lifetime_s,
        httponly=True,
        samesite="lax",
        secure=secure,
        path="/",
    )


def clear_session(response: Response) -> None:
    """Take the session token out of the browser."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")


def is_secure(connection: HTTPConnection) -> bool:
    """Whether the browser reached us by https, directly or through a proxy on this machine."""
    forwarded = connection.headers.get("x-forwarded-proto", "")
    return connection.url.scheme in {"https", "wss"} or forwarded.split(",")[0].strip() == "https"
