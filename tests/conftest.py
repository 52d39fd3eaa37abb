"""What every tier shares: a scrubbed environment, the fixture sets, and a real PostgreSQL.

One embedded server per test session (shared by xdist's workers), one migrated template database on
it, and a copy of that for each test that asks for `bridge`.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from core import bootstrap, processes
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import schema
from core.db.embedded import EmbeddedServer, ensure_server
from core.db.embedded.layout import layout_of
from core.secret import Secret

pytest_plugins = ["tests.costs", "tests.orgs", "tests.s3server"]

TESTS = Path(__file__).resolve().parent
PROJECT = TESTS.parent
FIXTURES = PROJECT.parent / "shared" / "fixtures"
TEMPLATE = "orgbridge_template"
#: a Fernet key that only tests use
TEST_KEY = "dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktMTIzNDU="
_SCRUBBED = (
    "DATABASE_URL",
    "ORGBRIDGE_",
    "PG",
    "STREAMLIT_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "PYTHONDONTWRITEBYTECODE",  # a hundred processes that tests start would compile the same files
)
_SHARED_HOME = "TESTS_SHARED_HOME"
#: folders of tests, those with the longest files first
_LONGEST_FIRST = ("browser", "real", "app", "org", "pages", "db", "rooms", "unit")
#: where Linux keeps files in memory, and how much of it must be free for the session's database
_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 << 30
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Scrub the environment before anything of ours is imported by a test."""
    for name in tuple(os.environ):
        kept = name.startswith("ORGBRIDGE_LIVE_")
        if not kept and name.upper().startswith(_SCRUBBED):
            del os.environ[name]
    if not hasattr(config, "workerinput"):
        # Not in pytest's 0700 folder: when root runs tests, the server's account must get in.
        home = Path(tempfile.mkdtemp(prefix="orgbridge-tests-", dir=_quickest_folder()))
        home.chmod(0o711)
        os.environ[_SHARED_HOME] = str(home)  # xdist's workers inherit it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no process has work when the others have none left.

    Within a folder the order stays random, as pytest-randomly made it.
    """
    items.sort(key=lambda item: _LONGEST_FIRST.index(item.path.relative_to(TESTS).parts[0]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the session's server and remove its folder, once all workers are done."""
    home = os.environ.get(_SHARED_HOME)
    if home and not hasattr(config, "workerinput"):
        _end_server(Path(home))
        shutil.rmtree(home, ignore_errors=True)
        del os.environ[_SHARED_HOME]


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """Real inputs that lie beside the project; never copied into it. Must be there under CI."""
    if not FIXTURES.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the fixture sets are missing: {FIXTURES}")
        pytest.skip(f"the fixture sets are not on this machine: {FIXTURES}")
    return FIXTURES


@dataclass(frozen=True, slots=True)
class TestServer:
    """The session's server and its home folder."""

    __test__ = False

    server: EmbeddedServer
    home: Path

    def run(self, statement: str) -> None:
        """One statement as the superuser, outside a transaction."""
        url = self.server.urls_of("postgres").superuser.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def database(self, template: str) -> Iterator[str]:
        """A fresh copy of `template`: the owner's URL; dropped afterwards."""
        name = f"t_{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} OWNER orgbridge_owner")
        try:
            yield self.server.urls_of(name).owner
        finally:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def test_server() -> Iterator[TestServer]:
    """One embedded PostgreSQL for the session, without fsync, with the migrated template."""
    home = Path(os.environ[_SHARED_HOME])
    server = ensure_server(home)
    session = TestServer(server, home)
    try:
        _make_template(session)
        yield session
    finally:
        server.close()


@pytest.fixture
def settings(test_server: TestServer, tmp_path: Path) -> Iterator[Settings]:
    """Settings on a fresh, migrated database and an empty home folder."""
    with test_server.database(TEMPLATE) as url:
        yield Settings(database_url=url, home=tmp_path / "home", key=Secret(TEST_KEY))


@pytest.fixture(autouse=True)
def _own_main_module() -> Iterator[None]:
    """Streamlit's page tests leave their script in the place of ``__main__``, which every process
    that multiprocessing begins later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def bridge(settings: Settings) -> Iterator[Orgbridge]:
    """The product, built on a fresh database."""
    with bootstrap.build(settings) as built:
        yield built


@pytest.fixture
def empty_database(test_server: TestServer) -> Callable[[], AbstractContextManager[str]]:
    """Makes databases without our schema: ``with empty_database() as url: …``."""
    return lambda: test_server.database("template0")


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty data folder for an embedded server, which is ended afterwards."""
    folder = Path(tempfile.mkdtemp(dir=_quickest_folder()))
    folder.chmod(0o711)  # root's server runs as another account, which must get in
    yield folder
    _end_server(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _quickest_folder() -> Path | None:
    """Where files are made and removed at once; none when the usual place for drafts must do.

    A database is some 480 files, and nearly a thousand tests have one of their own. To make a file,
    ext4 passes over the numbers of those that were lately removed: half a second for a database.
    """
    if not os.access(_IN_MEMORY, os.W_OK):
        return None
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(told["MemAvailable"].split()[0]) * 1024
    free = min(available, shutil.disk_usage(_IN_MEMORY).free)
    return _IN_MEMORY if free >= _ROOM_BYTES else None


def _end_server(home: Path) -> None:
    lock = layout_of(home).lock
    pid = int(lock.read_text() or 0) if lock.exists() else 0
    if pid and processes.is_alive(pid):
        os.kill(pid, signal.SIGTERM)
        assert processes.wait_until(lambda: not processes.is_alive(pid), timeout_s=30)


def _make_template(session: TestServer) -> None:
    """Migrate the template once per server, whoever of xdist's workers comes first."""
    with (session.home / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = session.home / "template.done"
        if done.exists():
            return
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            session.run(f"ALTER SYSTEM SET {setting}")
        session.run("SELECT pg_reload_conf()")
        session.run(f"CREATE DATABASE {TEMPLATE} OWNER orgbridge_owner")
        url = session.server.urls_of(TEMPLATE).owner
        with bootstrap.build(Settings(url, session.home, key=Secret(TEST_KEY))):
            pass
        done.write_text(schema.HEAD_REVISION)
