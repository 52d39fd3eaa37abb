"""An OpenID provider of its own process for the tests: python identity_provider.py PORT.

It signs in whom ``POST /_test/person`` named last, without asking, and misbehaves as told there:

    {"sub": "1", "email": "ann@x.org", "email_verified": true, "groups": ["ops"],
     "fault": "nonce | audience | issuer | expired | unsigned | shared_key | other_key | no_token"}
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import time
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "orgbridge", "pLantedOidcSecretOfTheClient0123"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
person: dict[str, Any] = {}
codes: dict[str, dict[str, str]] = {}
#: how often somebody asked for the keys
asked_for_keys: list[str] = []


def issuer(request: Request) -> str:
    return f"http://127.0.0.1:{request.url.port}"


async def metadata(request: Request) -> Response:
    here = issuer(request)
    return JSONResponse(
        {
            "issuer": here,
            "authorization_endpoint": f"{here}/authorize",
            "token_endpoint": f"{here}/token",
            "jwks_uri": f"{here}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }
    )


async def keys(request: Request) -> Response:
    asked_for_keys.append(request.url.path)
    return JSONResponse({"keys": [KEY.as_dict(private=False)]})


async def authorize(request: Request) -> Response:
    asked = dict(request.query_params)
    wrong = (
        asked.get("client_id") != CLIENT_ID
        or asked.get("response_type") != "code"
        or asked.get("code_challenge_method") != "S256"
        or not all(asked.get(name) for name in ("state", "nonce", "code_challenge"))
        or "openid" not in asked.get("scope", "").split()
    )
    if wrong:
        return Response("invalid_request", 400)
    if person.get("fault") == "declined":
        back = {"error": "access_denied", "error_description": "you said no"}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back | _state(asked))}")
    code = secrets.token_urlsafe(16)
    codes[code] = asked
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code} | _state(asked))}")


async def token(request: Request) -> Response:
    form = {name: str(value) for name, value in (await request.form()).items()}
    shown = base64.b64decode(request.headers.get("authorization", "Basic ").split(" ", 1)[1] or b"")
    asked = codes.pop(form.get("code", ""), None)
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if shown.decode() != f"{CLIENT_ID}:{CLIENT_SECRET}":
        return JSONResponse({"error": "invalid_client"}, 401)
    if asked is None or challenge != asked["code_challenge"]:
        return JSONResponse({"error": "invalid_grant"}, 400)
    if form.get("redirect_uri") != asked["redirect_uri"]:
        return JSONResponse({"error": "invalid_grant"}, 400)
    answer = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 60}
    if person.get("fault") != "no_token":
        answer["id_token"] = signed(issuer(request), nonce=asked["nonce"])
    return JSONResponse(answer)


def signed(here: str, **more: Any) -> str:
    """A token about the person, or the one that the fault makes of it."""
    now, fault = int(time.time()), person.get("fault")
    claims = {"iss": here, "aud": CLIENT_ID, "iat": now, "exp": now + 120, **more}
    claims |= {name: value for name, value in person.items() if name != "fault"}
    claims |= {
        "nonce": {"nonce": "another"},
        "audience": {"aud": "another-app"},
        "issuer": {"iss": "https://elsewhere.example"},
        "expired": {"iat": now - 900, "exp": now - 600},
    }.get(str(fault), {})
    header = {"alg": "RS256", "kid": "one"}
    if fault == "unsigned":
        parts = [base64.urlsafe_b64encode(text).rstrip(b"=").decode() for text in
                 (b'{"alg":"none"}', jwt.json.dumps(claims).encode())]  # fmt: skip
        return ".".join([*parts, ""])
    if fault == "shared_key":
        return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET))
    return jwt.encode(header, claims, OTHER if fault == "other_key" else KEY)


async def set_person(request: Request) -> Response:
    person.clear()
    person.update(await request.json())
    return JSONResponse({})


async def logout_token(request: Request) -> Response:
    """A token that ends the person's sessions; ``?nonce=1`` makes it an ordinary one."""
    events: dict[str, Any] = {"events": {LOGOUT_EVENT: {}}, "jti": secrets.token_hex(8)}
    more = {"nonce": "n"} if request.query_params.get("nonce") else events
    return JSONResponse({"token": signed(issuer(request), **more)})


async def times_asked_for_keys(_request: Request) -> Response:
    return JSONResponse({"times": len(asked_for_keys)})


def _state(asked: dict[str, str]) -> dict[str, str]:
    return {"state": asked["state"]}


app = Starlette(
    routes=[
        Route("/.well-known/openid-configuration", metadata),
        Route("/keys", keys),
        Route("/authorize", authorize),
        Route("/token", token, methods=["POST"]),
        Route("/_test/person", set_person, methods=["POST"]),
        Route("/_test/logout_token", logout_token),
        Route("/_test/asked_for_keys", times_asked_for_keys),
    ]
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
