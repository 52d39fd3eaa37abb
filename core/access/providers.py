"""Identity providers for single sign-on, as the operator wrote them into ``oidc.yaml``.

The file lies in the data folder (or where ``ORGBRIDGE_OIDC_FILE`` says) and is read at the start.
It holds client secrets, so only its owner may read it.

    providers:
      - name: acme                     # in addresses: /oidc/acme/callback
        title: Acme                    # on the button
        issuer: https://login.acme.example
        client_id: orgbridge
        client_secret: …
        workspace: main
        role_claim: groups             # omitted: everybody gets default_role, existing roles stay
        roles: {orgbridge-admins: admin, migration: analyst}
        default_role: viewer           # omitted: who has none of the groups is not let in
        domains: [acme.example]        # omitted: any address that the provider verified
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core.domain.roles import Role
from core.errors import ConfigError
from core.secret import Secret

_STRICT = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Provider(BaseModel):
    """One identity provider."""

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    title: str = Field(min_length=1, max_length=60)
    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: Secret = Secret("")
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    #: whose members its people are
    workspace: str = "main"
    #: claim of the ID token whose values decide the role
    role_claim: str = ""
    roles: dict[str, Role] = {}
    default_role: Role | None = None
    #: mail domains whose people are let in; empty: all
    domains: tuple[str, ...] = ()

    @field_validator("client_secret", mode="before")
    @classmethod
    def _secret(cls, given: Any) -> Any:
        return Secret(given) if isinstance(given, str) else given

    @field_validator("default_role", mode="before")
    @classmethod
    def _role(cls, given: Any) -> Any:
        return _as_role(given)

    @field_validator("roles", mode="before")
    @classmethod
    def _roles(cls, given: Any) -> Any:
        is_mapping = isinstance(given, dict)
        return {str(k): _as_role(v) for k, v in given.items()} if is_mapping else given

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, given: str) -> str:
        parts = urlsplit(given)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            return given
        raise ValueError("must begin with https:// (http for this machine only)")

    def role_for(self, claims: dict[str, Any]) -> Role | None:
        """The greatest role that the person's claim values give, else the default; None: no entry.

        >>> acme = Provider(name="a", title="A", issuer="https://a.example", client_id="c",
        ...                 role_claim="groups", roles={"ops": "admin", "team": "analyst"})
        >>> acme.role_for({"groups": ["team", "ops"]}), acme.role_for({"groups": "other"})
        (<Role.ADMIN: 4>, None)
        """
        held = claims.get(self.role_claim, []) if self.role_claim else []
        values = held if isinstance(held, list) else [held]
        given = [self.roles[str(value)] for value in values if str(value) in self.roles]
        return max(given, default=self.default_role)

    def takes(self, email: str) -> bool:
        """Whether people of this address's domain are let in."""
        domain = email.rpartition("@")[2].lower()
        return not self.domains or domain in {each.lower() for each in self.domains}


class _File(BaseModel):
    model_config = _STRICT

    providers: tuple[Provider, ...]


def read_providers(path: Path | None) -> tuple[Provider, ...]:
    """The providers of a file; none when there is no file.

    Raises:
        ConfigError: others may read the file, or something in it is not as it must be.
    """
    if path is None or not path.is_file():
        return ()
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"{path} holds client secrets and others may read it.",
            next_step=f"Run: chmod 600 {path}",
        )
    try:
        found = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML.", next_step="Mend it and start again.") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}.", next_step="Mend it.") from None
    names = [each.name for each in found.providers]
    if len(set(names)) != len(names):
        raise ConfigError(f"{path} names a provider twice.", next_step="Give each its own name.")
    return found.providers


def _as_role(given: Any) -> Any:
    if isinstance(given, str):
        try:
            return Role[given.upper()]
        except KeyError:
            raise ValueError(f"there is no role {given!r}") from None
    return given
