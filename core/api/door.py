"""The routes in front of the pages: sign in, first setup, sign out, the org's OAuth answer.

GET  /login, /setup, /logout   a form with a CSRF token
POST /login, /setup, /logout   the act, then 303 to where the person wanted to go
GET  /oauth/callback           the org sends the browser back here with a code
GET  /health                   for supervisors
GET  /door/<file>              style, fonts and icon of these screens
GET  /home                     the home page, which answers at /
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from core.api import cookies, csrf, gate, process, screens
from core.api.health import health
from core.api.screens import Screen
from core.errors import NotFoundError, OrgbridgeError, UserError
from core.services import failures, orgs, people, single_sign_on

log = logging.getLogger(__name__)

_STATIC = Path(__file__).parents[2] / "pages" / "static"
#: the only files that strangers may have; anything else in the folder stays behind the gate
DOOR_FILES: Mapping[str, Path] = {
    "door.css": screens.TEMPLATES / "door.css",
    "icon.svg": _STATIC / "icon.svg",
    "inter-latin-wght-normal.woff2": _STATIC / "inter-latin-wght-normal.woff2",
}
FORM_MAX_FIELDS = 12
TEXT_MAX_CHARS = 1_000


async def login_form(request: Request) -> Response:
    """The sign-in form, or the first-setup form while nobody exists."""
    if await run_in_threadpool(people.needs_first_setup, process.bridge()):
        return RedirectResponse("/setup", status_code=303)
    return _form(request, screens.SIGN_IN, wanted=request.query_params.get("next", ""))


async def login(request: Request) -> Response:
    """Sign a person in; a wrong password draws the form again and says no more than that."""
    typed = await _typed(request)
    try:
        csrf.check(request, typed.get(csrf.FORM_FIELD, ""))
        signed_in = await run_in_threadpool(
            people.sign_in,
            process.bridge(),
            email=typed.get("email", ""),
            password=typed.get("password", ""),
            origin=_origin(request),
            agent=request.headers.get("user-agent", "")[:TEXT_MAX_CHARS],
        )
    except UserError as problem:
        return _form(request, screens.SIGN_IN, typed=typed, problem=problem)
    return _enter(request, signed_in, wanted=typed.get("next", ""))


async def setup_form(request: Request) -> Response:
    """The form that makes the first admin, as long as there is none."""
    if not await run_in_threadpool(people.needs_first_setup, process.bridge()):
        return RedirectResponse("/login", status_code=303)
    return _form(request, screens.FIRST_SETUP)


async def setup(request: Request) -> Response:
    """Make the first admin and sign them in; needs the one-time code from the terminal."""
    typed = await _typed(request)
    try:
        csrf.check(request, typed.get(csrf.FORM_FIELD, ""))
        signed_in = await run_in_threadpool(
            people.create_first_admin,
            process.bridge(),
            code=typed.get("code", ""),
            name=typed.get("name", ""),
            email=typed.get("email", ""),
            password=typed.get("password", ""),
            origin=_origin(request),
        )
    except UserError as problem:
        return _form(request, screens.FIRST_SETUP, typed=typed, problem=problem)
    return _enter(request, signed_in, wanted="/")


async def invite_form(request: Request) -> Response:
    """The form in which an invited person chooses a password."""
    return _form(request, screens.INVITATION, token=request.query_params.get("token", ""))


async def invite(request: Request) -> Response:
    """Let an invited person in; the invitation is used up."""
    typed = await _typed(request)
    try:
        csrf.check(request, typed.get(csrf.FORM_FIELD, ""))
        signed_in = await run_in_threadpool(
            people.accept_invitation,
            process.bridge(),
            token=typed.get("token", ""),
            name=typed.get("name", ""),
            password=typed.get("password", ""),
            origin=_origin(request),
        )
    except UserError as problem:
        return _form(request, screens.INVITATION, typed=typed, problem=problem)
    return _enter(request, signed_in, wanted="/")


async def logout_form(request: Request) -> Response:
    """Ask before signing out: a link alone must not do it, a foreign page could hold one."""
    return _form(request, screens.SIGN_OUT)


async def logout(request: Request) -> Response:
    """End the session on the server and in the browser."""
    typed = await _typed(request)
    try:
        csrf.check(request, typed.get(csrf.FORM_FIELD, ""))
    except UserError as problem:
        return _form(request, screens.SIGN_OUT, problem=problem)
    token = cookies.session_token(request)
    if token is not None:
        await run_in_threadpool(people.sign_out, process.bridge(), token)
    response = RedirectResponse("/login", status_code=303)
    cookies.clear_session(response)
    return response


async def oauth_callback(request: Request) -> Response:
    """Finish connecting an org; the state kept on the server says which org and for whom."""
    answer = request.query_params
    try:
        org_id = await run_in_threadpool(
            orgs.finish_oauth,
            process.bridge(),
            state=answer.get("state", ""),
            code=answer.get("code", ""),
            refusal=answer.get("error_description") or answer.get("error", ""),
        )
    except OrgbridgeError as problem:
        log.info("oauth callback refused", extra={"reason": problem.happened})
        page = screens.problem_page(
            "The org was not connected", problem, link="/orgs", link_text="Back to Orgs"
        )
        return HTMLResponse(page, status_code=400)
    return RedirectResponse(f"/orgs?org={org_id}", status_code=303)


async def on_failure(request: Request, problem: Exception) -> Response:
    """The boundary of every route that has none of its own: a reference, never a trace."""
    token = cookies.session_token(request) or ""
    reference = await run_in_threadpool(
        failures.met, process.held(), problem, boundary="door", token=token
    )
    told = UserError(
        "This could not be done.",
        state="Nothing was changed that is not shown.",
        next_step=f"Try again; if it happens again, give your admin the reference {reference}.",
    )
    page = screens.problem_page(failures.SENTENCE, told, link="/", link_text="Back to Home")
    return HTMLResponse(
        page, status_code=500, headers={**gate.HEADERS, "cache-control": "no-store"}
    )


async def door_file(request: Request) -> Response:
    """One of the few files that the screens above need."""
    found = DOOR_FILES.get(request.path_params["name"])
    if found is None:
        return Response(status_code=404)
    return FileResponse(found, headers={"cache-control": "public, max-age=3600"})


async def home(_: Request) -> Response:
    """Lead home: Streamlit answers the default page at ``/`` and knows no address of it."""
    return RedirectResponse("/", status_code=303)


def routes() -> list[BaseRoute]:
    """All routes of the door, to be matched before the pages'."""
    return [
        Route("/login", login_form, methods=["GET"]),
        Route("/login", login, methods=["POST"]),
        Route("/setup", setup_form, methods=["GET"]),
        Route("/setup", setup, methods=["POST"]),
        Route("/invite", invite_form, methods=["GET"]),
        Route("/invite", invite, methods=["POST"]),
        Route("/logout", logout_form, methods=["GET"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/oauth/callback", oauth_callback, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/door/{name}", door_file, methods=["GET"]),
        Route("/home", home, methods=["GET"]),
    ]


def is_signed_in(token: str) -> bool:
    """What the gate asks for every request."""
    try:
        return people.who(process.bridge(), token) is not None
    except NotFoundError:
        return False


def local_path(wanted: str) -> str:
    """Where to go after signing in: a path of this site, or the home page for anything else.

    >>> local_path("/run?run=214"), local_path("//evil.example"), local_path("https://evil.example/")
    ('/run?run=214', '/', '/')
    """
    parts = urlsplit(wanted)
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    if not is_ours or parts.netloc or parts.scheme or any(ord(char) < 32 for char in wanted):
        return "/"
    return "/" if wanted.startswith(("/_stcore", "/static/", "/login", "/logout")) else wanted


def _form(
    request: Request,
    screen: Screen,
    *,
    typed: Mapping[str, str] | None = None,
    wanted: str = "",
    token: str = "",
    problem: OrgbridgeError | None = None,
) -> Response:
    value, signed = csrf.new_token(request)
    sent = typed or {}
    goes_to = wanted or sent.get("next", "")
    ways = single_sign_on.offered(process.bridge()) if screen is screens.SIGN_IN else ()
    links = {
        f"/oidc/{quote(way.name)}?next={quote(goes_to, safe='')}": f"Sign in with {way.title}"
        for way in ways
    }
    hidden = {"next": goes_to, "token": token or sent.get("token", "")}
    html = screens.form_page(
        screen, csrf=signed, typed=typed, hidden=hidden, problem=problem, links=links
    )
    response = HTMLResponse(html, status_code=400 if problem else 200)
    response.headers["cache-control"] = "no-store"
    csrf.lay_cookie(response, value, request)
    return response


def _enter(request: Request, signed_in: people.SignedIn, *, wanted: str) -> Response:
    response = RedirectResponse(local_path(wanted), status_code=303)
    cookies.set_session(
        response,
        signed_in.token,
        expires_at=signed_in.expires_at,
        secure=cookies.is_secure(request),
    )
    return response


async def _typed(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=FORM_MAX_FIELDS)
    return {
        # the database takes no NUL in a text
        name: text[:TEXT_MAX_CHARS].replace("\0", "")
        for name, text in form.items()
        if isinstance(text, str)
    }


def _origin(request: Request) -> str:
    return request.client.host if request.client else "unknown"
