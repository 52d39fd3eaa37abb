"""The real app as a process, on a database and a home of its own, for tiers app and browser."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.config import Settings, child_environ

PROJECT = Path(__file__).resolve().parent.parent
START_WITHIN_S = 60
CODE = re.compile(r"^\s+((?:[0-9A-Z]{5}-){3}[0-9A-Z]{5})\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class AppServer:
    """A running app."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    #: what it was started with; another process with them works on the same data
    settings: Settings

    @property
    def setup_code(self) -> str:
        """The one-time code that it printed."""
        found = CODE.findall(self.log.read_text(encoding="utf-8"))
        assert found, self.log.read_text(encoding="utf-8")
        return str(found[-1])


@contextmanager
def app_server(settings: Settings, folder: Path, *, worker: bool = False) -> Iterator[AppServer]:
    """`python app.py` until the block ends; killed only if it does not stop by itself."""
    port = free_port()
    log = folder / "app.log"
    environ = child_environ(settings) | {
        "ORGBRIDGE_PORT": str(port),
        "ORGBRIDGE_WORKER": "on" if worker else "off",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=PROJECT, env=environ, stdout=out, stderr=out
        )
    try:
        server = AppServer(f"http://127.0.0.1:{port}", process, log, settings)
        _wait_until_healthy(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of loopback that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: AppServer) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    pause = server.process
    while time.monotonic() < deadline:
        assert pause.poll() is None, server.log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            _brief(pause)
    raise AssertionError(f"not healthy in time:\n{server.log.read_text(encoding='utf-8')}")


def _brief(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment on the process itself, so that its death ends the wait."""
    try:
        process.wait(timeout=0.1)
    except subprocess.TimeoutExpired:
        return
