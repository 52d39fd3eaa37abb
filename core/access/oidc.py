"""OpenID Connect with one provider: the way to its sign-in page, and what its answer proves.

    begin ─▶ (browser, provider) ─▶ finish: code + PKCE verifier ─▶ ID token ─▶ checked claims
    told_out: a logout token of the provider ─▶ whose sessions end

Authlib carries the flow and checks the claims, joserfc the signatures. Nothing here knows our
people; core.services.single_sign_on decides whom the claims let in.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from core.access.providers import Provider
from core.errors import TransientError, UserError
from core.secret import Secret

#: the provider's document and keys are asked for again after this
FRESH_FOR_S = 3600.0
#: and its keys once in this time at most for tokens of a key that it did not name: strangers may
#: send as many of them as they like
AGAIN_AFTER_S = 60.0
TIMEOUT_S = 10.0
#: clocks may differ by so much
LEEWAY_S = 60
#: signatures by the provider's own key; never ``none``, never one made with a shared secret
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
#: OpenID Connect Back-Channel Logout 1.0, 2.4
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way; kept on the server but for the address."""

    url: str
    state: str
    nonce: str
    verifier: Secret


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a provider says somebody is."""

    issuer: str
    subject: str
    email: str
    email_verified: bool
    name: str
    claims: dict[str, Any]


class Speaker:
    """Speaks with one provider; keeps its document and keys for an hour. Thread-safe."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._mutex = threading.Lock()
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def begin(self, redirect_uri: str) -> Begun:
        """Where the browser is sent, with state, nonce and PKCE challenge (S256).

        Raises:
            TransientError: the provider does not answer. UserError: not like a provider.
        """
        session, nonce, verifier = self._session(redirect_uri), _token(), _token() + _token()
        url, state = session.create_authorization_url(
            self._metadata()["authorization_endpoint"],
            state=_token(),
            nonce=nonce,
            code_verifier=verifier,
        )
        return Begun(url, state, nonce, Secret(verifier))

    def finish(self, *, code: str, redirect_uri: str, nonce: str, verifier: Secret) -> Identity:
        """The code for an ID token, and what it proves.

        Raises:
            UserError: the code or the token is not good. TransientError: no answer.
        """
        from authlib.integrations.base_client.errors import OAuthError
        from requests import RequestException

        try:
            answer = self._session(redirect_uri).fetch_token(
                self._metadata()["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier.reveal(),
                timeout=TIMEOUT_S,
            )
        except OAuthError as refused:
            raise self._refused(str(refused.error)) from None
        except (RequestException, ValueError) as lost:
            raise self._silent() from lost
        token = str(answer.get("id_token", ""))
        if not token:
            raise self._refused("it sent no ID token")
        return self._identity(self._checked(token, {"nonce": nonce}))

    def told_out(self, logout_token: str) -> str:
        """The subject whom the provider signs out.

        Raises:
            UserError: the token is not the provider's, too old, or no logout token.
        """
        claims = self._checked(logout_token, {})
        events = claims.get("events")
        if not isinstance(events, dict) or LOGOUT_EVENT not in events or "nonce" in claims:
            raise self._refused("this is no logout token")
        return str(claims["sub"])

    def _checked(self, token: str, params: dict[str, Any]) -> dict[str, Any]:
        """Claims of a token of this provider, for us, in time."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError
        from joserfc.jwk import KeySet

        options: Any = {
            "iss": {"essential": True, "value": self.provider.issuer},
            "aud": {"essential": True, "value": self.provider.client_id},
        }
        try:
            try:
                keys = KeySet.import_key_set(self._keys())
                found = jwt.decode(token, keys, algorithms=ALGORITHMS)
            except InvalidKeyIdError:  # the provider changed its keys a moment ago
                keys = KeySet.import_key_set(self._keys(again=True))
                found = jwt.decode(token, keys, algorithms=ALGORITHMS)
            known = {"client_id": self.provider.client_id, **params}
            claims = CodeIDToken(found.claims, found.header, options, known)
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError) as wrong:  # TypeError: "crit": 1 in a header
            reason = getattr(wrong, "error", "") or type(wrong).__name__
            raise self._refused(f"its token is not good ({reason})") from None
        return dict(claims)

    def _identity(self, claims: dict[str, Any]) -> Identity:
        return Identity(
            issuer=str(claims["iss"]),
            subject=str(claims["sub"]),
            email=str(claims.get("email", "")).strip(),
            email_verified=claims.get("email_verified") is True,
            name=str(claims.get("name", "")).strip(),
            claims=claims,
        )

    def _session(self, redirect_uri: str) -> Any:
        from authlib.integrations.requests_client import OAuth2Session

        secret = self.provider.client_secret.reveal()
        session = OAuth2Session(
            self.provider.client_id,
            secret or None,
            scope=" ".join(self.provider.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
        )
        session.trust_env = False  # no proxy, no .netrc of the account that runs us
        return session

    def _metadata(self) -> dict[str, Any]:
        url = f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = self._document("metadata", url)
        if found.get("issuer") != self.provider.issuer:
            raise self._refused("it calls itself by another name than its issuer")
        return found

    def _keys(self, *, again: bool = False) -> Any:
        return self._document("keys", str(self._metadata().get("jwks_uri", "")), again=again)

    def _document(self, name: str, url: str, *, again: bool = False) -> dict[str, Any]:
        with self._mutex:
            kept = self._kept.get(name)
            is_good_for_s = AGAIN_AFTER_S if again else FRESH_FOR_S
            if kept is not None and time.monotonic() - kept[0] < is_good_for_s:
                return kept[1]
        found = self._asked(url)
        with self._mutex:
            self._kept[name] = (time.monotonic(), found)
        return found

    def _asked(self, url: str) -> dict[str, Any]:
        import requests

        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(url, timeout=TIMEOUT_S, allow_redirects=False)
            found = answer.json() if answer.status_code == 200 else None
        except (requests.RequestException, ValueError) as lost:
            raise self._silent() from lost
        if not isinstance(found, dict):
            raise self._silent()
        return found

    def _refused(self, reason: str) -> UserError:
        return UserError(
            f"{self.provider.title} did not sign you in: {reason}.",
            state="Nobody was signed in.",
            next_step="Start again on the sign-in page.",
        )

    def _silent(self) -> TransientError:
        return TransientError(
            f"{self.provider.title} does not answer as an identity provider does.",
            state="Nobody was signed in.",
            next_step="Try again in a minute, or sign in with a password.",
        )


def _token() -> str:
    return secrets.token_urlsafe(32)
