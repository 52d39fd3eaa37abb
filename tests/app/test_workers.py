"""Workers as real processes: locks, kills, pauses, hand-overs; nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from core import processes
from core.bootstrap import Orgbridge
from core.jobs import janitor, queue

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("slow_worker.py")
STEPS = 30
#: where the first worker of a test stays, however long the test takes to come to it
STAYS = ("--stays-at", "5")
TABLES = """
CREATE TABLE carried (run_id uuid, pid int, at timestamptz);
CREATE TABLE step (run_id uuid, step int, pid int, at timestamptz, PRIMARY KEY (run_id, step));
CREATE TABLE ended (run_id uuid, pid int, at timestamptz);
"""


@dataclass(slots=True)
class Spawn:
    """Starts worker processes on the test's database."""

    bridge: Orgbridge
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __call__(self, *arguments: str) -> subprocess.Popen[bytes]:
        url = self.bridge.settings.database_url or ""
        command = [sys.executable, str(SCRIPT), url, str(self.bridge.settings.home), "--child"]
        log = self.folder / f"worker{len(self.started)}.txt"
        with log.open("wb") as told:
            process = subprocess.Popen(
                [*command, *arguments], cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)},
                stdin=subprocess.PIPE, stderr=told,
            )  # fmt: skip
        self.started.append(process)
        return process

    def last_words(self, process: subprocess.Popen[bytes]) -> str:
        """What a worker that ends by itself says to the terminal."""
        process.wait(120)
        return (self.folder / f"worker{self.started.index(process)}.txt").read_text()


@pytest.fixture
def spawn(bridge: Orgbridge, tmp_path: Path) -> Iterator[Spawn]:
    """Starts worker processes; all are ended afterwards."""
    with bridge.owner_session() as session:
        session.execute(text(TABLES))
    begun = Spawn(bridge, tmp_path)
    yield begun
    for process in begun.started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def rows(bridge: Orgbridge, statement: str, **values: Any) -> list[Any]:
    """Rows of a query as the owner."""
    with bridge.owner_session() as session:
        return list(session.execute(text(statement), values).all())


def defer(
    bridge: Orgbridge, *, target: str = "00D000000000001AAA", start_at: datetime | None = None
) -> UUID:
    """A new run in the queue."""
    run_id = uuid4()
    workspace_id = bridge.workspace_id()
    with bridge.session(workspace_id) as session:
        assert queue.defer_run(
            session, workspace_id=workspace_id, run_id=run_id, target=target, start_at=start_at
        )
    return run_id


def steps(bridge: Orgbridge, run_id: UUID) -> int:
    """How many steps of the run are done."""
    return len(rows(bridge, "SELECT FROM step WHERE run_id = :id", id=run_id))


def job_states(bridge: Orgbridge, run_id: UUID) -> list[str]:
    """States of the run's jobs; workers queue others by themselves, such as the daily retention."""
    mine = "SELECT status FROM procrastinate_jobs WHERE args ->> 'run_id' = :id ORDER BY id"
    return [row.status for row in rows(bridge, mine, id=str(run_id))]


def has_ended(bridge: Orgbridge, run_id: UUID) -> bool:
    """True once a worker said so."""
    return bool(rows(bridge, "SELECT FROM ended WHERE run_id = :id", id=run_id))


