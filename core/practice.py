"""Starts, stops and resets the two practice orgs: processes of their own, reached over HTTP.

    home/practice/<name>/first/     the org as it was born, never touched again
    home/practice/<name>/org/       the org as it is; org/ready.json while it serves
    home/practice/<name>/wanted     its port, while somebody wants it up

An org outlives the process that started it (a terminal's next command needs it). One that was
killed is started again by whoever keeps watch: the app, a worker, or the next command.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from core.config import PROJECT_ROOT, bystander_environ
from core.errors import ConfigError
from core.processes import command_line, is_alive, wait_until
from core.secret import Secret

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
WATCH_EVERY_S = 2.0

log = logging.getLogger(__name__)
#: children of this process, so that the dead ones are collected
_children: list[subprocess.Popen[bytes]] = []
_children_mutex = threading.Lock()


@dataclass(frozen=True, slots=True)
class PracticeOrg:
    """One shipped practice org."""

    #: folder name
    key: str
    #: name of the org and of its registration
    name: str
    #: which shipped org it is born as
    seed: str


#: the pair of the first-run story: move from one to the other
ORGS = (
    PracticeOrg("legacy", "Northwind Legacy", "northwind-legacy"),
    PracticeOrg("new", "Northwind New", "northwind-new"),
)


@dataclass(frozen=True, slots=True)
class Served:
    """A practice org that answers."""

    name: str
    url: str
    organization_id: str
    access_token: Secret
    client_id: str
    client_secret: Secret
    pid: int


def up(home: Path) -> tuple[Served, ...]:
    """Start both orgs (side by side); made from their seeds the first time.

    Raises:
        ConfigError: one did not start; says why. The other stays up.
    """
    with ThreadPoolExecutor(len(ORGS)) as pool:
        return tuple(pool.map(lambda org: _up(home, org), ORGS))


def down(home: Path) -> int:
    """Stop both orgs and want them no more; how many ran."""
    with ThreadPoolExecutor(len(ORGS)) as pool:
        return sum(pool.map(lambda org: _down(home, org), ORGS))


def reset(home: Path) -> tuple[Served, ...]:
    """Give both orgs back the state in which they were born, ids and tokens included."""
    with ThreadPoolExecutor(len(ORGS)) as pool:
        return tuple(pool.map(lambda org: _reset(home, org), ORGS))


def keep_up(home: Path) -> int:
    """Start those again that are wanted and gone; how many there were. Cheap when none is."""
    started = 0
    for org in ORGS:
        if (_place(home, org) / "wanted").exists() and _served(home, org) is None:
            log.warning("practice org is started again", extra={"org": org.name})
            _up(home, org)
            started += 1
    return started


class Watch:
    """A thread that keeps wanted practice orgs up; a context manager, or `stop` it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="practice-watch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the watch; the orgs stay as they are."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(WATCH_EVERY_S):
            try:
                keep_up(self._home)
            except ConfigError as error:
                log.error("practice org did not come back", extra={"reason": str(error)})


def watch(home: Path) -> Watch:
    """Start keeping watch over the practice orgs of a data folder."""
    return Watch(home)


def _up(home: Path, org: PracticeOrg) -> Served:
    with _locked(home, org) as place:
        served = _served(home, org)
        if served is None:
            if not (place / "first").exists():
                _make(place, org)
            served = _start(place / "org", org, port=_wanted_port(place))
        (place / "wanted").write_text(served.url.rpartition(":")[2])
        return served


def _down(home: Path, org: PracticeOrg) -> int:
    with _locked(home, org) as place:
        (place / "wanted").unlink(missing_ok=True)
        return _stop(home, org)


def _reset(home: Path, org: PracticeOrg) -> Served:
    with _locked(home, org) as place:
        _stop(home, org)
        if not (place / "first").exists():
            _make(place, org)
        shutil.rmtree(place / "org", ignore_errors=True)
        shutil.copytree(place / "first", place / "org")
        served = _start(place / "org", org, port=_wanted_port(place))
        (place / "wanted").write_text(served.url.rpartition(":")[2])
        return served


def _make(place: Path, org: PracticeOrg) -> None:
    """Let the org be born and keep a copy of the newborn; a half-made one is made anew."""
    draft = place / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(place / "org", ignore_errors=True)
    served = _start(draft, org, port=0)
    _end(served.pid)
    (draft / "ready.json").unlink(missing_ok=True)
    shutil.copytree(draft, place / "org")
    draft.rename(place / "first")


def _start(folder: Path, org: PracticeOrg, *, port: int) -> Served:
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "orgsim", "serve", "--home", str(folder)]
    command += ["--name", org.name, "--seed", org.seed, "--port", str(port)]
    with (folder / "serve.log").open("ab") as out:
        child = subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            env=bystander_environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=out,
            start_new_session=True,  # it outlives us, and Ctrl-C is not meant for it
        )
    with _children_mutex:
        _children[:] = [one for one in _children if one.poll() is None]
        _children.append(child)
    wait_until(lambda: ready.exists() or child.poll() is not None, timeout_s=START_TIMEOUT_S)
    served = _read(ready)
    if served is not None and _answers(served):
        return served
    if child.poll() is None:
        _end(child.pid)
    elif port:  # the port of last time is taken by now
        return _start(folder, org, port=0)
    raise ConfigError(
        f"The practice org {org.name} did not start: {_last_line(folder / 'serve.log')}",
        next_step=f"See {folder / 'serve.log'}; python cli.py practice reset makes it anew.",
    )


def _served(home: Path, org: PracticeOrg) -> Served | None:
    """The org if it serves now."""
    folder = _place(home, org) / "org"
    served = _read(folder / "ready.json")
    with _children_mutex:
        _children[:] = [one for one in _children if one.poll() is None]
    if served is None or not is_alive(served.pid) or str(folder) not in command_line(served.pid):
        return None
    return served


def _stop(home: Path, org: PracticeOrg) -> int:
    served = _served(home, org)
    if served is None:
        return 0
    _end(served.pid)
    return 1


def _end(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_until(lambda: _is_gone(pid), timeout_s=STOP_TIMEOUT_S):
            return


def _is_gone(pid: int) -> bool:
    with _children_mutex:
        for child in _children:
            child.poll()
    return not is_alive(pid)


def _read(ready: Path) -> Served | None:
    try:
        told: dict[str, Any] = json.loads(ready.read_text())
    except (OSError, ValueError):
        return None
    return Served(
        name=told["name"],
        url=told["url"],
        organization_id=told["organization_id"],
        access_token=Secret(told["access_token"]),
        client_id=told["client_id"],
        client_secret=Secret(told["client_secret"]),
        pid=told["pid"],
    )


def _answers(served: Served) -> bool:
    host = served.url.partition("://")[2]
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("GET", "/services/data")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def _locked(home: Path, org: PracticeOrg) -> Iterator[Path]:
    """The org's place, for one process at a time."""
    place = _place(home, org)
    try:
        place.mkdir(parents=True, exist_ok=True)
        file = (place / "lock").open("w")
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: {error.strerror}.", next_step="Check ORGBRIDGE_HOME and its owner."
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield place


def _place(home: Path, org: PracticeOrg) -> Path:
    return home / "practice" / org.key


def _wanted_port(place: Path) -> int:
    """The port of last time, so that the registered address stays good; 0 for any."""
    try:
        return int((place / "wanted").read_text())
    except (OSError, ValueError):
        return 0


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
