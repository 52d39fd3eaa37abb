"""The process that carries jobs: ``python cli.py worker``, or a child of the app.

    event loop: takes jobs, tells its heartbeat      threads: carry them (the engine is synchronous)

A worker that is told to end stops its jobs at their next checkpoint and gives them back; one that
does not come to an end in `GRACE_S` leaves, and the janitor gives its jobs back. As a child it ends
with its parent, also when that was killed: the pipe on its standard input closes. A worker that
finds the database at a revision it does not know ends in the same way, and says so: newer ones go
on with its jobs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from procrastinate import App, PsycopgConnector
from procrastinate.worker import Worker
from sqlalchemy import URL

from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import PROJECT_ROOT, Settings, child_environ
from core.db import schema
from core.db.embedded.layout import APP_ROLE
from core.db.engine import KEEPALIVE, SERVER_KEEPALIVE
from core.jobs import janitor, schedule, tasks
from core.jobs.tasks import Bench, Ports

#: runs carried at once by one worker; each has its own target org
CONCURRENCY = 4
POLL_S = 1.0
#: a worker told to end gives its jobs this long to reach a checkpoint
GRACE_S = 20.0
#: how often a worker looks whether a newer version has raised the schema
REVISION_EVERY_S = 3.0
#: pauses of the app before it starts a dead child again
RESTART_PAUSES_S = (0.2, 1.0, 5.0, 15.0)
RESTART_FORGET_S = 60.0

log = logging.getLogger(__name__)


def run(
    settings: Settings,
    ports: Ports,
    *,
    ends_with_stdin: bool = False,
    concurrency: int = CONCURRENCY,
) -> None:
    """Work until told to end (SIGTERM, SIGINT, or the end of standard input).

    Args:
        concurrency: jobs carried at once.
    Raises:
        ConfigError: database, key or spool are not as they must be; or a newer version has raised
            the schema, and what this worker carried went back to the queue.
        TransientError: the spool does not answer.
    """
    ending = threading.Event()
    with bootstrap.build(settings) as bridge:
        bridge.spool.check()  # a worker that cannot keep pages would fail every run it takes
        bench = Bench(bridge, ports, ending)
        with schedule.start(bridge):
            log.info("worker is ready", extra={"pid": os.getpid()})
            asyncio.run(
                _work(
                    bench,
                    ends_with_stdin=ends_with_stdin,
                    minds_schema=True,
                    concurrency=concurrency,
                )
            )
        newer = bridge.unknown_revision()
    log.info("worker ended")
    if newer is not None:
        raise schema.too_new(newer)


@contextmanager
def carrying(bridge: Orgbridge, run_queue: str, ports: Ports) -> Iterator[None]:
    """Within it, a thread of this process carries the jobs of one queue (a terminal's own run).

    Leaving it stops the job at its next checkpoint; it stays in the queue for other workers.
    """
    bench = Bench(bridge, ports, threading.Event())
    thread = threading.Thread(
        target=lambda: asyncio.run(_work(bench, queues=[run_queue])), name="carrying", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        bench.ending.set()
        thread.join(GRACE_S)


class WorkerChild:
    """The app's worker process; started again when it dies, ended with `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._process = self._spawn()
        self._thread = threading.Thread(target=self._watch, name="worker-child", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Process id of the present child."""
        return self._process.pid

    def stop(self) -> None:
        """End the child: at its next checkpoint, or after a grace period anyway."""
        self._stopping.set()
        self._process.terminate()
        try:
            self._process.wait(GRACE_S + 5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        self._close_pipe()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "cli.py", "worker", "--child"],
            cwd=PROJECT_ROOT,
            env=child_environ(self._settings),
            stdin=subprocess.PIPE,  # never written to; its end tells the child that we are gone
            start_new_session=True,  # Ctrl-C reaches the app first, which then ends the child
        )

    def _watch(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            status = self._process.wait()
            if self._stopping.is_set():
                return
            deaths = 0 if time.monotonic() - started > RESTART_FORGET_S else deaths + 1
            log.warning("worker died and is started again", extra={"status": status})
            pause = RESTART_PAUSES_S[min(deaths, len(RESTART_PAUSES_S) - 1)]
            if self._stopping.wait(pause):
                return
            self._close_pipe()
            self._process = self._spawn()
            if self._stopping.is_set():  # stop() may have met the old one
                self._process.terminate()

    def _close_pipe(self) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()


def start_child(settings: Settings) -> WorkerChild:
    """Start the app's own worker."""
    return WorkerChild(settings)


async def _work(
    bench: Bench,
    *,
    queues: list[str] | None = None,
    ends_with_stdin: bool = False,
    minds_schema: bool = False,
    concurrency: int = CONCURRENCY,
) -> None:
    app = App(connector=_connector(bench.bridge.owner_engine.url, concurrency))
    for name, function in tasks.TASKS.items():
        app.task(name=name, pass_context=True, retry=tasks.Again())(tasks.guarded(function))
    async with app.open_async():
        worker = Worker(
            app,
            queues=queues,
            name=f"{os.uname().nodename}:{os.getpid()}",
            concurrency=concurrency,
            fetch_job_polling_interval=POLL_S,
            abort_job_polling_interval=POLL_S,
            shutdown_graceful_timeout=GRACE_S,
            update_heartbeat_interval=janitor.HEARTBEAT_S,
            stalled_worker_timeout=janitor.STALLED_AFTER_S * 5,
            additional_context={"bench": bench},
            install_signal_handlers=False,
        )
        watcher = asyncio.create_task(
            _end_when_told(
                worker, bench, ends_with_stdin=ends_with_stdin, minds_schema=minds_schema
            )
        )
        try:
            await worker.run()  # type: ignore[no-untyped-call] # procrastinate leaves it bare
        finally:
            watcher.cancel()


async def _end_when_told(
    worker: Worker, bench: Bench, *, ends_with_stdin: bool, minds_schema: bool
) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
    if ends_with_stdin:
        loop.add_reader(sys.stdin.fileno(), _at_end_of_input, told)
    minding = asyncio.create_task(_mind_schema(bench, told)) if minds_schema else None
    while not told.is_set() and not bench.ending.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), 0.2)
    if minding is not None:
        minding.cancel()
    bench.ending.set()
    worker.stop()  # type: ignore[no-untyped-call] # as above
    if ends_with_stdin or threading.current_thread() is threading.main_thread():
        # A job in a thread cannot be ended from outside: the process leaves without it.
        threading.Thread(target=_leave_after, args=(GRACE_S + 3.0,), daemon=True).start()


async def _mind_schema(bench: Bench, told: asyncio.Event) -> None:
    """Ends the worker when a newer version has raised the schema."""
    while not told.is_set():
        await asyncio.sleep(REVISION_EVERY_S)
        newer = await asyncio.to_thread(bench.bridge.unknown_revision)
        if newer is not None:
            log.error(
                "worker is older than the database: it takes no more jobs and hands its own over",
                extra={"revision": newer, "known": schema.HEAD_REVISION},
            )
            told.set()


def _leave_after(seconds: float) -> None:
    time.sleep(seconds)
    log.error("worker leaves with a job that did not stop")
    os._exit(1)


def _at_end_of_input(told: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        told.set()


def _connector(url: URL, concurrency: int) -> PsycopgConnector:
    """procrastinate's pool on our database, acting as the app's role."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    kept = " ".join(f"-c {name}={value}" for name, value in SERVER_KEEPALIVE.items())
    options = f"-c role={APP_ROLE} -c timezone=UTC {kept}"
    return PsycopgConnector(
        conninfo=plain,
        kwargs={"options": options, "application_name": "orgbridge worker", **KEEPALIVE},
        min_size=1,
        max_size=concurrency + 3,
    )