def wait(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Wait for a condition, at most so long."""
    assert processes.wait_until(condition, timeout_s=timeout_s)


def test_a_killed_worker_is_taken_over_within_30_seconds(bridge: Orgbridge, spawn: Spawn) -> None:
    first = spawn(*STAYS)
    run_id = defer(bridge)
    wait(lambda: steps(bridge, run_id) >= 3)
    spawn()

    first.kill()
    killed = time.monotonic()
    done = steps(bridge, run_id)
    wait(lambda: steps(bridge, run_id) > done + 1)
    took_s = time.monotonic() - killed

    wait(lambda: has_ended(bridge, run_id))
    assert took_s <= 30
    assert steps(bridge, run_id) == STEPS
    assert len(rows(bridge, "SELECT DISTINCT pid FROM carried WHERE run_id = :id", id=run_id)) == 2


def test_a_paused_worker_loses_its_job(bridge: Orgbridge, spawn: Spawn) -> None:
    first = spawn(*STAYS)
    run_id = defer(bridge)
    wait(lambda: steps(bridge, run_id) >= 2)
    first.send_signal(signal.SIGSTOP)
    spawn()

    wait(lambda: has_ended(bridge, run_id))
    assert steps(bridge, run_id) == STEPS


def test_a_worker_told_to_end_gives_its_job_back_at_once(bridge: Orgbridge, spawn: Spawn) -> None:
    first = spawn(*STAYS)
    run_id = defer(bridge)
    wait(lambda: steps(bridge, run_id) >= 2)

    first.terminate()
    assert first.wait(10) == 0
    assert job_states(bridge, run_id) == ["todo"]
    assert 2 <= steps(bridge, run_id) < STEPS

    spawn()
    wait(lambda: has_ended(bridge, run_id))


def raise_schema(bridge: Orgbridge, revision: str) -> None:
    """What a newer version does at its start: it adds something and notes its revision."""
    with bridge.owner_session() as session:
        session.execute(text("ALTER TABLE data_migration ADD COLUMN of_a_newer_version text"))
        session.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_a_worker_older_than_the_database_hands_over_to_a_newer_one(
    bridge: Orgbridge, spawn: Spawn
) -> None:
    """Upgrade of one worker at a time: it says so, ends, and does not come back."""
    older = spawn(*STAYS)
    run_id = defer(bridge)
    wait(lambda: steps(bridge, run_id) >= 2)

    raise_schema(bridge, "9999")
    said = spawn.last_words(older)
    left = job_states(bridge, run_id)
    done = steps(bridge, run_id)
    refused = spawn.last_words(spawn())
    newer = spawn("--knows", "9999")
    wait(lambda: has_ended(bridge, run_id))

    assert older.returncode == 1
    assert "revision 9999" in said and "Install the newer version" in said
    assert "revision 9999" in refused
    assert (left, done < STEPS, steps(bridge, run_id)) == (["todo"], True, STEPS)
    assert newer.poll() is None
    carried = rows(bridge, "SELECT pid FROM carried WHERE run_id = :id ORDER BY at", id=run_id)
    assert [row.pid for row in carried] == [older.pid, newer.pid]


def test_a_worker_that_cannot_keep_pages_does_not_start(bridge: Orgbridge, spawn: Spawn) -> None:
    bridge.settings.home.mkdir(parents=True, exist_ok=True)
    (bridge.settings.home / "spool").write_text("a file where a folder should be")

    worker = spawn()
    said = spawn.last_words(worker)

    assert worker.returncode == 1
    assert "could not be stored" in said


def test_a_worker_ends_when_its_parent_is_gone(bridge: Orgbridge, spawn: Spawn) -> None:
    process = spawn(*STAYS)
    run_id = defer(bridge)
    wait(lambda: steps(bridge, run_id) >= 1)
    assert process.stdin is not None

    process.stdin.close()  # what the death of the parent does

    assert process.wait(10) == 0


def test_runs_on_one_target_go_one_after_another(bridge: Orgbridge, spawn: Spawn) -> None:
    spawn()
    spawn()
    first, second = defer(bridge), defer(bridge)

    wait(lambda: has_ended(bridge, first) and has_ended(bridge, second))
    overlap = rows(
        bridge,
        "SELECT FROM (SELECT run_id, min(at) AS a, max(at) AS z FROM step GROUP BY 1) x"
        " JOIN (SELECT run_id, min(at) AS a, max(at) AS z FROM step GROUP BY 1) y"
        " ON x.run_id < y.run_id AND x.a < y.z AND y.a < x.z",
    )
    assert overlap == []


def test_a_run_that_is_to_start_later_keeps_none_waiting(bridge: Orgbridge) -> None:
    """Three into one target: for tomorrow, for tonight, at once; the latest was asked for first."""
    now = bridge.clock()
    tomorrow = defer(bridge, start_at=now + timedelta(days=1))
    tonight = defer(bridge, start_at=now + timedelta(hours=5))
    at_once = defer(bridge)

    assert taken(bridge) == at_once
    assert taken(bridge) is None
    rows_changed(bridge, "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE priority = 0")
    assert taken(bridge) is None
    for hours, run_id in ((5, tonight), (24, tomorrow)):
        passed = f"scheduled_at = scheduled_at - interval '{hours} hours 1 second'"
        mine = f"args ->> 'run_id' = '{run_id}'"
        rows_changed(bridge, f"UPDATE procrastinate_jobs SET {passed} WHERE {mine}")
        assert taken(bridge) == run_id
        rows_changed(bridge, f"UPDATE procrastinate_jobs SET status = 'succeeded' WHERE {mine}")


def taken(bridge: Orgbridge) -> UUID | None:
    """The run whose job a worker that asks now is given."""
    with bridge.owner_session() as session:
        asked = text("SELECT args ->> 'run_id' FROM procrastinate_fetch_job_v2(NULL, NULL)")
        found = session.scalar(asked)
    return UUID(found) if found else None


def rows_changed(bridge: Orgbridge, statement: str) -> None:
    """Change rows as the owner."""
    with bridge.owner_session() as session:
        session.execute(text(statement))


def test_runs_on_different_targets_go_side_by_side(bridge: Orgbridge, spawn: Spawn) -> None:
    spawn()
    first, second = defer(bridge, target="one"), defer(bridge, target="two")

    wait(lambda: 0 < steps(bridge, first) < STEPS and 0 < steps(bridge, second) < STEPS)


def test_an_aborted_run_stops_and_is_not_taken_up_again(bridge: Orgbridge, spawn: Spawn) -> None:
    spawn(*STAYS)
    run_id = defer(bridge)
    wait(lambda: steps(bridge, run_id) >= 2)

    with bridge.session(bridge.workspace_id()) as session:
        assert queue.abort_run(session, run_id) == 1

    wait(lambda: job_states(bridge, run_id) == ["aborted"])
    assert steps(bridge, run_id) < STEPS
    assert not has_ended(bridge, run_id)


def test_a_run_waits_in_the_queue_once(bridge: Orgbridge) -> None:
    workspace_id, run_id = bridge.workspace_id(), uuid4()
    with bridge.session(workspace_id) as session:
        answers = [
            queue.defer_run(session, workspace_id=workspace_id, run_id=run_id, target="t")
            for _ in range(2)
        ]
        queued = queue.is_queued(session, run_id)

    assert answers == [True, False]
    assert queued


def test_a_job_is_rolled_back_with_its_transaction(bridge: Orgbridge) -> None:
    workspace_id = bridge.workspace_id()
    with pytest.raises(ZeroDivisionError), bridge.session(workspace_id) as session:
        queue.defer_run(session, workspace_id=workspace_id, run_id=uuid4(), target="t")
        raise ZeroDivisionError

    assert rows(bridge, "SELECT FROM procrastinate_jobs") == []


def test_two_janitors_give_a_job_back_once(bridge: Orgbridge) -> None:
    defer(bridge)
    with bridge.owner_session() as session:
        session.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))

    given = [janitor.give_back_stalled(bridge.owner_engine) for _ in range(2)]

    assert [len(ids) for ids in given] == [1, 0]


def test_a_run_that_nobody_carries_is_queued_once_and_out_of_turn(bridge: Orgbridge) -> None:
    """Runs that wait for the same target wait for this one: it must not stand behind them."""
    defer(bridge)
    run_id = uuid4()
    with bridge.session(bridge.workspace_id()) as session:
        session.execute(
            text(
                "INSERT INTO data_migration (id, data_schedule_id, status, requested_by,"
                " target_organization_id, lease_until) VALUES (:id, 'left', 'Running', 'me',"
                " '00D000000000001AAA', now() - interval '1 second')"
            ),
            {"id": run_id},
        )

    given = []
    with bridge.owner_session() as stopped:  # within a commit, say
        stopped.execute(text("SELECT FROM data_migration FOR SHARE"))
        for _ in range(2):
            with bridge.owner_session() as session:
                given.append(janitor.take_up_abandoned(session))

    assert given == [(str(run_id),), ()]
    found = rows(
        bridge,
        "SELECT lock FROM procrastinate_jobs WHERE args ->> 'run_id' = :id",
        id=str(run_id),
    )
    assert [row.lock for row in found] == [None]
