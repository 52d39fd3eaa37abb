"""The detached process that owns one embedded server: ``… -m core.db.embedded.supervisor HOME``.

It locks the folder, listens, and only then detaches: whoever started it sees an error on its
standard output, or finds the control socket. Each client gets one JSON line when the server takes
connections (or has failed) and then just stays connected.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import selectors
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Never

from core.db.embedded import cluster
from core.db.embedded.binaries import Binaries, runnable_binaries
from core.db.embedded.layout import Layout, layout_of
from core.errors import ConfigError

#: the server stops this long after its last client left
GRACE_S = 3.0
#: and this long after its start when nobody ever came
FIRST_CLIENT_S = 15.0
#: recovery after a crash replays the log; 3 GB of it took 8 s here
START_TIMEOUT_S = 120.0
LOCK_TIMEOUT_S = 90.0
#: deaths of the server within START_TIMEOUT_S after which we stop trying
MAX_DEATHS = 5
TICK_S = 0.5
START_TICK_S = 0.01

log = logging.getLogger(__name__)


class Supervisor:
    """Event loop of one thread: control socket, its clients, the server's process."""

    def __init__(self, layout: Layout, listener: socket.socket) -> None:
        self.layout = layout
        self.listener = listener
        self.binaries: Binaries | None = None
        self.server: subprocess.Popen[bytes] | None = None
        self.ready = False
        self.stopping = False
        self.clients: set[socket.socket] = set()
        self.waiting: set[socket.socket] = set()
        self.deaths: list[float] = []
        self.start_deadline = 0.0
        self.leave_at = time.monotonic() + FIRST_CLIENT_S
        self.selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until told to stop, deserted, or failed; the server is stopped in each case."""
        self._listen_to_signals()
        try:
            self.binaries = runnable_binaries()
            cluster.create_if_missing(self.layout, self.binaries)
            cluster.end_stray_server(self.layout)
            self._start()
            while not self._is_done():
                self._turn()
        except ConfigError as error:
            log.error("gave up", extra={"reason": str(error)})
            self._take_clients()
            self._tell({"status": "failed"} | _words(error))
        finally:
            self._close()

    def _start(self) -> None:
        assert self.binaries is not None  # noqa: S101 -- run() has set it
        self.ready = False
        self.start_deadline = time.monotonic() + START_TIMEOUT_S
        self.server = cluster.start(self.layout, self.binaries)
        log.info("server starts", extra={"pid": self.server.pid})

    def _turn(self) -> None:
        for key, _ in self.selector.select(TICK_S if self.ready else START_TICK_S):
            if key.fileobj is self.listener:
                self._accept()
            elif isinstance(key.fileobj, socket.socket):
                self._hear(key.fileobj)
        self._watch_server()
        if self.clients:
            self.leave_at = time.monotonic() + GRACE_S
        if self.ready and self.waiting:
            self._tell({"status": "ready"})

    def _watch_server(self) -> None:
        assert self.server is not None  # noqa: S101 -- run() has started it
        if self.server.poll() is not None:
            self._restart()
        elif not self.ready and cluster.says_ready(self.layout, self.server.pid):
            self.ready = True
            log.info("server takes connections", extra={"pid": self.server.pid})
        elif not self.ready and time.monotonic() > self.start_deadline:
            raise self._failure(f"did not get ready within {START_TIMEOUT_S:.0f} s")

    def _restart(self) -> None:
        """Start again after a death; processes of the dead server may need a moment to notice."""
        now = time.monotonic()
        log.warning("server ended", extra={"status": self.server and self.server.returncode})
        self.deaths = [*(at for at in self.deaths if now - at < START_TIMEOUT_S), now]
        if len(self.deaths) > MAX_DEATHS and not self._is_held_back(now):
            raise self._failure("ended again and again")
        time.sleep(min(0.05 * 2 ** len(self.deaths), 1.0))
        cluster.end_stray_server(self.layout)
        self._start()

    def _is_held_back(self, now: float) -> bool:
        """The refusal is PostgreSQL waiting for its own orphans to leave the shared memory."""
        recent = now - self.deaths[0] < START_TIMEOUT_S / 4
        return recent and "pre-existing shared memory" in cluster.last_words(self.layout)

    def _failure(self, what: str) -> ConfigError:
        said = cluster.last_words(self.layout)
        return ConfigError(
            f"The embedded database in {self.layout.folder} {what}. It says: {said or 'nothing'}",
            next_step=f"See {self.layout.folder / 'postgres.log'}.",
        )

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self.listener.accept()
            self.clients.add(client)
            self.waiting.add(client)
            self.selector.register(client, selectors.EVENT_READ)

    def _hear(self, client: socket.socket) -> None:
        """Clients say nothing; what is readable is their end (or the wake-up of a signal)."""
        with contextlib.suppress(OSError):
            if client.recv(64):
                return
        if client in self.clients:
            self._forget(client)

    def _forget(self, client: socket.socket) -> None:
        self.clients.discard(client)
        self.waiting.discard(client)
        self.selector.unregister(client)
        client.close()

    def _tell(self, message: dict[str, str]) -> None:
        line = json.dumps(message).encode() + b"\n"
        for client in tuple(self.waiting):
            with contextlib.suppress(OSError):
                client.sendall(line)
        self.waiting.clear()

    def _take_clients(self) -> None:
        """Accept those who queued while the loop did not run, so that they hear the failure."""
        self.listener.setblocking(False)
        while True:
            before = len(self.clients)
            self._accept()
            if len(self.clients) == before:
                return

    def _is_done(self) -> bool:
        deserted = not self.clients and time.monotonic() > self.leave_at
        return self.stopping or deserted

    def _close(self) -> None:
        """Leave the name first, so that a newcomer starts a supervisor that waits for our lock."""
        self.layout.control.unlink(missing_ok=True)
        self.listener.close()
        if self.server is not None:
            cluster.stop(self.server)
            log.info("server stopped", extra={"status": self.server.returncode})
        for client in tuple(self.clients):
            self._forget(client)

    def _listen_to_signals(self) -> None:
        self.selector.register(self.listener, selectors.EVENT_READ)
        wake, waker = socket.socketpair()
        wake.setblocking(False)
        waker.setblocking(False)
        self.selector.register(wake, selectors.EVENT_READ)
        self._waker = waker  # kept: its number is what the signal handler writes to
        signal.set_wakeup_fd(waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _stop(self, *_: object) -> None:
        self.stopping = True


def main() -> None:
    """Lock, listen, detach, serve."""
    try:
        layout = layout_of(Path(sys.argv[1]))
        _make_folders(layout)
        lock = _locked(layout)
        if lock is None:
            return  # a living supervisor listens already
        listener = _listener(layout)
    except ConfigError as error:
        _complain(error)
    except OSError as error:
        what = f"{error.filename or sys.argv[1]}: {error.strerror}."
        _complain(ConfigError(what, next_step="Check that folder and who owns it."))
    if os.fork():
        os._exit(0)
    _detach(layout)
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())  # for people; the lock itself is what counts
    Supervisor(layout, listener).run()


def _make_folders(layout: Layout) -> None:
    account = layout.account
    open_mode = 0o711 if os.geteuid() == 0 else 0o700
    for folder in reversed(layout.folder.parents):
        if not folder.exists():
            folder.mkdir(mode=open_mode, exist_ok=True)
    for folder in (layout.folder, layout.sockets):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), account.uid):
            raise ConfigError(
                f"{folder} belongs to another account.",
                next_step="Start Orgbridge as that account, or set ORGBRIDGE_HOME elsewhere.",
            )
        folder.chmod(0o700)
        if found.st_uid != account.uid:
            os.chown(folder, account.uid, account.gid)


def _locked(layout: Layout) -> int | None:
    """The folder's lock, held for our life; None when another supervisor serves already."""
    lock = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _is_served(layout):
                return None
        else:
            return lock
        if time.monotonic() > deadline:
            raise ConfigError(
                f"The database in {layout.folder} is being stopped and does not come to an end.",
                next_step=f"See {layout.folder / 'postgres.log'}.",
            )
        time.sleep(0.02)


def _is_served(layout: Layout) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(layout.control))
        except OSError:
            return False
    return True


def _listener(layout: Layout) -> socket.socket:
    layout.control.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(layout.control))
    layout.control.chmod(0o600)
    listener.listen(128)
    return listener


def _detach(layout: Layout) -> None:
    """Let go of the starter's streams, folder and session; from here on the log file speaks."""
    with contextlib.suppress(OSError):
        os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDONLY)
    path = layout.folder / "supervisor.log"
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    from core.log import LineFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _words(error: ConfigError) -> dict[str, str]:
    return {"happened": error.happened, "state": error.state, "next_step": error.next_step}


def _complain(error: ConfigError) -> Never:
    sys.stdout.write(json.dumps(_words(error)))
    sys.stdout.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
