"""What opens an org: tokens, keys and hosts, masked wherever they could be shown."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from core.errors import ConfigError
from core.secret import Secret

NOTHING = Secret("")


class TokenFlow(StrEnum):
    """How the access token was, and can again be, obtained."""

    ACCESS_TOKEN = "access_token"  # given by hand: cannot be renewed  # noqa: S105 a flow's name
    WEB_SERVER = "web_server"  # browser sign-in with PKCE; renewed by refresh token
    REFRESH_TOKEN = "refresh_token"  # an sfdx URL: refresh token only  # noqa: S105 a flow's name
    JWT = "jwt"  # signed assertion of a connected app
    CLIENT_CREDENTIALS = "client_credentials"  # the app's run-as user
    PASSWORD = "password"  # SOAP login, API 64 and below  # noqa: S105 a flow's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Everything needed to call one org and, where the flow can, to renew its token.

    Secrets are ``Secret``; ``repr`` shows none. ``to_document`` reveals all of them and is meant
    for the vault alone.
    """

    #: scheme and host (and port) of the org, no path
    instance_url: str
    access_token: Secret = NOTHING
    refresh_token: Secret = NOTHING
    flow: TokenFlow = TokenFlow.ACCESS_TOKEN
    #: where tokens are asked for; the instance itself unless given
    login_url: str = ""
    client_id: str = ""
    client_secret: Secret = NOTHING
    username: str = ""
    password: Secret = NOTHING
    security_token: Secret = NOTHING
    #: PEM of the private key (JWT flow)
    private_key: Secret = NOTHING
    #: JWT audience; the login host unless given
    audience: str = ""
    #: "67.0"; empty = the newest that the org and we both speak
    api_version: str = ""
    #: identity URL the last token answer named
    identity_url: str = ""

    @property
    def token_host(self) -> str:
        """Scheme and host that the token endpoint lives on."""
        return (self.login_url or self.instance_url).rstrip("/")

    @property
    def renewable(self) -> bool:
        """Whether a new access token can be had without a person."""
        return self.flow in _NON_INTERACTIVE or bool(self.refresh_token)

    def with_tokens(self, granted: TokenGrant) -> Credentials:
        """These credentials after a token answer; a rotated refresh token replaces the old one."""
        return replace(
            self,
            access_token=granted.access_token,
            refresh_token=granted.refresh_token or self.refresh_token,
            instance_url=granted.instance_url or self.instance_url,
            identity_url=granted.identity_url or self.identity_url,
        )

    def to_document(self) -> str:
        """JSON with every secret in clear: to be encrypted at once. Inverse: ``from_document``."""
        plain = {
            item.name: (value.reveal() if isinstance(value, Secret) else str(value))
            for item in fields(self)
            if (value := getattr(self, item.name))
        }
        return json.dumps(plain, sort_keys=True)

    @classmethod
    def from_document(cls, document: str) -> Credentials:
        """The credentials that ``to_document`` wrote.

        Raises:
            ConfigError: the text is no such document (a wrong key decrypts to nothing readable).
        """
        try:
            plain: dict[str, str] = json.loads(document)
            values: dict[str, Any] = {
                name: Secret(value) if name in _SECRET_FIELDS else value
                for name, value in plain.items()
            }
            values["flow"] = TokenFlow(plain.get("flow", TokenFlow.ACCESS_TOKEN))
            return cls(**values)
        except (ValueError, TypeError, AttributeError) as exc:
            raise ConfigError(
                "The stored credentials of this org cannot be read.",
                next_step="Reconnect the org.",
            ) from exc


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What a token endpoint granted."""

    access_token: Secret
    instance_url: str
    refresh_token: Secret = NOTHING
    identity_url: str = ""
    scope: str = ""
    #: names that the answer carried beyond the known ones, for diagnosis (never their values)
    other: tuple[str, ...] = field(default=())


_NON_INTERACTIVE = frozenset(
    {TokenFlow.JWT, TokenFlow.CLIENT_CREDENTIALS, TokenFlow.PASSWORD, TokenFlow.REFRESH_TOKEN}
)
_SECRET_FIELDS = frozenset(
    {"access_token", "refresh_token", "client_secret", "password", "security_token", "private_key"}
)
