"""The OAuth resources over HTTP: authorize, token, revoke, userinfo, introspect and identity.

They need no session themselves; `routes` stands beside the API, outside its token check.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from orgsim.auth.grants import GrantError, Grants
from orgsim.store.rows import first_row

_PAGE = """<!doctype html><html lang="en"><head><title>Allow access?</title></head><body>
<main><h1>Allow access to {org}?</h1><p>{app} asks for: {scope}</p>
<form method="post">{hidden}<label>Sign in as <select name="user_id">{users}</select></label>
<button name="answer" value="allow">Allow</button>
<button name="answer" value="deny">Deny</button></form></main></body></html>"""


def routes(org: Any) -> list[Route]:
    """The resources of one org; ``org.grants`` holds its grants."""
    desk = _Desk(org, org.grants)
    base = "/services/oauth2"
    return [
        Route(f"{base}/authorize", desk.authorize, methods=["GET", "POST"]),
        Route(f"{base}/token", desk.token, methods=["POST"]),
        Route(f"{base}/revoke", desk.revoke, methods=["GET", "POST"]),
        Route(f"{base}/introspect", desk.introspect, methods=["POST"]),
        Route(f"{base}/userinfo", desk.userinfo, methods=["GET", "POST"]),
        Route("/id/{organization_id}/{user_id}", desk.identity, methods=["GET"]),
    ]


class _Desk:
    def __init__(self, org: Any, grants: Grants) -> None:
        self._org = org
        self._grants = grants

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        try:
            await run_in_threadpool(self._grants.check_authorize, asked)
        except GrantError as error:
            return HTMLResponse(f"<p>{escape(error.error)}: {escape(error.description)}</p>", 400)
        if request.method == "GET":
            return HTMLResponse(await run_in_threadpool(self._page, asked))
        form = dict(await request.form())
        state = {"state": asked["state"]} if "state" in asked else {}
        if form.get("answer") != "allow":
            refusal = {
                "error": "access_denied",
                "error_description": "end-user denied authorization",
            }
            return _back(asked, {**refusal, **state})
        code = self._grants.new_code(asked, str(form["user_id"]))
        return _back(asked, {"code": code, **state})

    async def token(self, request: Request) -> Response:
        form = await _form(request)
        instance_url = _base(request)
        try:
            made = await run_in_threadpool(
                lambda: self._grants.token(form, instance_url=instance_url)
            )
        except GrantError as error:
            return _refusal(error)
        return JSONResponse(made, headers={"Cache-Control": "no-store"})

    async def revoke(self, request: Request) -> Response:
        token = (await _form(request)).get("token") or request.query_params.get("token", "")
        try:
            await run_in_threadpool(self._grants.revoke, token)
        except GrantError as error:
            # the one refusal that is not JSON, as jsforce reads it
            words = {"error": "unsupported_token_type", "error_description": error.description}
            return Response(urlencode(words), 400, media_type="application/x-www-form-urlencoded")
        return Response(status_code=200)

    async def introspect(self, request: Request) -> Response:
        token = (await _form(request)).get("token", "")
        session = await run_in_threadpool(self._org.sessions.find, token)
        if session is None:
            return JSONResponse({"active": False})
        return JSONResponse({"active": True, "scope": "api", "sub": session.user_id})

    async def userinfo(self, request: Request) -> Response:
        return await self._about(request, self._userinfo)

    async def identity(self, request: Request) -> Response:
        return await self._about(request, self._identity)

    async def _about(
        self, request: Request, words: Callable[[dict[str, Any], str], dict[str, Any]]
    ) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        session = await run_in_threadpool(self._org.sessions.find, token)
        if scheme.lower() not in ("bearer", "oauth") or session is None:
            return Response("Bad_OAuth_Token", 403, media_type="text/html")
        user = await run_in_threadpool(self._user, session.user_id)
        return JSONResponse(words(user, _base(request)))

    def _user(self, user_id: str) -> dict[str, Any]:
        with self._org.store.read() as cursor:
            cursor.execute('SELECT * FROM "User" WHERE Id = ?', [user_id])
            names = [column[0] for column in cursor.description or ()]
            row = first_row(cursor)
        return dict(zip(names, row or (), strict=False))

    def _userinfo(self, user: dict[str, Any], base: str) -> dict[str, Any]:
        return {
            "sub": f"{base}/id/{self._org.identity.organization_id}/{user['Id']}",
            "user_id": user["Id"],
            "organization_id": self._org.identity.organization_id,
            "preferred_username": user["Username"],
            "nickname": user.get("CommunityNickname"),
            "name": user.get("Name"),
            "email": user.get("Email"),
            "email_verified": True,
            "given_name": user.get("FirstName"),
            "family_name": user.get("LastName"),
            "zoneinfo": user.get("TimeZoneSidKey") or "GMT",
            "is_salesforce_integration_user": False,
            "user_type": "STANDARD",
            "language": user.get("LanguageLocaleKey") or "en_US",
            "locale": user.get("LocaleSidKey") or "en_US",
            "utcOffset": 0,
            "urls": _urls(base, self._org.identity.organization_id),
            "active": bool(user.get("IsActive")),
        }

    def _identity(self, user: dict[str, Any], base: str) -> dict[str, Any]:
        return {
            "id": f"{base}/id/{self._org.identity.organization_id}/{user['Id']}",
            "asserted_user": True,
            "user_id": user["Id"],
            "organization_id": self._org.identity.organization_id,
            "username": user["Username"],
            "nick_name": user.get("CommunityNickname"),
            "display_name": user.get("Name"),
            "email": user.get("Email"),
            "first_name": user.get("FirstName"),
            "last_name": user.get("LastName"),
            "active": bool(user.get("IsActive")),
            "user_type": "STANDARD",
            "language": user.get("LanguageLocaleKey") or "en_US",
            "locale": user.get("LocaleSidKey") or "en_US",
            "utcOffset": 0,
            "urls": _urls(base, self._org.identity.organization_id),
        }

    def _page(self, asked: Mapping[str, str]) -> str:
        with self._org.store.read() as cursor:
            users = cursor.execute('SELECT Id, Username FROM "User" WHERE IsActive').fetchall()
        options = "".join(f'<option value="{i}">{escape(str(name))}</option>' for i, name in users)
        return _PAGE.format(
            org=escape(str(self._org.identity.name)),
            app=escape(asked["client_id"]),
            scope=escape(asked.get("scope", "api")),
            hidden="",
            users=options,
        )


async def _form(request: Request) -> dict[str, str]:
    """The form fields; client id and secret may come by HTTP Basic instead."""
    form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            key, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            key, secret = "", ""
        form.setdefault("client_id", key)
        form.setdefault("client_secret", secret)
    return form


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _back(asked: Mapping[str, str], words: Mapping[str, str]) -> Response:
    joint = "&" if "?" in asked["redirect_uri"] else "?"
    return RedirectResponse(f"{asked['redirect_uri']}{joint}{urlencode(words)}", 302)


def _refusal(error: GrantError) -> JSONResponse:
    words = {"error": error.error, "error_description": error.description}
    return JSONResponse(words, error.status, headers={"Cache-Control": "no-store"})


def _urls(base: str, organization_id: str) -> dict[str, str]:
    rest = f"{base}/services/data/v{{version}}"
    return {
        "enterprise": f"{base}/services/Soap/c/{{version}}/{organization_id[:15]}",
        "metadata": f"{base}/services/Soap/m/{{version}}/{organization_id[:15]}",
        "partner": f"{base}/services/Soap/u/{{version}}/{organization_id[:15]}",
        "rest": f"{rest}/",
        "sobjects": f"{rest}/sobjects/",
        "search": f"{rest}/search/",
        "query": f"{rest}/query/",
        "recent": f"{rest}/recent/",
        "tooling_rest": f"{rest}/tooling/",
    }
