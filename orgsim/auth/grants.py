"""Grants: how an app gets a token, by code with PKCE, refresh, JWT, client credentials or password.

    authorize ─▶ code (one use, minutes) ─▶ token + refresh token ─▶ refresh (rotated if asked)
    JWT · client credentials · password ─▶ token

Apps and refresh tokens are kept in the store and survive a restart; codes do not. Refusals are
worded as an org words them. Source: REST API Developer Guide and help on OAuth flows; where they
leave room (rotation) the app's entry decides.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from orgsim.auth import jwt
from orgsim.store.rows import first_row

#: a code is refused after this; pages give 2 to 15 minutes, so the shorter (assumed)
CODE_LIFE_S = 120
#: refresh tokens a user may hold for one app; the next revokes the oldest (help: connected apps)
REFRESH_TOKENS_MAX = 5
APPS, REFRESH_TOKENS = "oauth_apps", "refresh_tokens"


class GrantError(Exception):
    """A refused grant: HTTP 400 with ``error`` and ``error_description``."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True)
class Code:
    """What a person allowed, waiting to be turned into a token."""

    client_id: str
    user_id: str
    redirect_uri: str
    scope: str
    challenge: str | None
    expires_at: float


class Grants:
    """All grants of one org. Thread-safe."""

    def __init__(self, org: Any) -> None:
        self._org = org
        self._lock = threading.Lock()
        self._codes: dict[str, Code] = {}

    def apps(self) -> dict[str, Any]:
        """Apps by consumer key; the org's own is always among them."""
        identity = self._org.identity
        own = {"secret": identity.client_secret, "redirects": None, "run_as": None, "rotate": True}
        return {identity.client_id: own, **(self._org.store.document(APPS) or {})}

    def register_app(self, client_id: str, entry: Mapping[str, Any]) -> None:
        """Adds or replaces an app: secret, redirects, run_as, rotate, public_key (PEM)."""
        with self._lock:
            kept = self._org.store.document(APPS) or {}
            self._org.store.put_document(APPS, {**kept, client_id: dict(entry)})

    def check_authorize(self, form: Mapping[str, str]) -> None:
        """Passes when a person may be asked.

        Raises:
            GrantError: app, redirect or kind of answer is wrong.
        """
        app = self._app(form.get("client_id", ""))
        if form.get("response_type") != "code":
            raise GrantError("unsupported_response_type", "response type not supported")
        allowed = app.get("redirects")
        if allowed is not None and form.get("redirect_uri") not in allowed:
            raise GrantError("redirect_uri_mismatch", "redirect_uri must match configuration")

    def new_code(self, form: Mapping[str, str], user_id: str) -> str:
        """A code for what the person allowed; it ends as real ones do, in characters to encode."""
        code = "aPrx" + secrets.token_urlsafe(40) + "=="
        with self._lock:
            self._codes[code] = Code(
                client_id=form["client_id"],
                user_id=user_id,
                redirect_uri=form.get("redirect_uri", ""),
                scope=form.get("scope") or "api refresh_token",
                challenge=form.get("code_challenge") or None,
                expires_at=time.time() + CODE_LIFE_S,
            )
        return code

    def token(self, form: Mapping[str, str], *, instance_url: str) -> dict[str, Any]:
        """The answer of the token endpoint.

        Raises:
            GrantError: the grant is refused.
        """
        flows = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh,
            "client_credentials": self._by_client,
            "password": self._by_password,
            "urn:ietf:params:oauth:grant-type:jwt-bearer": self._by_jwt,
        }
        flow = flows.get(form.get("grant_type", ""))
        if flow is None:
            raise GrantError("unsupported_grant_type", "grant type not supported")
        return flow(form, instance_url)

    def revoke(self, token: str) -> None:
        """Ends an access token, or a refresh token and with it the app's access.

        Raises:
            GrantError: no such token.
        """
        with self._lock:
            kept = self._refresh_tokens()
            if token in kept:
                kept.pop(token)
                self._org.store.put_document(REFRESH_TOKENS, kept)
                return
        if self._org.sessions.find(token) is None:
            raise GrantError("invalid_token", "invalid token")
        self._org.sessions.revoke(token)

    def _by_code(self, form: Mapping[str, str], instance_url: str) -> dict[str, Any]:
        self._checked_app(form, needs_secret=False)
        with self._lock:
            code = self._codes.pop(form.get("code", ""), None)
        if code is None:
            raise GrantError("invalid_grant", "invalid authorization code")
        if code.expires_at < time.time():
            raise GrantError("invalid_grant", "expired authorization code")
        if code.client_id != form.get("client_id"):
            raise GrantError("invalid_grant", "invalid authorization code")
        if code.redirect_uri != form.get("redirect_uri", ""):
            raise GrantError("redirect_uri_mismatch", "redirect_uri must match configuration")
        if code.challenge and _challenge(form.get("code_verifier", "")) != code.challenge:
            raise GrantError("invalid_grant", "invalid code verifier")
        answer = self._answer(code.user_id, form, instance_url=instance_url, scope=code.scope)
        if {"refresh_token", "offline_access"} & set(code.scope.split()):
            answer["refresh_token"] = self._new_refresh(code.client_id, code.user_id, code.scope)
        return answer

    def _by_refresh(self, form: Mapping[str, str], instance_url: str) -> dict[str, Any]:
        app = self._checked_app(form, needs_secret=False)
        with self._lock:
            held = self._refresh_tokens().get(form.get("refresh_token", ""))
        if held is None or held["client_id"] != form.get("client_id"):
            raise GrantError("invalid_grant", "expired access/refresh token")
        answer = self._answer(held["user_id"], form, instance_url=instance_url, scope=held["scope"])
        if app.get("rotate"):
            self._drop_refresh(form["refresh_token"])
            answer["refresh_token"] = self._new_refresh(
                held["client_id"], held["user_id"], held["scope"]
            )
        return answer

    def _by_client(self, form: Mapping[str, str], instance_url: str) -> dict[str, Any]:
        app = self._checked_app(form, needs_secret=True)
        user_id = self._user_id(app.get("run_as"))
        return self._answer(user_id, form, instance_url=instance_url, scope="api")

    def _by_password(self, form: Mapping[str, str], instance_url: str) -> dict[str, Any]:
        self._checked_app(form, needs_secret=True)
        wanted = self._org.options.get("password", "practice")
        if form.get("password") not in (wanted, f"{wanted}TOKEN"):
            raise GrantError("invalid_grant", "authentication failure - Invalid Password")
        user_id = self._user_id(form.get("username"))
        return self._answer(user_id, form, instance_url=instance_url, scope="api")

    def _by_jwt(self, form: Mapping[str, str], instance_url: str) -> dict[str, Any]:
        assertion = form.get("assertion", "")
        try:
            claims, signed, signature = jwt.read(assertion)
        except ValueError as error:
            raise GrantError("invalid_grant", "invalid assertion") from error
        app = self._app(str(claims.get("iss", "")))
        _check_signature(app.get("public_key"), signed, signature)
        if float(claims.get("exp") or 0) < time.time():
            raise GrantError("invalid_grant", "expired assertion")
        audiences = {"https://login.salesforce.com", "https://test.salesforce.com", instance_url}
        if str(claims.get("aud")) not in audiences:
            raise GrantError("invalid_grant", "Audience validation failed")
        user_id = self._user_id(
            str(claims.get("sub", "")), refusal="user hasn't approved this consumer"
        )
        scoped = {**form, "client_id": str(claims["iss"])}
        return self._answer(user_id, scoped, instance_url=instance_url, scope="api")

    def _answer(
        self, user_id: str, form: Mapping[str, str], *, instance_url: str, scope: str
    ) -> dict[str, Any]:
        identity = f"{instance_url}/id/{self._org.identity.organization_id}/{user_id}"
        issued = str(int(time.time() * 1000))
        secret = str(self._app(form.get("client_id", "")).get("secret") or "")
        digest = hmac.new(secret.encode(), (identity + issued).encode(), hashlib.sha256).digest()
        return {
            "access_token": self._org.sessions.issue(user_id),
            "signature": base64.b64encode(digest).decode(),
            "scope": scope,
            "instance_url": instance_url,
            "id": identity,
            "token_type": "Bearer",
            "issued_at": issued,
        }

    def _app(self, client_id: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.apps().get(client_id)
        if found is None:
            raise GrantError("invalid_client_id", "client identifier invalid")
        return found

    def _checked_app(self, form: Mapping[str, str], *, needs_secret: bool) -> dict[str, Any]:
        app = self._app(form.get("client_id", ""))
        given = form.get("client_secret")
        if (needs_secret or given) and not hmac.compare_digest(
            given or "", app.get("secret") or ""
        ):
            raise GrantError("invalid_client", "invalid client credentials")
        return app

    def _user_id(self, username: str | None, *, refusal: str = "authentication failure") -> str:
        """The active user of that name; the administrator when none is named."""
        if not username:
            return str(self._org.identity.user_id)
        with self._org.store.read() as cursor:
            row = first_row(
                cursor.execute(
                    'SELECT Id FROM "User" WHERE lower(Username) = lower(?) AND IsActive',
                    [username],
                )
            )
        if row is None:
            raise GrantError("invalid_grant", refusal)
        return str(row[0])

    def _refresh_tokens(self) -> dict[str, Any]:
        return self._org.store.document(REFRESH_TOKENS) or {}

    def _new_refresh(self, client_id: str, user_id: str, scope: str) -> str:
        token = "5Aep861" + secrets.token_urlsafe(48)
        entry = {"client_id": client_id, "user_id": user_id, "scope": scope}
        with self._lock:
            kept = self._refresh_tokens()
            same = [
                t for t, e in kept.items() if (e["client_id"], e["user_id"]) == (client_id, user_id)
            ]
            for old in same[: max(0, len(same) + 1 - REFRESH_TOKENS_MAX)]:
                kept.pop(old)
            self._org.store.put_document(REFRESH_TOKENS, {**kept, token: entry})
        return token

    def _drop_refresh(self, token: str) -> None:
        with self._lock:
            kept = self._refresh_tokens()
            kept.pop(token, None)
            self._org.store.put_document(REFRESH_TOKENS, kept)


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _check_signature(public_key: str | None, signed: bytes, signature: bytes) -> None:
    if not public_key:
        raise GrantError("invalid_grant", "invalid assertion")
    key = load_pem_public_key(public_key.encode())
    if not isinstance(key, RSAPublicKey):
        raise GrantError("invalid_grant", "invalid assertion")
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature as error:
        raise GrantError("invalid_grant", "invalid assertion") from error
