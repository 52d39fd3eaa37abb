"""The embedded server: shared, revived, never leaked, never a superuser's."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from core import processes
from core.db.embedded import ensure_server
from core.db.embedded.layout import layout_of
from core.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from core.db.embedded import ensure_server
held = ensure_server(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def supervisor_pid(home: Path) -> int | None:
    """Process id of the home's supervisor."""
    lock = layout_of(home).lock
    return int(lock.read_text()) if lock.exists() and lock.read_text().strip() else None


def server_pid(home: Path) -> int | None:
    """Process id of the home's PostgreSQL."""
    path = layout_of(home).cluster / "postmaster.pid"
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def query(url: str, statement: str) -> tuple[object, ...] | None:
    """One row of one statement."""
    with psycopg.connect(url.replace("+psycopg", ""), connect_timeout=5) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone() if cursor.description else None


def is_gone(home: Path, *pids: int | None) -> Callable[[], bool]:
    """True once none of the processes lives."""
    return lambda: not any(pid and processes.is_alive(pid) for pid in pids)


def holder(home: Path) -> subprocess.Popen[str]:
    """A process of its own that holds the home's server."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_first_boot_takes_at_most_two_seconds(home: Path) -> None:
    started = time.monotonic()
    server = ensure_server(home)
    took = time.monotonic() - started

    assert query(server.urls.owner, "SELECT current_user") == ("orgbridge_owner",)
    server.close()
    assert took < 2.0 * slowness()


def slowness() -> float:
    """How much longer a thing may take while other work shares the cores."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)) * 2


def test_login_is_no_superuser_and_owns_the_database_only(home: Path) -> None:
    server = ensure_server(home)
    row = query(
        server.urls.owner,
        "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user",
    )
    server.close()

    assert row == (False, False, False)


def test_server_process_never_runs_as_root(home: Path) -> None:
    server = ensure_server(home)
    pid = server_pid(home)
    assert pid is not None
    uid = Path(f"/proc/{pid}").stat().st_uid
    server.close()

    assert uid != 0
    assert uid == os.geteuid() or os.geteuid() == 0


def test_it_listens_on_a_private_socket_only(home: Path) -> None:
    server = ensure_server(home)
    listening = query(server.urls.owner, "SHOW listen_addresses")
    sockets = layout_of(home).sockets
    server.close()

    assert listening == ("",)
    assert sockets.stat().st_mode & 0o777 == 0o700


def test_it_stops_seconds_after_its_last_holder_let_go(home: Path) -> None:
    first, second = ensure_server(home), ensure_server(home)
    pids = server_pid(home), supervisor_pid(home)
    first.close()

    assert query(second.urls.owner, "SELECT 1") == (1,)
    second.close()
    assert processes.wait_until(is_gone(home, *pids), timeout_s=20)
    assert not layout_of(home).control.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_stops_when_its_last_holder_is_killed(home: Path, number: signal.Signals) -> None:
    process = holder(home)
    pids = server_pid(home), supervisor_pid(home)

    os.kill(process.pid, number)
    process.communicate()

    assert processes.wait_until(is_gone(home, *pids), timeout_s=20)


def test_several_processes_share_one_server(home: Path) -> None:
    processes = [holder(home) for _ in range(2)]
    pid = server_pid(home)
    for process in processes[:1]:
        process.kill()
        process.communicate()
    server = ensure_server(home)

    assert server_pid(home) == pid
    server.close()
    processes[1].kill()
    processes[1].communicate()


def test_many_first_starts_at_once_end_in_one_server(home: Path) -> None:
    answers: list[object] = []

    def start() -> None:
        with ensure_server(home) as server:
            answers.append(query(server.urls.owner, "SELECT pg_postmaster_start_time()"))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 4
    assert len(set(answers)) == 1


def test_killed_server_is_back_at_once_with_its_rows(home: Path) -> None:
    server = ensure_server(home)
    query(server.urls.owner, "CREATE TABLE kept AS SELECT 42 AS answer")
    pid = server_pid(home)
    assert pid is not None

    os.kill(pid, signal.SIGKILL)

    assert processes.wait_until(lambda: _answers(server.urls.owner), timeout_s=20)
    assert query(server.urls.owner, "SELECT answer FROM kept") == (42,)
    assert server_pid(home) != pid
    server.close()


