"""Which settings the product runs with; the only module that reads the environment.

| variable | what | default |
|---|---|---|
| ``DATABASE_URL`` | PostgreSQL 15 or newer of a team | an embedded server in the home folder |
| ``ORGBRIDGE_HOME`` | folder of data, keys, logs | per user; ``/var/lib/orgbridge`` for root |
| ``ORGBRIDGE_KEY`` | keys of the secrets, newest first, commas | a 0600 file in the home folder |
| ``ORGBRIDGE_HOST``, ``ORGBRIDGE_PORT`` | where the app listens | 127.0.0.1, 8501 |
| ``ORGBRIDGE_SPOOL_URL`` | folder, ``s3://`` or fsspec URL of all workers | a folder in the home |
| ``ORGBRIDGE_OIDC_FILE`` | identity providers (core.access.providers) | ``oidc.yaml`` in the home |
| ``ORGBRIDGE_TRUSTED_PROXIES`` | reverse proxies whose ``X-Forwarded-For`` counts, commas | none |
| ``ORGBRIDGE_PRIVATE_HOSTS`` | hosts of the private network that notices may go to, commas | none |
| ``ORGBRIDGE_WORKER`` | ``off``: the app starts no worker of its own | ``on`` |
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import ConfigError
from core.secret import Secret

#: Root's home: a database server may not run as root, and its user cannot enter a 0700 home.
ROOT_HOME = Path("/var/lib/orgbridge")
PROJECT_ROOT = Path(__file__).resolve().parent.parent

#: beginnings of variables that open a database, a store or what is encrypted
_OPENS_SOMETHING = (
    "DATABASE_URL", "ORGBRIDGE_KEY", "ORGBRIDGE_SPOOL_URL", "ORGBRIDGE_OIDC_FILE", "PG", "AWS_",
)  # fmt: skip
_SWITCH = {"1": True, "on": True, "true": True, "yes": True}
_SWITCH |= {"0": False, "off": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """What is set from outside; everything else is a constant or a row of the database."""

    #: PostgreSQL of a team, or None for the embedded one
    database_url: str | None
    #: folder of data, keys, logs, practice orgs (absolute)
    home: Path
    #: comma-separated Fernet keys, newest first, or None for the key file
    key: Secret | None = None
    host: str = "127.0.0.1"
    port: int = 8501
    #: where extracted rows and before-images lie; None: ``home/spool``
    spool_url: str | None = None
    #: identity providers; None: ``home/oidc.yaml``, if there is one
    oidc_file: Path | None = None
    #: addresses or networks of reverse proxies; only they may say for whom they ask
    trusted_proxies: tuple[str, ...] = ()
    #: hosts (names or addresses) of the private network that notifications may be sent to
    private_hosts: tuple[str, ...] = ()
    #: the app starts a worker as its child
    worker_in_app: bool = True

    @property
    def is_embedded(self) -> bool:
        """True when the database is ours to start and stop."""
        return self.database_url is None


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment (or from `environ`, which tests give).

    Raises:
        ConfigError: a value cannot be what it says; names the variable.
    """
    env = os.environ if environ is None else environ
    return Settings(
        database_url=env.get("DATABASE_URL", "").strip() or None,
        home=_home(env),
        key=Secret(env["ORGBRIDGE_KEY"].strip()) if env.get("ORGBRIDGE_KEY", "").strip() else None,
        host=env.get("ORGBRIDGE_HOST", "").strip() or "127.0.0.1",
        port=_port(env.get("ORGBRIDGE_PORT", "").strip()),
        spool_url=_place(env.get("ORGBRIDGE_SPOOL_URL", "").strip()),
        oidc_file=_file(env.get("ORGBRIDGE_OIDC_FILE", "")),
        trusted_proxies=_proxies(env.get("ORGBRIDGE_TRUSTED_PROXIES", "")),
        private_hosts=_list(env.get("ORGBRIDGE_PRIVATE_HOSTS", "")),
        worker_in_app=_switch("ORGBRIDGE_WORKER", env.get("ORGBRIDGE_WORKER", "on")),
    )


def child_environ(settings: Settings) -> dict[str, str]:
    """The environment for a child process (worker, supervisor), with `settings` spelt out."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    env["ORGBRIDGE_HOME"] = str(settings.home)
    env["ORGBRIDGE_HOST"] = settings.host
    env["ORGBRIDGE_PORT"] = str(settings.port)
    given = {
        "DATABASE_URL": settings.database_url,
        "ORGBRIDGE_KEY": settings.key.reveal() if settings.key else None,
        "ORGBRIDGE_SPOOL_URL": settings.spool_url,
        "ORGBRIDGE_OIDC_FILE": str(settings.oidc_file) if settings.oidc_file else None,
        "ORGBRIDGE_TRUSTED_PROXIES": ",".join(settings.trusted_proxies) or None,
        "ORGBRIDGE_PRIVATE_HOSTS": ",".join(settings.private_hosts) or None,
    }
    for name, value in given.items():
        env.pop(name, None)
        if value is not None:
            env[name] = value
    return env


def bystander_environ() -> dict[str, str]:
    """The environment for a child that needs nothing of ours (practice org, database): without what
    opens databases, stores and tokens."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(_OPENS_SOMETHING)
    }


def trust_proxies(settings: Settings) -> None:
    """Tell uvicorn whose forwarded addresses it takes; by itself it believes this machine's.

    A client that may name its own address escapes every throttle by address.
    """
    os.environ["FORWARDED_ALLOW_IPS"] = ",".join(settings.trusted_proxies) or "none"


def os_user() -> str:
    """Who runs this process, for audit lines; the number when the account has no name."""
    import getpass

    try:
        return getpass.getuser()
    except (
        KeyError,
        OSError,
    ):  # a container's bare uid has no passwd entry (OSError from Python 3.13)
        return f"uid-{os.getuid()}"


def _home(env: Mapping[str, str]) -> Path:
    given = env.get("ORGBRIDGE_HOME", "").strip()
    if given:
        return Path(os.path.abspath(os.path.expanduser(given)))  # noqa: PTH100,PTH111 -- keeps symlinks
    if os.geteuid() == 0:
        return ROOT_HOME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "orgbridge"
    data = env.get("XDG_DATA_HOME", "").strip()
    return (Path(data) if data else Path.home() / ".local" / "share") / "orgbridge"


def _port(text: str) -> int:
    if not text:
        return 8501
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise ConfigError(
            f"ORGBRIDGE_PORT is {text!r}.", next_step="Set it to a port number, 0 for a free one."
        )
    return int(text)


def _file(text: str) -> Path | None:
    if not text.strip():
        return None
    path = Path(text.strip()).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"ORGBRIDGE_OIDC_FILE names {path}, which is not there.")
    return path


def _place(text: str) -> str | None:
    if "@" in urlsplit(text).netloc:  # it would be shown in messages and handed to children
        raise ConfigError(
            "ORGBRIDGE_SPOOL_URL holds a user or password.",
            state="It was not used, and is not repeated here.",
            next_step="Take it out; give credentials by AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or as the store's own package wants them.",
        )
    return text or None


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _proxies(text: str) -> tuple[str, ...]:
    given = _list(text)
    for each in given:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise ConfigError(
                f"ORGBRIDGE_TRUSTED_PROXIES names {each!r}.",
                next_step="Give addresses or networks, such as 10.0.0.5 or 10.0.0.0/24.",
            ) from None
    return given


def _switch(name: str, text: str) -> bool:
    try:
        return _SWITCH[text.strip().lower() or "on"]
    except KeyError:
        raise ConfigError(f"{name} is {text!r}.", next_step="Set it to on or off.") from None
