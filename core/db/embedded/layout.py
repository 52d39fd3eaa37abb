"""Where the files of one embedded server lie, and which account runs it."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from core.config import ROOT_HOME
from core.errors import ConfigError

SUPERUSER = "postgres"
OWNER_ROLE = "orgbridge_owner"
APP_ROLE = "orgbridge_app"
DATABASE = "orgbridge"

#: sun_path of unix(7) holds 108 bytes with its end, 104 on macOS; ours ends ``/.s.PGSQL.5432``
SOCKET_FOLDER_MAX_BYTES = 80
#: existing accounts that may run the server when root starts it, best first
UNPRIVILEGED = ("postgres", "daemon", "nobody")


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """SQLAlchemy URLs of one server; all by unix socket, peer-authenticated."""

    #: owns the tables: migrates, retains, backs up
    owner: str
    #: the same login; the engine for it does SET ROLE to the app's role
    app: str
    #: may do anything; for tests and repairs only
    superuser: str


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system account that runs the server."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one server; made by `layout_of`, which changes nothing on disk."""

    #: cluster folder: data, logs, lock
    folder: Path
    #: folder of the sockets; short enough for a socket's path
    sockets: Path
    account: Account

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.folder / "data"

    @property
    def lock(self) -> Path:
        """Locked by the living supervisor."""
        return self.folder / "supervisor.lock"

    @property
    def control(self) -> Path:
        """The socket that clients hold."""
        return self.sockets / "control"

    def urls(self, database: str = DATABASE) -> DatabaseUrls:
        """How to connect to `database` on this server."""
        host = quote(str(self.sockets), safe="")
        base = "postgresql+psycopg://{}@/" + quote(database) + f"?host={host}"
        owner = base.format(OWNER_ROLE)
        return DatabaseUrls(owner=owner, app=owner, superuser=base.format(SUPERUSER))


def layout_of(home: Path) -> Layout:
    """The layout for a data folder, the same in every process that asks.

    Raises:
        ConfigError: the platform has no embedded server, or no account can run it.
    """
    if sys.platform == "win32":
        raise ConfigError(
            "The embedded database runs on Linux and macOS only.",
            next_step="Set DATABASE_URL to a PostgreSQL 15 or newer.",
        )
    if home.exists() and not home.is_dir():
        raise ConfigError(
            f"{home} is not a folder.", next_step="Set ORGBRIDGE_HOME to a folder of its own."
        )
    folder = _cluster_folder(home)
    account = _account(folder / "data")
    return Layout(folder=folder, sockets=_socket_folder(folder), account=account)


def is_reachable(path: Path) -> bool:
    """True when an unprivileged account can enter `path`'s folders and read it (mode bits only)."""
    try:
        others = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
        return others and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _cluster_folder(home: Path) -> Path:
    usual = home / "postgres"
    if os.geteuid() != 0:
        return usual
    # Under a 0700 folder the server's own account could not reach its data: /var/lib holds it then.
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:12]
    aside = ROOT_HOME / "clusters" / digest
    if (aside / "data").exists():
        return aside
    return usual if _others_may_enter(home) else aside


def _others_may_enter(home: Path) -> bool:
    """Whether folders that exist let others pass; what we create ourselves will."""
    existing = [folder for folder in (home, *home.parents) if folder.exists()]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in existing)


def _account(cluster: Path) -> Account:
    if os.geteuid() != 0:
        return _named(os.geteuid())
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        return _named(owner)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        f"PostgreSQL does not run as root, and none of {', '.join(UNPRIVILEGED)} exists here.",
        next_step="Start Orgbridge as a normal user, or set DATABASE_URL.",
    )


def _named(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ConfigError(
            f"The account with number {uid} has no name on this machine; PostgreSQL asks for one.",
            next_step="Add it to /etc/passwd, or set DATABASE_URL.",
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _socket_folder(folder: Path) -> Path:
    usual = folder / "run"
    if len(os.fsencode(usual)) <= SOCKET_FOLDER_MAX_BYTES:
        return usual
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"orgbridge-{os.geteuid()}-{digest}"
    fits = len(os.fsencode(short)) <= SOCKET_FOLDER_MAX_BYTES
    return short if fits else Path("/tmp") / short.name  # noqa: S108 -- made 0700, owner checked
