"""How a process gets the embedded server of a data folder, and keeps it while it lives."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from core.config import PROJECT_ROOT
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
        with self._mutex:
            if self._held is not None and _is_open(self._held):
                return
            self._let_go()
            self._held = self._hold()

    def close(self) -> None:
        """Let go; the server stops seconds after its last holder did."""
        with self._mutex:
            self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _hold(self) -> socket.socket:
        deadline = time.monotonic() + ENSURE_TIMEOUT_S
        while time.monotonic() < deadline:
            held = _connected(self._layout, deadline)
            if held is not None:
                return held
            _spawn_supervisor(self._home)
        raise ConfigError(
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
        line = control.makefile("rb").readline()
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
    if message["state"] == "failed":
        control.close()
        raise ConfigError(message["error"], next_step=message["next_step"])
    control.settimeout(None)
    return control


def _spawn_supervisor(home: Path) -> None:
    """Returns when a supervisor listens (it detaches only then)."""
    done = subprocess.run(
        [sys.executable, "-m", _SUPERVISOR, str(home)],
        cwd=PROJECT_ROOT,
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
        said = {"error": f"The embedded database's supervisor did not start: {last[0]}."}
    raise ConfigError(said["error"], next_step=said.get("next_step", ""))


def _is_open(held: socket.socket) -> bool:
    try:
        return held.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
