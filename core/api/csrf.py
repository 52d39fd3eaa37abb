"""A form can be sent only from a page that we drew for this browser: signed double-submit tokens.

The page carries a token signed over a random value; the same value lies in an HttpOnly,
SameSite=Strict cookie. Another site can neither read the one nor set the other. The signing secret
lives as long as the process: a form drawn before a restart is refused with a fresh form.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from core.api.cookies import CSRF_COOKIE, is_secure
from core.errors import UserError

FORM_LIFETIME_S = 3600
FORM_FIELD = "csrf"

_signer = URLSafeTimedSerializer(secrets.token_hex(32), salt="orgbridge-form")


def new_token(request: Request) -> tuple[str, str]:
    """The browser's value (kept when it has one already) and the signed token for a form."""
    value = request.cookies.get(CSRF_COOKIE) or secrets.token_urlsafe(24)
    return value, _signer.dumps(value)


def lay_cookie(response: Response, value: str, request: Request) -> None:
    """Give the browser its half of the pair."""
    response.set_cookie(
        CSRF_COOKIE,
        value,
        max_age=FORM_LIFETIME_S,
        httponly=True,
        samesite="strict",
        secure=is_secure(request),
        path="/",
    )


def check(request: Request, token: str) -> None:
    """Let a form pass that we drew for this browser within the last hour.

    Raises:
        UserError: the form is foreign, too old, or from before a restart; nothing was done.
    """
    value = request.cookies.get(CSRF_COOKIE, "")
    try:
        signed = _signer.loads(token, max_age=FORM_LIFETIME_S)
    except BadSignature:
        signed = ""
    is_pair = compare_digest(str(signed).encode(), value.encode())
    if not value or not signed or not is_pair or not _same_site(request):
        raise UserError(
            "This form was too old or did not come from this site.",
            state="Nothing was done.",
            next_step="Fill in the fresh form below and send it again.",
        )


def _same_site(request: Request) -> bool:
    """Browsers name the origin of every POST; a form of another site names another host."""
    origin = request.headers.get("origin")
    if origin in {None, ""}:
        return True
    return str(origin).split("://", 1)[-1] == request.headers.get("host", "")
