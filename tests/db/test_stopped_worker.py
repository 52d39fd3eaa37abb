"""A worker that stops within a statement (SIGSTOP, a machine asleep): who takes the run over does
not wait for it, and it writes nothing when it wakes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import sessionmaker

from core import processes
from core.bootstrap import Orgbridge
from core.db import ledger, run_lease, runs
from core.db.engine import database_url, owner_engine
from core.db.run_lease import claim
from core.db.run_state import RunStore
from core.errors import ConflictError
from tests.db.test_run_state import add_run, store

#: links of a set: more than the buffers between server and worker hold
LINKS = 150_000
#: for which a takeover waits here
LIMIT_S = 1.5
COLUMNS = "link_set_id, source_id, workspace_id, target_id, origin"

Stops = Callable[[RunStore, int], None]


def while_it_reads(held: RunStore, set_id: int) -> None:
    """Stops while the server hands it the ledger."""
    with held.look() as session:
        parts = ledger.link_parts(session, set_id, run_id=held.run_id)
        next(parts)
        os.kill(os.getpid(), signal.SIGSTOP)
        list(parts)
    held.heartbeat()


def while_it_writes(held: RunStore, set_id: int) -> None:
    """Stops while the server takes its links in."""
    with held.commit() as commit:
        commit.event("from the grave")
        connection = commit.session.connection().connection.driver_connection
        assert isinstance(connection, psycopg.Connection)
        into = f"COPY record_link ({COLUMNS}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(into) as copy:
            copy.write_row((set_id, "from the grave", held.workspace_id, "T", "inserted"))
            connection.pgconn.flush()
            os.kill(os.getpid(), signal.SIGSTOP)


def carry(url: str, workspace_id: UUID, run_id: UUID, set_id: int, stops: Stops) -> None:
    """A worker that takes a run, is not heard of for longer than its lease, and stops."""
    engine = owner_engine(database_url(url))
    lease = claim(engine, run_id, lock_target=False)
    with engine.begin() as connection:
        connection.execute(text("UPDATE data_migration SET lease_until = clock_timestamp()"))
    opens = sessionmaker(engine).begin
    stops(RunStore(opens, workspace_id=workspace_id, run_id=run_id, token=lease.token), set_id)


@contextmanager
def stopped(bridge: Orgbridge, run_id: UUID, set_id: int, stops: Stops) -> Iterator[BaseProcess]:
    """Such a worker, asleep."""
    url = bridge.settings.database_url or ""
    process = multiprocessing.get_context("spawn").Process(
        target=carry, args=(url, bridge.workspace_id(), run_id, set_id, stops)
    )
    process.start()
    try:
        assert processes.wait_until(lambda: state_of(process) in "TZ", timeout_s=60)
        assert state_of(process) == "T"
        yield process
    finally:
        process.kill()
        process.join()


def state_of(process: BaseProcess) -> str:
    """As the kernel says: ``T`` stopped, ``Z`` ended."""
    said = Path(f"/proc/{process.pid}/stat").read_text()
    return said.rpartition(")")[2].split()[0]


def full_set(bridge: Orgbridge) -> int:
    """A ledger with links of nobody's run."""
    workspace_id = bridge.workspace_id()
    with bridge.owner_session() as session:
        row = ledger.link_set(session, workspace_id, org_pair="a:b", mapping="Account")
        session.execute(
            text(
                f"INSERT INTO record_link ({COLUMNS})"
                " SELECT :id, 'S' || n, :workspace, 'T' || n, 'inserted'"
                " FROM generate_series(1, :links) n"
            ),
            {"id": row.id, "workspace": workspace_id, "links": LINKS},
        )
    return row.id


@pytest.mark.parametrize(
    ("stops", "at_most_s"), [(while_it_reads, LIMIT_S), (while_it_writes, 5 * LIMIT_S)]
)
def test_a_takeover_does_not_wait_for_a_worker_stopped_within_a_statement(
    bridge: Orgbridge, monkeypatch: pytest.MonkeyPatch, stops: Stops, at_most_s: float
) -> None:
    """A COPY is not idle while its worker sleeps: the server's limit does not end it."""
    monkeypatch.setattr(run_lease, "ASLEEP_AFTER_S", LIMIT_S)
    run_id, set_id = add_run(bridge), full_set(bridge)

    with stopped(bridge, run_id, set_id, stops) as process:
        began = time.monotonic()
        taken = claim(bridge.owner_engine, run_id, lock_target=False)
        took_s = time.monotonic() - began
        with store(bridge, run_id, taken.token).commit() as commit:
            commit.event("taken over")
        os.kill(process.pid or 0, signal.SIGCONT)
        process.join(30)

    assert process.exitcode == 1
    assert took_s < at_most_s
    assert taken.token == 2
    taken.close()
    with bridge.owner_session() as session:
        told = session.scalars(text("SELECT message FROM run_event")).all()
        links = session.scalar(text("SELECT count(*) FROM record_link"))
    assert (list(told), links) == (["taken over"], LINKS)


def test_a_takeover_leaves_the_sessions_of_a_living_worker_alone(
    bridge: Orgbridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited finds that the worker before was in a long commit, and its lease good."""
    monkeypatch.setattr(run_lease, "ASLEEP_AFTER_S", LIMIT_S)
    run_id = add_run(bridge)
    living = claim(bridge.owner_engine, run_id, lock_target=False)

    with ThreadPoolExecutor(1) as other, store(bridge, run_id, living.token).commit() as commit:
        asked = other.submit(claim, bridge.owner_engine, run_id, lock_target=False)
        commit.session.execute(text("SELECT pg_sleep(:s)"), {"s": 2 * LIMIT_S})
        commit.event("done")

    with pytest.raises(ConflictError, match="another worker"):
        asked.result()
    living.close()


def test_saying_why_a_run_waits_does_not_wait_for_its_row(bridge: Orgbridge) -> None:
    """A worker with another spool looks at the run of one that stopped within a commit."""
    run_id = add_run(bridge)
    with bridge.owner_session() as asleep, bridge.session(bridge.workspace_id()) as session:
        asleep.execute(text("SELECT FROM data_migration FOR SHARE"))
        session.execute(text("SET LOCAL lock_timeout = '5s'"))
        runs.say_waits(session, run_id, "elsewhere")
        asleep.rollback()
        runs.say_waits(session, run_id, "its pages are elsewhere")

    with bridge.session(bridge.workspace_id()) as session:
        assert runs.run_by_id(session, run_id).wait_reason == "its pages are elsewhere"
