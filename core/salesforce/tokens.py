"""Speaking to a token endpoint: forms out, a grant or a precise reason back.

Apart from the wire, because here there is no session yet. Nothing that is sent or received is put
into an error or a log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import orjson
from urllib3 import exceptions as u3

from core.errors import OrgbridgeError, RefusedError, SessionLostError, TransientError, UserError
from core.salesforce import faults, hosts
from core.salesforce.credentials import NOTHING, TokenGrant
from core.salesforce.pools import ForbiddenPeerError, connection_pools
from core.salesforce.retry import OF_A_RUN, Patience
from core.secret import Secret

T = TypeVar("T")
#: seconds of silence after which even a run takes a login host for away
LONGEST_S = 60.0
_KNOWN = frozenset(
    {
        "access_token",
        "refresh_token",
        "instance_url",
        "id",
        "scope",
        "signature",
        "token_type",
        "issued_at",
    }
)


class TokenEndpoint:
    """Posts to login hosts. Thread-safe."""

    def __init__(
        self,
        *,
        sleep: Callable[[float], None],
        patience: Patience = OF_A_RUN,
        trusted_ca: str | None = None,
    ) -> None:
        self._timeouts = replace(patience.timeouts, read_s=min(LONGEST_S, patience.timeouts.read_s))
        self._pools = connection_pools(self._timeouts, trusted_ca=trusted_ca)
        self._policy = replace(patience.policy, attempts=min(patience.policy.attempts, 3))
        self._sleep = sleep

    def grant(
        self, host: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> TokenGrant:
        """What ``{host}/services/oauth2/token`` grants for the form.

        Raises:
            SessionLostError: the stored grant is no longer accepted (expired, revoked, rotated).
            UserError: something given is wrong; the sentence says what.
            TransientError: the host did not answer, after three attempts.
        """
        status, body = self._again(
            lambda: self._post(f"{host}/services/oauth2/token", form, headers or {})
        )
        if status >= 300:
            raise token_refusal(status, body, host)
        return _grant(body, host)

    def revoke(self, host: str, token: Secret) -> None:
        """Make a refresh token (with its access tokens) or an access token worthless.

        A token that is not valid any more is fine.
        """
        form = {"token": token.reveal()}
        status, body = self._again(lambda: self._post(f"{host}/services/oauth2/revoke", form, {}))
        code, _, _ = faults.error_parts(body)
        if status >= 300 and code not in ("invalid_token", "unsupported_token_type"):
            raise token_refusal(status, body, host)

    def post_xml(self, url: str, body: bytes, *, action: str) -> tuple[int, bytes]:
        """A SOAP call without session (``login``)."""
        headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": action}
        return self._again(lambda: self._exchange("POST", url, body=body, headers=headers))

    def get_json(self, url: str) -> Any:
        """A public document (the list of API versions)."""
        status, body = self._again(
            lambda: self._exchange("GET", url, body=None, headers={"Accept": "application/json"})
        )
        code, message, _ = faults.error_parts(body)
        if status >= 300:
            raise faults.classify(status, code, message, written=False)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            raise UserError(
                f"{urlsplit(url).hostname} does not answer like a Salesforce org.",
                next_step="Check the address.",
            ) from exc

    def _post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return self._exchange(
            "POST", url, body=urlencode(form).encode(), headers={**sent, **headers}
        )

    def _exchange(
        self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        try:
            response = self._pools.urlopen(
                method, url, body=body, headers=dict(headers), redirect=False, retries=False
            )
        except ForbiddenPeerError as exc:
            reason = "its name leads to a private address"
            raise faults.never_arrived(reason, host=hosts.place(url)) from exc
        except u3.ConnectTimeoutError as exc:  # the library's word for every missing connection
            reason = "nothing there accepts a connection"
            raise faults.never_arrived(reason, host=hosts.place(url)) from exc
        except u3.ReadTimeoutError as exc:
            raise faults.unanswered(hosts.place(url), written=False) from exc
        except (u3.HTTPError, OSError) as exc:
            raise faults.answer_lost("the connection was dropped", written=False) from exc
        if response.status in (420, 429) or response.status in (502, 503, 504):
            raise TransientError(f"{hosts.place(url)} is busy (HTTP {response.status}).")
        return response.status, response.data

    def _again(self, work: Callable[[], T]) -> T:
        delays, began_s = self._policy.delays(), time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return work()
            except OrgbridgeError as exc:
                spent_s = time.monotonic() - began_s
                if not self._policy.allows(exc, attempt, spent_s=spent_s):
                    raise
                self._sleep(next(delays))


def token_refusal(status: int, body: bytes, host: str) -> OrgbridgeError:
    """What a token endpoint's refusal means to the one who connects an org."""
    code, message, _ = faults.error_parts(body)
    name = urlsplit(host).hostname
    facts: dict[str, Any] = {"status": status, "code": code}
    if code == "invalid_grant":
        return _grant_refusal(message, facts)
    if code in _CLIENT_REASONS:
        happened, next_step = _CLIENT_REASONS[code]
        return UserError(f"{name}: {happened} ({message or code}).", next_step=next_step, **facts)
    if code == "rate_limit_exceeded":
        return TransientError(f"{name} asks to sign in less often.", **facts)
    if code:
        return RefusedError(f"{name} refused to sign in: {message or code}.", **facts)
    return UserError(
        f"{name} does not answer like a Salesforce login host (HTTP {status}).",
        next_step="Check the address.",
        **facts,
    )


