"""Routes of single sign-on, in front of the gate.

GET  /oidc/<provider>            to the provider's sign-in page
GET  /oidc/<provider>/callback   back from it, with a code
POST /oidc/<provider>/logout     the provider itself ends somebody's sessions (back channel)

What a round trip needs lies sealed in a cookie of the browser that began it, so that an answer that
was begun elsewhere signs nobody in. It is used once: the callback takes it away.
"""

from __future__ import annotations

import logging
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from core.api import cookies, process, screens
from core.api.door import local_path
from core.errors import OrgbridgeError
from core.services import single_sign_on
from core.services.single_sign_on import Answer

log = logging.getLogger(__name__)

TRIP_COOKIE = "orgbridge_oidc"
PREFIX = "/oidc/"
TEXT_MAX_CHARS = 8_000


def routes() -> list[BaseRoute]:
    """All routes of single sign-on."""
    return [
        Route(PREFIX + "{provider}", begin, methods=["GET"]),
        Route(PREFIX + "{provider}/callback", callback, methods=["GET"]),
        Route(PREFIX + "{provider}/logout", logout, methods=["POST"]),
    ]


async def begin(request: Request) -> Response:
    """Send the browser to the provider."""
    name = str(request.path_params["provider"])
    try:
        begun = await run_in_threadpool(
            single_sign_on.begin,
            process.bridge(),
            name,
            redirect_uri=_callback(request, name),
            wanted=request.query_params.get("next", "")[:TEXT_MAX_CHARS],
        )
    except OrgbridgeError as problem:
        return _refused(problem)
    response = RedirectResponse(begun.url, status_code=303)
    response.set_cookie(
        TRIP_COOKIE,
        begun.kept,
        max_age=int(single_sign_on.ROUND_TRIP.total_seconds()),
        httponly=True,
        # lax: the provider's redirect is a navigation from another site
        samesite="lax",
        secure=cookies.is_secure(request),
        path=PREFIX + name,
    )
    return response


async def callback(request: Request) -> Response:
    """Sign in whom the provider vouches for."""
    name, given = str(request.path_params["provider"]), request.query_params
    answer = Answer(
        state=given.get("state", "")[:TEXT_MAX_CHARS],
        code=given.get("code", "")[:TEXT_MAX_CHARS],
        refusal=given.get("error_description") or given.get("error", ""),
        kept=request.cookies.get(TRIP_COOKIE, ""),
        origin=request.client.host if request.client else "unknown",
        agent=request.headers.get("user-agent", "")[:1_000],
    )
    try:
        signed_in, wanted = await run_in_threadpool(
            single_sign_on.finish, process.bridge(), name, answer
        )
    except OrgbridgeError as problem:
        log.info("single sign-on refused", extra={"reason": problem.happened})
        return _ended(_refused(problem), name)
    response = RedirectResponse(local_path(wanted), status_code=303)
    cookies.set_session(
        response,
        signed_in.token,
        expires_at=signed_in.expires_at,
        secure=cookies.is_secure(request),
    )
    return _ended(response, name)


async def logout(request: Request) -> Response:
    """OpenID Connect Back-Channel Logout 1.0: 200 when done, 400 when the token is not good."""
    form = await request.form(max_files=0, max_fields=4)
    token = str(form.get("logout_token", ""))[:TEXT_MAX_CHARS]
    try:
        await run_in_threadpool(
            single_sign_on.told_out, process.bridge(), str(request.path_params["provider"]), token
        )
    except OrgbridgeError as problem:
        log.info("logout token refused", extra={"reason": problem.happened})
        return PlainTextResponse("invalid_request", 400, headers={"cache-control": "no-store"})
    return PlainTextResponse("", 200, headers={"cache-control": "no-store"})


def _callback(request: Request, name: str) -> str:
    scheme = "https" if cookies.is_secure(request) else "http"
    host = request.headers.get("host", "")
    return f"{scheme}://{host}{PREFIX}{quote(name)}/callback"


def _refused(problem: OrgbridgeError) -> Response:
    page = screens.problem_page(
        "You were not signed in", problem, link="/login", link_text="Back to the sign-in page"
    )
    return HTMLResponse(page, status_code=400, headers={"cache-control": "no-store"})


def _ended(response: Response, name: str) -> Response:
    response.delete_cookie(TRIP_COOKIE, path=PREFIX + name, httponly=True, samesite="lax")
    return response
