"""The ways to an access token, and the way back: one function each.

    web server + PKCE   begin_web_server → (browser) → finish_web_server
    JWT bearer          by_jwt                     client credentials   by_client_credentials
    user + password     by_password (API ≤ 64)     sfdx auth URL        from_sfdx_url
    later               renew (whatever the flow) · revoke

``connect`` runs whichever flow the credentials name; each answers complete ``Credentials``.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

import orjson

from core.errors import ConfigError, OrgbridgeError, RefusedError, UserError
from core.salesforce import faults, hosts, soap, tokens
from core.salesforce.credentials import NOTHING, Credentials, TokenFlow, TokenGrant
from core.salesforce.tokens import TokenEndpoint
from core.secret import Secret

#: scopes asked for; a refresh token comes only with the second
SCOPES = "api refresh_token"
#: the newest API version that this client was written against (Winter '27)
NEWEST_VERSION = "68.0"
#: older versions lack what the client needs (collections upsert 46, query jobs 47, graphs 50)
OLDEST_VERSION = "50.0"
#: life of a JWT assertion; the org accepts little more than three minutes
ASSERTION_LIFE = timedelta(minutes=3)

_SFDX = re.compile(
    r"^force://(?:(?P<id>[^:@]*):(?P<secret>[^:@]*):)?(?P<token>[^:@]+)@(?P<host>[^/@]+)/?$"
)


@dataclass(frozen=True, slots=True)
class SignInStart:
    """A browser sign-in that has begun; kept server-side until the callback comes."""

    #: where the browser is sent
    authorize_url: str
    #: opaque; the callback must bring it back
    state: str
    #: proves to the token endpoint that we began this sign-in
    verifier: Secret


def begin_web_server(
    *, login_url: str, client_id: str, redirect_uri: str, prompt: str = "login"
) -> SignInStart:
    """The first half of the web-server flow with PKCE (S256).

    Raises:
        UserError: the login address is not acceptable, or the client id is empty.
    """
    host = hosts.checked_url(login_url, what="login address")
    if not client_id.strip():
        raise UserError("The consumer key is empty.", next_step="Enter the app's consumer key.")
    verifier = _b64(secrets.token_bytes(96))
    state = secrets.token_urlsafe(32)
    query = {
        "response_type": "code",
        "client_id": client_id.strip(),
        "redirect_uri": redirect_uri,
        "scope": SCOPES,
        "state": state,
        "prompt": prompt,
        "code_challenge": _b64(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    url = f"{host}/services/oauth2/authorize?{urlencode(query)}"
    return SignInStart(url, state, Secret(verifier))


def finish_web_server(
    endpoint: TokenEndpoint, asked: Credentials, *, code: str, verifier: Secret, redirect_uri: str
) -> Credentials:
    """The second half: the callback's code for tokens; ``asked`` names host, client and secret."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier.reveal(),
        **_client(asked),
    }
    granted = endpoint.grant(asked.token_host, form)
    return replace(asked, flow=TokenFlow.WEB_SERVER).with_tokens(granted)


def callback_refusal(error: str, description: str) -> OrgbridgeError:
    """What ``?error=…&error_description=…`` on the callback means."""
    document = orjson.dumps({"error": error, "error_description": description[:300]})
    return tokens.token_refusal(400, document, "https://login.salesforce.com")


def connect(
    endpoint: TokenEndpoint, asked: Credentials, *, clock: Callable[[], datetime]
) -> Credentials:
    """Credentials with an access token, by the flow they name.

    Raises:
        UserError, SessionLostError: what is wrong, precisely; nothing is stored anywhere.
    """
    asked = _checked(asked)
    if asked.flow is TokenFlow.ACCESS_TOKEN:
        if not asked.access_token:
            raise UserError("The access token is empty.", next_step="Paste the access token.")
        return asked
    return asked.with_tokens(renew(endpoint, asked, clock=clock))


def renew(
    endpoint: TokenEndpoint, held: Credentials, *, clock: Callable[[], datetime]
) -> TokenGrant:
    """A new access token, by whatever the credentials allow.

    Raises:
        SessionLostError: the org no longer accepts them.
        ConfigError: they hold nothing that could renew.
    """
    if held.flow is TokenFlow.JWT:
        return endpoint.grant(held.token_host, _assertion_form(held, clock()))
    if held.flow is TokenFlow.CLIENT_CREDENTIALS:
        return endpoint.grant(
            held.token_host, {"grant_type": "client_credentials"}, headers=_basic(held)
        )
    if held.flow is TokenFlow.PASSWORD:
        return soap_login(endpoint, held)
    if held.refresh_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": held.refresh_token.reveal(),
            **_client(held),
        }
        return endpoint.grant(held.token_host, form)
    raise ConfigError(
        "These credentials cannot be renewed: no refresh token is stored.",
        next_step="Reconnect the org.",
    )