def test_killed_supervisor_takes_its_server_along_and_both_come_back(home: Path) -> None:
    server = ensure_server(home)
    query(server.urls.owner, "CREATE TABLE kept AS SELECT 42 AS answer")
    supervisor, postgres = supervisor_pid(home), server_pid(home)
    assert supervisor is not None

    os.kill(supervisor, signal.SIGKILL)
    assert processes.wait_until(is_gone(home, postgres), timeout_s=20)
    server.ensure()

    assert query(server.urls.owner, "SELECT answer FROM kept") == (42,)
    server.close()


def test_supervisor_and_server_killed_together_come_back(home: Path) -> None:
    server = ensure_server(home)
    query(server.urls.owner, "CREATE TABLE kept AS SELECT 42 AS answer")
    pids = supervisor_pid(home), server_pid(home)
    for pid in pids:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    assert processes.wait_until(is_gone(home, *pids), timeout_s=20)

    server.ensure()

    assert query(server.urls.owner, "SELECT answer FROM kept") == (42,)
    server.close()


def test_a_path_longer_than_a_socket_allows_works(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    server = ensure_server(deep)

    assert query(server.urls.owner, "SELECT 1") == (1,)
    assert len(os.fsencode(layout_of(deep).sockets)) <= 80
    server.close()
    pid = supervisor_pid(deep)
    assert processes.wait_until(is_gone(deep, pid), timeout_s=20)


def test_a_half_made_cluster_is_made_anew(home: Path) -> None:
    half = home / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = ensure_server(home)

    assert query(server.urls.owner, "SELECT 1") == (1,)
    assert not half.exists()
    server.close()


def test_data_of_another_version_is_refused_in_words(home: Path) -> None:
    old = home / "postgres" / "data"
    old.mkdir(parents=True)
    (old / "PG_VERSION").write_text("16\n")

    with pytest.raises(ConfigError, match=r"written by PostgreSQL 16.*Nothing was changed"):
        ensure_server(home)


def test_damaged_data_is_refused_with_what_postgres_says(home: Path) -> None:
    server = ensure_server(home)
    server.close()
    assert processes.wait_until(is_gone(home, supervisor_pid(home)), timeout_s=20)
    (layout_of(home).cluster / "global" / "pg_control").write_bytes(b"")

    with pytest.raises(ConfigError, match="pg_control"):
        ensure_server(home)


def test_a_home_that_is_a_file_is_refused_in_words(home: Path) -> None:
    taken = home / "taken"
    taken.write_text("")

    with pytest.raises(ConfigError, match="taken"):
        ensure_server(taken)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
def test_root_with_a_private_home_keeps_data_elsewhere(home: Path) -> None:
    private = home / "private"
    private.mkdir(mode=0o700)
    folder = layout_of(private).folder
    try:
        with ensure_server(private) as server:
            answer = query(server.urls.owner, "SELECT 1")
        pid = supervisor_pid(private)
        is_ended = processes.wait_until(is_gone(private, pid), timeout_s=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    assert answer == (1,)
    assert is_ended
    assert folder.is_relative_to("/var/lib/orgbridge/clusters")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
def test_a_normal_user_starts_it_too() -> None:
    account = next(a for a in pwd.getpwall() if a.pw_name in ("daemon", "nobody"))
    python = next(filter(_runs_for_others, (sys.executable, "/usr/bin/python3")), None)
    if python is None or not _others_enter(PROJECT):
        pytest.skip("other accounts can enter neither this checkout nor a Python like ours")
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, account.pw_uid, account.pw_gid)
    script = (
        "import sys, psycopg; from pathlib import Path; from core.db.embedded import *;"
        "s = ensure_server(Path(sys.argv[1]));"
        "print(psycopg.connect(s.urls.owner.replace('+psycopg', '')).execute("
        "'select 1').fetchone())"
    )
    done = subprocess.run(
        [python, "-W", "ignore", "-c", script, str(folder)],
        cwd=PROJECT, user=account.pw_uid, group=account.pw_gid, extra_groups=[],
        env={
            "HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": sysconfig.get_path("purelib"),
        },
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.stdout == "(1,)\n", done.stderr
    pid = int((folder / "postgres" / "supervisor.lock").read_text())
    assert processes.wait_until(is_gone(folder, pid), timeout_s=20)
    shutil.rmtree(folder)


def _answers(url: str) -> bool:
    try:
        return query(url, "SELECT 1") == (1,)
    except psycopg.OperationalError:
        return False


def _runs_for_others(python: str) -> bool:
    if not Path(python).exists() or not _others_enter(Path(python).resolve().parent):
        return False
    version = subprocess.run([python, "--version"], capture_output=True, text=True, check=False)
    return version.stdout.startswith(f"Python 3.{sys.version_info.minor}.")


def _others_enter(folder: Path) -> bool:
    return all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents))
