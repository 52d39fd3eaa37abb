"""How a process gets the embedded server of a data folder, and keeps it while it lives."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from core.config import PROJECT_ROOT, bystander_environ
from core.db.embedded import cluster
from core.db.embedded.layout import DatabaseUrls, Layout, layout_of
from core.errors import ConfigError

#: a little more than the supervisor gives its server to recover from a crash
ENSURE_TIMEOUT_S = 150.0
_SUPERVISOR = "core.db.embedded.supervisor"


class EmbeddedServer:
    """A held server: it runs at least until `close` or the end of this process. Thread-safe."""

    def __init__(self, layout: Layout, home: Path) -> None:
        self._layout = layout
        self._home = home
        self._held: socket.socket | None = None
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def urls(self) -> DatabaseUrls:
        """URLs of the product's database."""
        return self._layout.urls()

    @property
    def folder(self) -> Path:
        """Where the cluster and its logs lie."""
        return self._layout.folder

    def urls_of(self, database: str) -> DatabaseUrls:
        """URLs of another database on the same server (tests clone one each)."""
        return self._layout.urls(database)

    def ensure(self) -> None:
        """Start the server unless it runs and we hold it; cheap when we do.

        Raises:
            ConfigError: it cannot be started; says why.
        """
        deadline = time.monotonic() + ENSURE_TIMEOUT_S
        with self._mutex:
            while self._held is None or not _is_open(self._held) or not self._takes_connections():
                if self._held is None or not _is_open(self._held):
                    self._let_go()
                    self._held = self._hold(deadline)
                elif time.monotonic() > deadline:
                    raise self._too_slow()
                else:
                    time.sleep(0.02)  # killed a moment ago: its supervisor is at it

    def close(self) -> None:
        """Let go; the server stops seconds after its last holder did."""
        with self._mutex:
            self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _takes_connections(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._layout.sockets / ".s.PGSQL.5432"))
            except OSError:
                return False
        return cluster.says_ready(self._layout)

    def _hold(self, deadline: float) -> socket.socket:
        while time.monotonic() < deadline:
            held = _connected(self._layout, deadline)
            if held is not None:
                return held
            _spawn_supervisor(self._home)
        raise self._too_slow()

    def _too_slow(self) -> ConfigError:
        return ConfigError(
            f"The embedded database in {self.folder} did not start in {ENSURE_TIMEOUT_S:.0f} s.",
            next_step=f"See {self.folder / 'postgres.log'} and supervisor.log beside it.",
        )


def ensure_server(home: Path) -> EmbeddedServer:
    """The running server of `home`, made and started when need be (0.1 s; 1 s the first time).

    Raises:
        ConfigError: the folder, its owner, the version or the platform is wrong; says which.
    """
    server = EmbeddedServer(layout_of(home), home)
    server.ensure()
    return server


def _connected(layout: Layout, deadline: float) -> socket.socket | None:
    """A control socket whose server takes connections, or None when nobody serves (any more)."""
    control = socket.socket(socket.AF_UNIX)
    try:
        control.connect(str(layout.control))
        control.settimeout(max(deadline - time.monotonic(), 1.0))
        with control.makefile("rb") as answers:
            line = answers.readline()
    except PermissionError as error:
        control.close()
        raise ConfigError(
            f"The database in {layout.folder} is run by another account.",
            next_step="Start Orgbridge as that account, or set ORGBRIDGE_HOME elsewhere.",
        ) from error
    except OSError:
        control.close()
        return None
    if not line:
        control.close()
        return None
    message = json.loads(line)
    if message["status"] == "failed":
        control.close()
        raise _failure(message)
    control.settimeout(None)
    return control


def _spawn_supervisor(home: Path) -> None:
    """Returns when a supervisor listens (it detaches only then)."""
    done = subprocess.run(
        [sys.executable, "-m", _SUPERVISOR, str(home)],
        cwd=PROJECT_ROOT,
        env=bystander_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
        text=True,
        timeout=ENSURE_TIMEOUT_S,
    )
    if done.returncode == 0:
        return
    try:
        said = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        said = {"happened": f"The embedded database's supervisor did not start: {last[0]}."}
    raise _failure(said)


def _failure(said: dict[str, str]) -> ConfigError:
    return ConfigError(
        said["happened"], state=said.get("state", ""), next_step=said.get("next_step", "")
    )


def _is_open(held: socket.socket) -> bool:
    try:
        return held.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