def revoke(endpoint: TokenEndpoint, held: Credentials) -> None:
    """Make the stored tokens worthless at the org: the refresh token first, with all it granted."""
    token = held.refresh_token or held.access_token
    if token:
        endpoint.revoke(held.token_host, token)


def from_sfdx_url(text: str) -> Credentials:
    """Credentials of ``force://<client id>:<secret>:<refresh token>@<host>`` (or ``force://<token>@<host>``).

    Raises:
        UserError: the text has another shape; it is not repeated, since it is a full credential.
    """
    found = _SFDX.match(text.strip())
    if found is None:
        raise UserError(
            "This is not an sfdx auth URL.",
            state="Nothing was stored.",
            next_step="It looks like force://<client id>:<secret>:<refresh token>@<host>; "
            "`sf org display --verbose` prints it.",
        )
    return Credentials(
        instance_url=hosts.checked_url(_host_url(found["host"])),
        refresh_token=Secret(found["token"]),
        client_id=found["id"] or "PlatformCLI",
        client_secret=Secret(found["secret"] or ""),
        flow=TokenFlow.REFRESH_TOKEN,
    )


def soap_login(endpoint: TokenEndpoint, held: Credentials) -> TokenGrant:
    """A session by user name, password and security token; the org's SOAP login of API 64.

    Raises:
        UserError: refused; from API 65 on the call is gone, and orgs end it for good in Summer '27.
    """
    password = Secret(held.password.reveal() + held.security_token.reveal())
    url = f"{held.token_host}/services/Soap/u/{soap.LAST_LOGIN_VERSION}"
    body = soap.envelope(soap.login_body(held.username, password))
    status, answer = endpoint.post_xml(url, body, action="login")
    if status >= 300:
        code, message, _ = faults.error_parts(answer)
        raise _login_refusal(status, code, message)
    tree = soap.parse(answer)
    session, server = soap.text_of(tree, "sessionId"), soap.text_of(tree, "serverUrl")
    if not session or not server:
        raise UserError(
            f"{urlsplit(url).hostname} does not answer like a Salesforce login host.",
            next_step="Check the address.",
        )
    return TokenGrant(Secret(session), tokens.instance_of(_soap_instance(server), held.token_host))


def negotiated_version(endpoint: TokenEndpoint, instance_url: str, *, wanted: str = "") -> str:
    """The newest API version that the org and this client both speak, as ``"67.0"``.

    Args:
        wanted: a version to use instead, if the org offers it.

    Raises:
        UserError: the host is no org, or offers only versions that are too old.
    """
    offered = endpoint.get_json(f"{instance_url}/services/data/")
    try:
        versions = sorted(float(item["version"]) for item in offered)
    except (TypeError, KeyError, ValueError) as exc:
        raise UserError(
            f"{urlsplit(instance_url).hostname} does not answer like a Salesforce org.",
            next_step="Check the address.",
        ) from exc
    if wanted and float(wanted) in versions:
        return f"{float(wanted):.1f}"
    fit = [v for v in versions if float(OLDEST_VERSION) <= v <= float(NEWEST_VERSION)]
    if not fit:
        raise UserError(
            f"The org speaks no API version between {OLDEST_VERSION} and {NEWEST_VERSION}.",
            next_step="Use a newer Orgbridge, or an org that is kept up to date.",
        )
    return f"{fit[-1]:.1f}"


def _checked(asked: Credentials) -> Credentials:
    asked = replace(
        asked,
        instance_url=hosts.checked_url(asked.instance_url),
        login_url=hosts.checked_url(asked.login_url, what="login address")
        if asked.login_url
        else "",
    )
    for name in _NEEDED[asked.flow]:
        if not getattr(asked, name):
            words = name.replace("_", " ")
            raise UserError(f"The {words} is empty.", next_step=f"Enter the {words}.")
    generic = {"login.salesforce.com", "test.salesforce.com"}
    if asked.flow is TokenFlow.CLIENT_CREDENTIALS and urlsplit(asked.token_host).netloc in generic:
        raise UserError(
            "The client credentials flow works on the org's own address only.",
            next_step="Enter the My Domain address, such as https://example.my.salesforce.com.",
        )
    return asked


