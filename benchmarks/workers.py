"""How throughput grows with workers: 1, 2 and 4 processes, several pairs of orgs, one PostgreSQL.

    python -m benchmarks.workers [ROWS a pair] [PAIRS]        default 3,000 rows, 4 pairs

Every worker has a home folder of its own and carries one job at a time (``--jobs 1``); the spool is
a shared folder, then an S3-compatible store (moto's server, a process of its own). Orgs answer as
real ones do: 120 ms a call, 2 to 4 s a bulk job, so that waiting, not this machine's cores, is what
workers share. Every pair's run loads Account and Contact into an empty target; each measurement has
a database of its own. The time is that from the first launch to the end of the last run.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3
from sqlalchemy import text

from benchmarks.org_pair import OrgUnderTest, pair
from core import bootstrap
from core.access.secrets import new_key
from core.bootstrap import Orgbridge
from core.config import PROJECT_ROOT, Settings, child_environ
from core.db import runs
from core.db.embedded import ensure_server
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.domain.states import FINISHED_RUNS, RunState
from core.secret import Secret
from core.services import orgs, plans
from core.services.connecting import ConnectRequest
from core.services.launching import LaunchRequest, launch

WORKERS = (1, 2, 4)
CALL_S, JOB_S = 0.12, [2, 4]
LIMIT_S = 600.0
PLAN = """
orgbridge: 1
name: plan-{n}
source: source-{n}
target: target-{n}
objects:
  - {{source: Account, key: Code__c, skip: [OwnerId]}}
  - {{source: Contact, key: Code__c, skip: [OwnerId]}}
"""
Orgs = list[tuple[OrgUnderTest, OrgUnderTest]]


@dataclass(frozen=True, slots=True)
class Bench:
    """The product without a worker, and what its workers are started with."""

    bridge: Orgbridge
    actor: Actor
    folder: Path
    environ: dict[str, str]


def main(arguments: list[str]) -> int:
    """Measures and prints."""
    rows, count = (int(arguments[n]) if len(arguments) > n else (3_000, 4)[n] for n in (0, 1))
    print(f"{count} pairs of {rows:,} rows; load of this machine before: {os.getloadavg()[0]:.1f}")
    print(f"{'spool':8} {'workers':>7} {'wall s':>8} {'rows/s':>8} {'growth':>7}")
    with ExitStack() as stack:
        store = stack.enter_context(_s3())
        for spool in ("folder", "s3"):
            alone = 0.0
            for workers in WORKERS:
                wall_s = _measured(rows, count, workers=workers, s3=store if spool == "s3" else "")
                alone = alone or wall_s
                speed = rows * count / wall_s
                print(f"{spool:8} {workers:7} {wall_s:8.1f} {speed:8.0f} {alone / wall_s:6.2f}x")
                sys.stdout.flush()
    return 0


def _measured(rows: int, count: int, *, workers: int, s3: str) -> float:
    with ExitStack() as stack:
        pairs = [stack.enter_context(pair(rows, number=number)) for number in range(count)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)
        bench = stack.enter_context(bench_without_workers(folder, s3))
        register(bench, pairs)
        for _ in range(workers):
            stack.enter_context(_worker(bench))
        _until(lambda: _open_jobs(bench) == 0, "the orgs are described")
        for org in (org for two in pairs for org in two):
            org.client.call(
                "POST", "/_sim/options", {"call_delay_s": CALL_S, "bulk_job_delay_s": JOB_S}
            )
        began = time.monotonic()
        names = [launched(bench, number) for number in range(count)]
        _until(lambda: all(_row(bench, name).status in FINISHED_RUNS for name in names), "runs end")
        wall_s = time.monotonic() - began
        rows_of = [_row(bench, name) for name in names]
        wrong = [(row.status, row.wait_reason, row.summary) for row in rows_of if not _is_good(row)]
        assert not wrong, wrong
        for _, target in pairs:
            for sobject in ("Account", "Contact"):
                said = target.client.call("GET", f"/query?q=SELECT+COUNT()+FROM+{sobject}").json()
                assert said["totalSize"] > 0
        return wall_s


@contextmanager
def bench_without_workers(folder: Path, s3: str = "") -> Iterator[Bench]:
    """The product on a database of its own below a folder."""
    server = ensure_server(folder / "database")
    try:
        settings = Settings(
            database_url=server.urls.owner,
            home=folder / "app",
            key=Secret(new_key()),
            spool_url=_bucket(s3) if s3 else str(folder / "spool"),
        )
        with bootstrap.build(settings) as bridge:
            actor = Actor(bridge.workspace_id(), None, "terminal:bench", Role.ADMIN)
            keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
            yield Bench(bridge, actor, folder, child_environ(settings) | keys)
    finally:
        server.close()


@contextmanager
def _worker(bench: Bench) -> Iterator[None]:
    home = Path(tempfile.mkdtemp(dir=bench.folder))
    environ = bench.environ | {"ORGBRIDGE_HOME": str(home)}
    log = home / "said.txt"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "cli.py", "worker", "--jobs", "1"],
            cwd=PROJECT_ROOT, env=environ, stdout=said, stderr=said,
        )  # fmt: skip
    try:
        _until(lambda: "worker is ready" in log.read_text(), "a worker starts")
        yield
    finally:
        process.terminate()
        process.wait()


def register(bench: Bench, pairs: Orgs) -> None:
    """Connects every pair's orgs as source-N and target-N."""
    for number, two in enumerate(pairs):
        for role, org in zip(("source", "target"), two, strict=True):
            request = ConnectRequest(
                name=f"{role}-{number}",
                kind="client_credentials",
                instance_url=org.ready["url"],
                client_id=org.ready["client_id"],
                client_secret=Secret(org.ready["client_secret"]),
            )
            orgs.connect(bench.bridge, bench.actor, request)


def launched(bench: Bench, number: int, *, enqueue: bool = True) -> str:
    """Launches the plan of one pair; the run's name."""
    plan_id = plans.put(bench.bridge, bench.actor, parse_plan(PLAN.format(n=number)))
    return launch(bench.bridge, bench.actor, plan_id, LaunchRequest(), enqueue=enqueue)


def _row(bench: Bench, name: str) -> runs.RunRow:
    with bench.bridge.session(bench.actor.workspace_id) as session:
        return runs.run_named(session, name)


def _is_good(row: runs.RunRow) -> bool:
    return row.status is RunState.SUCCEEDED


def _open_jobs(bench: Bench) -> int:
    with bench.bridge.owner_session() as session:
        found = session.scalar(
            text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
        )
    return int(found or 0)


def _until(condition: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends, f"not in time: {what}"
        time.sleep(0.1)


@contextmanager
def _s3() -> Iterator[str]:
    """Address of an S3-compatible store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "PYTHONPATH": str(Path(sys.prefix) / "s3server")}
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    # the client of this process signs its requests too
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    address = f"http://127.0.0.1:{port}"
    try:
        _until(lambda: _answers(address), "the store starts")
        yield address
    finally:
        process.terminate()
        process.wait()


def _bucket(address: str) -> str:
    name = f"bench-{time.time_ns()}"
    assert urllib3.request("PUT", f"{address}/{name}").status == 200
    return f"s3://{name}/spool?endpoint={address}"


def _answers(address: str) -> bool:
    try:
        return urllib3.request("GET", address, timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