def instance_of(answer_url: str, asked_host: str) -> str:
    """The instance URL that a token answer names, if it may be followed.

    Raises:
        UserError: it lies neither with Salesforce nor on the host that was asked.
    """
    url = hosts.checked_url(answer_url)
    if hosts.same_host(url, asked_host):
        return url
    if hosts.is_loopback(url) != hosts.is_loopback(asked_host) or not hosts.is_salesforce(url):
        raise UserError(
            "The token answer points to a host that is not Salesforce's; it was not followed.",
            state="Nothing was stored.",
            next_step="Check the login address.",
        )
    return url


def _grant(body: bytes, host: str) -> TokenGrant:
    try:
        document = orjson.loads(body)
        token = str(document["access_token"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise UserError(
            f"{urlsplit(host).hostname} does not answer like a Salesforce login host.",
            next_step="Check the address.",
        ) from exc
    refresh = document.get("refresh_token")
    return TokenGrant(
        access_token=Secret(token),
        instance_url=instance_of(str(document.get("instance_url") or host), host),
        refresh_token=Secret(str(refresh)) if refresh else NOTHING,
        identity_url=str(document.get("id") or ""),
        scope=str(document.get("scope") or ""),
        other=tuple(sorted(set(document) - _KNOWN)),
    )


def _grant_refusal(message: str, facts: Mapping[str, Any]) -> OrgbridgeError:
    said = message.lower()
    if "expired access/refresh token" in said or "revoked" in said or "inactive token" in said:
        return SessionLostError(
            f"The org no longer accepts the stored sign-in ({message}).",
            next_step="Reconnect the org.",
            **facts,
        )
    for words, next_step in _GRANT_REASONS:
        if words in said:
            return UserError(
                f"The org refused to sign in: {message}.", next_step=next_step, **facts
            )
    return SessionLostError(
        f"The org refused to sign in: {message or 'invalid_grant'}.",
        next_step="Check what was given, then reconnect the org.",
        **facts,
    )


_GRANT_REASONS = (
    ("authorization code", "Start the sign-in again: a code works once and for minutes only."),
    (
        "authentication failure",
        "Check user name, password and security token; repeated attempts lock the user.",
    ),
    ("audience", "Use the login host of the org's kind: login (production) or test (sandbox)."),
    ("hasn't approved", "Pre-authorise the app for this user, or let the user sign in once."),
    ("ip restricted", "Let the app's policy or the profile accept this machine's address."),
    ("inactive user", "Activate the user in the org."),
    ("no client credentials user", "Name a run-as user in the app's client credentials flow."),
)
_CLIENT_REASONS = {
    "invalid_client_id": ("the consumer key is not known there", "Check the client id and host."),
    "invalid_client": ("the consumer secret is wrong", "Check the client secret."),
    "invalid_request": ("something is missing in the request", "Check every field."),
    "unsupported_grant_type": ("this way of signing in is switched off", "Enable it in the app."),
    "invalid_app_access": ("the user may not use this app", "Assign the app to the user."),
    "redirect_uri_mismatch": ("the callback address differs", "Enter our callback in the app."),
    "invalid_scope": ("the app does not grant these scopes", "Allow api and refresh_token."),
    "inactive_org": ("the org is locked or closed", "Ask the org's admin."),
    "access_denied": ("the sign-in was declined", "Sign in again and allow access."),
}