_NEEDED: Mapping[TokenFlow, tuple[str, ...]] = {
    TokenFlow.ACCESS_TOKEN: ("access_token",),
    TokenFlow.WEB_SERVER: ("client_id", "refresh_token"),
    TokenFlow.REFRESH_TOKEN: ("client_id", "refresh_token"),
    TokenFlow.JWT: ("client_id", "username", "private_key"),
    TokenFlow.CLIENT_CREDENTIALS: ("client_id", "client_secret"),
    TokenFlow.PASSWORD: ("username", "password"),
}


def _client(held: Credentials) -> dict[str, str]:
    form = {"client_id": held.client_id}
    if held.client_secret:
        form["client_secret"] = held.client_secret.reveal()
    return form


def _basic(held: Credentials) -> dict[str, str]:
    pair = f"{held.client_id}:{held.client_secret.reveal()}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def _assertion_form(held: Credentials, now: datetime) -> dict[str, str]:
    claims = {
        "iss": held.client_id,
        "sub": held.username,
        "aud": held.audience or _audience(held.token_host),
        "exp": int((now + ASSERTION_LIFE).timestamp()),
    }
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": _signed(claims, held.private_key),
    }


def _audience(host: str) -> str:
    """The login host of the org's kind: a My Domain is not accepted as audience."""
    name = urlsplit(host).hostname or ""
    if hosts.is_loopback(host) or name in ("login.salesforce.com", "test.salesforce.com"):
        return host
    sandbox = ".sandbox." in name or ".scratch." in name or re.match(r"cs\d+\.", name)
    return "https://test.salesforce.com" if sandbox else "https://login.salesforce.com"


def _signed(claims: Mapping[str, object], key: Secret) -> str:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        private = serialization.load_pem_private_key(key.reveal().encode(), password=None)
    except (ValueError, TypeError) as exc:
        raise UserError(
            "The private key cannot be read.",
            next_step="Give the unencrypted PEM whose certificate the app holds.",
        ) from exc
    if not isinstance(private, rsa.RSAPrivateKey):
        raise UserError("The private key is not an RSA key.", next_step="Give the app's RSA key.")
    header = _b64(orjson.dumps({"alg": "RS256", "typ": "JWT"}))
    unsigned = f"{header}.{_b64(orjson.dumps(claims))}"
    signature = private.sign(unsigned.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{unsigned}.{_b64(signature)}"


def _login_refusal(status: int, code: str, message: str) -> OrgbridgeError:
    if code == "UNSUPPORTED_API_VERSION" or status == 410 or "login() is not" in message:
        return UserError(
            "This org no longer signs in by user name and password.",
            next_step="Connect it by browser sign-in, JWT or client credentials.",
            code=code,
        )
    if status >= 500 and not code:
        return faults.answer_lost("the login host failed", written=False)
    reason = _LOGIN_REASONS.get(code)
    if reason is None:
        return RefusedError(f"The org refused to sign in: {message} ({code}).", code=code)
    said = message.rstrip(".")
    return UserError(f"The org refused to sign in: {said}.", next_step=reason, code=code)


_LOGIN_REASONS = {
    "INVALID_LOGIN": "Check user name, password and token; repeated attempts lock the user.",
    "LOGIN_MUST_USE_SECURITY_TOKEN": "Enter the security token, or allow this machine's address.",
    "API_DISABLED_FOR_ORG": "Give the user the permission API Enabled, or use another edition.",
    "PASSWORD_LOCKOUT": "Wait until the user is unlocked.",
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": "Change the expired password first.",
}


def _soap_instance(server_url: str) -> str:
    """The REST host of a SOAP server URL (old instances answer SOAP on ``na1-api``)."""
    parts = urlsplit(server_url)
    netloc = re.sub(r"^([^.]+)-api\.", r"\1.", parts.netloc)
    return f"{parts.scheme}://{netloc}"


def _host_url(host: str) -> str:
    return f"http://{host}" if hosts.is_loopback(f"//{host}") else f"https://{host}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


__all__ = [
    "NOTHING",
    "Credentials",
    "SignInStart",
    "TokenFlow",
    "begin_web_server",
    "callback_refusal",
    "connect",
    "finish_web_server",
    "from_sfdx_url",
    "negotiated_version",
    "renew",
    "revoke",
    "soap_login",
]
