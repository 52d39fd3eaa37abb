"""Roles and versions that the engine accepts, and what it says about the others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from core import bootstrap, processes
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.embedded.binaries import runnable_binaries
from core.db.embedded.layout import layout_of
from core.db.engine import KEEPALIVE, check_server, database_url, owner_engine
from core.errors import ConfigError, NotFoundError
from tests.appserver import free_port
from tests.conftest import TestServer

#: as they stand in `KEEPALIVE`
TCP_OPTIONS = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
MakeDatabase = Callable[[], AbstractContextManager[str]]


def test_app_acts_as_a_role_that_policies_bind(bridge: Orgbridge) -> None:
    with bridge.session(bridge.workspace_id()) as session:
        role = session.scalar(text("SELECT current_user"))
        bypasses = session.scalar(
            text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        )

    assert (role, bypasses) == ("orgbridge_app", False)


def test_app_role_survives_a_rolled_back_transaction(bridge: Orgbridge) -> None:
    workspace_id = bridge.workspace_id()
    with pytest.raises(ZeroDivisionError), bridge.session(workspace_id) as session:
        session.execute(text("SELECT 1"))
        raise ZeroDivisionError
    with bridge.session(workspace_id) as session:
        role = session.scalar(text("SELECT current_user"))

    assert role == "orgbridge_app"


def test_workspace_setting_ends_with_its_transaction(bridge: Orgbridge) -> None:
    with bridge.session(bridge.workspace_id()):
        pass
    with bridge.engine.connect() as connection:
        left = connection.scalar(text("SELECT current_setting('app.workspace_id', true)"))

    assert not left


def test_superuser_login_is_refused_with_the_sql_that_mends_it(test_server: TestServer) -> None:
    url = database_url(test_server.server.urls.superuser)

    with pytest.raises(ConfigError, match=r"superuser or has BYPASSRLS.*CREATE ROLE orgbridge"):
        check_server(url)


def test_build_refuses_a_superuser_and_changes_nothing(
    empty_database: MakeDatabase, tmp_path: Path
) -> None:
    with empty_database() as url:
        settings = Settings(
            database_url=url.replace("orgbridge_owner@", "postgres@"), home=tmp_path
        )

        with pytest.raises(ConfigError, match="Nothing was changed"), bootstrap.build(settings):
            pass


def test_login_that_may_not_act_as_the_app_is_refused_with_the_grant(
    test_server: TestServer, empty_database: MakeDatabase
) -> None:
    test_server.run("DROP ROLE IF EXISTS stranger")
    test_server.run("CREATE ROLE stranger LOGIN")
    try:
        with empty_database() as url, pytest.raises(ConfigError, match='TO "stranger"'):
            check_server(database_url(url.replace("orgbridge_owner@", "stranger@")))
    finally:
        test_server.run("DROP ROLE stranger")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_all_spellings_of_postgresql_are_understood(scheme: str) -> None:
    url = database_url(f"{scheme}://ann:secret@db.example:5433/orgs")

    assert (url.drivername, url.port) == ("postgresql+psycopg", 5433)


@pytest.mark.parametrize("wrong", ["mysql://ann:hunter2@h/db", "ann hunter2", "sqlite:///x"])
def test_other_databases_are_refused_without_repeating_the_password(wrong: str) -> None:
    with pytest.raises(ConfigError) as refused:
        database_url(wrong)

    assert "hunter2" not in str(refused.value)


def test_unreachable_server_is_one_clear_sentence_without_password() -> None:
    url = database_url("postgresql://ann:hunter2@127.0.0.1:1/orgs")

    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:1/orgs") as refused:
        check_server(url)
    assert "hunter2" not in str(refused.value)


def test_build_makes_the_main_workspace_once(settings: Settings) -> None:
    seen = set()
    for _ in range(2):
        with bootstrap.build(settings) as bridge:
            seen.add(bridge.workspace_id())

    assert len(seen) == 1


def test_unknown_workspace_is_named(bridge: Orgbridge) -> None:
    with pytest.raises(NotFoundError, match="'elsewhere'"):
        bridge.workspace_id("elsewhere")


def test_pages_go_on_after_the_embedded_server_was_killed(home: Path) -> None:
    with bootstrap.build(Settings(database_url=None, home=home)) as bridge:
        workspace_id = bridge.workspace_id()
        pid_file = layout_of(home).cluster / "postmaster.pid"
        pid = int(pid_file.read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGKILL)
        processes.wait_until(lambda: not processes.is_alive(pid), timeout_s=10)

        assert bridge.database_answers()
        assert bridge.workspace_id() == workspace_id


@contextmanager
def server_on_tcp(home: Path) -> Iterator[str]:
    """A PostgreSQL that is not ours, as another machine has it; its superuser's URL."""
    account, programs, port = layout_of(home).account, runnable_binaries(), free_port()
    data = home / "elsewhere"
    data.mkdir()
    if os.geteuid() == 0:
        os.chown(data, account.uid, account.gid)
    identity = {"user": account.uid, "group": account.gid} if os.geteuid() == 0 else {}
    made = [programs.program("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-N"]
    subprocess.run(made, check=True, capture_output=True, cwd="/", **identity)
    starts = [programs.program("postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen([*starts, "-k", ""], stderr=subprocess.DEVNULL, cwd="/", **identity)
    try:
        pid_file = data / "postmaster.pid"
        assert processes.wait_until(
            lambda: pid_file.exists() and "ready" in pid_file.read_text(), timeout_s=60
        )
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()


def test_a_machine_that_is_gone_is_noticed_after_a_minute_on_both_sides(home: Path) -> None:
    with server_on_tcp(home) as url:
        engine = owner_engine(database_url(url))
        with engine.connect() as connection:
            server = [int(connection.scalar(text(f"SHOW tcp_{name}"))) for name in KEEPALIVE]
            raw = connection.connection.driver_connection
            assert raw is not None
            with socket.socket(fileno=os.dup(raw.fileno())) as line:
                ours = [line.getsockopt(socket.IPPROTO_TCP, option) for option in TCP_OPTIONS]
                asks = line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        engine.dispose()

    assert (server, ours, asks) == ([30, 10, 3], [30, 10, 3], 1)
