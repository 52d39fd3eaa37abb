"""App, worker, server, supervisor killed at random moments: nothing lost, nothing left."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core import bootstrap, processes
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.embedded.layout import layout_of
from core.errors import ConfigError
from core.secret import Secret
from tests.appserver import AppServer, app_server
from tests.conftest import TEST_KEY

ROUNDS = 20
#: on a crowded machine the rounds that fit; each victim is met at least twice
BUDGET_S = 120.0
ROUNDS_MIN = 8
VICTIMS = ("app", "worker", "postgres", "supervisor")


@dataclass
class Writer:
    """Writes numbered rows all the time and knows which of them the database took."""

    bridge: Orgbridge
    taken: list[int] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until told to end; a refused row is not tried again under its number."""
        number = 0
        while not self.ending.wait(0.005):
            number += 1
            try:
                with self.bridge.owner_session() as session:
                    session.execute(text("INSERT INTO noted VALUES (:n)"), {"n": number})
            except (SQLAlchemyError, ConfigError):
                continue  # killed under our hands: whether it was written is not claimed
            self.taken.append(number)


@pytest.fixture
def held(home: Path) -> Iterator[Orgbridge]:
    """The product on an embedded server of its own."""
    settings = Settings(database_url=None, home=home, key=Secret(TEST_KEY))
    with bootstrap.build(settings) as bridge:
        with bridge.owner_session() as session:
            session.execute(text("CREATE TABLE noted (n bigint PRIMARY KEY)"))
        yield bridge


def processes_of(home: Path) -> dict[int, str]:
    """Living processes that work for the folder, by what they were told at their start."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(home) in told and processes.is_alive(int(entry.name)):
            found[int(entry.name)] = processes.command_line(int(entry.name))
    return found


def victim(home: Path, kind: str) -> int | None:
    """Process id of one kind, if it lives now."""
    marks = {"app": "app.py", "worker": "--child", "supervisor": "embedded.supervisor"}
    if kind == "postgres":
        pid_file = layout_of(home).cluster / "postmaster.pid"
        try:
            return int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
    return next((pid for pid, line in processes_of(home).items() if marks[kind] in line), None)


def is_healthy(server: AppServer) -> bool:
    """The app says it can work."""
    try:
        with urllib.request.urlopen(f"{server.url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def wait(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, at most a minute."""
    assert processes.wait_until(condition, timeout_s=60), what


@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_twenty_kills_lose_nothing_and_leave_nothing(
    held: Orgbridge, home: Path, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    writer = Writer(held)
    thread = threading.Thread(target=writer.run)
    thread.start()
    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(writer.ending.set)
        server = stack.enter_context(app_server(held.settings, tmp_path, worker=True))
        ends_at = time.monotonic() + BUDGET_S
        for number in range(ROUNDS):
            if number >= ROUNDS_MIN and time.monotonic() > ends_at:
                break
            kind = VICTIMS[number % 4] if number < ROUNDS_MIN else chance.choice(VICTIMS)
            story = f"seed {seed}, round {number}: {kind}"
            time.sleep(chance.uniform(0, 0.3))  # a random moment is the point
            pid = victim(home, kind)
            if pid is None:
                continue
            os.kill(pid, signal.SIGKILL)
            wait(lambda pid=pid: not processes.is_alive(pid), story)  # type: ignore[misc]
            if kind == "app":
                server = stack.enter_context(app_server(held.settings, tmp_path, worker=True))
            wait(lambda server=server: is_healthy(server), story)  # type: ignore[misc]
            wait(lambda: victim(home, "worker") is not None, story)
            before = len(writer.taken)
            wait(lambda before=before: len(writer.taken) > before, story)  # type: ignore[misc]
    with held.owner_session() as session:
        stored = set(session.scalars(text("SELECT n FROM noted")))

    assert set(writer.taken) <= stored, f"seed {seed}"
    assert len(writer.taken) > ROUNDS_MIN
    held.engine.dispose()
    held.owner_engine.dispose()
    assert set(processes_of(home).values()) <= _servers(home), processes_of(home)


def test_nothing_is_left_after_the_last_client(home: Path, tmp_path: Path) -> None:
    settings = Settings(database_url=None, home=home, key=Secret(TEST_KEY))
    with app_server(settings, tmp_path, worker=True) as server:
        wait(lambda: victim(home, "worker") is not None, "worker")
        server.process.kill()
        server.process.wait()

        wait(lambda: processes_of(home) == {}, str(processes_of(home)))


def _servers(home: Path) -> set[str]:
    """What may still run while the test itself holds the database."""
    lines = processes_of(home).values()
    return {line for line in lines if "embedded.supervisor" in line or "postgres" in line}
