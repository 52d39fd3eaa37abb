"""Logs, Errors and Audit trail at a million entries each: their queries, whole scripts, the CSV.

    python -m benchmarks.logs [rows]

Makes a database of its own, fills the log tables by one statement each, and measures the services
that the page's script calls, then the script itself: wall time, and the processor time of this
process and of every process of the database together, which says the same on a busy machine.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.practice_org import cpu_seconds
from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings
from core.domain.roles import Actor, Role
from core.jobs import retention
from core.services import audit, logs, orgs
from core.services.logs import LogFilter

ROWS = 1_000_000
TIMES = 7
TABLES = ("migrate_data_log", "record_count_log", "field_difference_log", "error_log", "sync_log")
TRAIL = """
INSERT INTO audit_log (id, workspace_id, at, actor, action, subject_kind, subject_name)
SELECT gen_random_uuid(), :workspace, now() - n * interval '7 seconds', 'ann ' || n % 9,
       (ARRAY['plan.saved','run.launch','org.connected','file.fetched'])[1 + n % 4], 'plan',
       'subject ' || n
FROM generate_series(1, :rows) AS n
"""
FILL = """
INSERT INTO {table} (id, workspace_id, created_at, finished_at, status, requested_by, message{more})
SELECT gen_random_uuid(), :workspace, now() - n * interval '7 seconds',
       now() - n * interval '7 seconds' + interval '3 seconds',
       (ARRAY['succeeded','succeeded','partial','failed'])[1 + n % 4], 'ann ' || n % 9,
       'entry ' || n || ' of a run'{values}
FROM generate_series(1, :rows) AS n
"""


def main() -> None:
    """Prints the table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="orgbridge-bench-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        with bootstrap.build(Settings(None, home)) as bridge:
            actor = Actor(bridge.workspace_id(), None, "bench", Role.ADMIN)
            _fill(bridge, actor, rows)
            server = _Server(bridge)
            sys.stdout.write("| what | median ms | worst ms | CPU ms |\n|---|---|---|---|\n")
            month = LogFilter(since=bridge.clock() - dt.timedelta(days=30))
            uncounted = {
                "charts where no night has counted": lambda: logs.per_day(bridge, actor, month)
            }
            _write(server, uncounted)
            began = time.perf_counter()
            retention.count_days(bridge)  # as at the start after an upgrade, and every night
            sys.stdout.write(f"| the days counted | {_ms(began):.0f} | | |\n")
            _write(server, _asked(bridge, actor, month))
            began = time.perf_counter()
            size = sum(len(piece) for piece in logs.logs_csv(bridge, actor, LogFilter()))
            sys.stdout.write(f"| all as CSV, {size / 1e6:.0f} MB | {_ms(began):.0f} | | |\n")


class _Server:
    """The processes of the database of a benchmark."""

    def __init__(self, bridge: Orgbridge) -> None:
        with bridge.owner_session() as session:
            backend = session.scalar(text("SELECT pg_backend_pid()"))
        self._postmaster = _parent(int(backend or 0))

    def cpu_s(self) -> float:
        """Processor time of this process and of the server's, ended ones included."""
        alive = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
        children = [pid for pid in alive if _parent(pid) == self._postmaster]
        cells = _stat(self._postmaster)
        ended = (int(cells[13]) + int(cells[14])) / os.sysconf("SC_CLK_TCK")
        own = time.process_time()
        return own + ended + sum(map(cpu_seconds, (self._postmaster, *children)))


def _stat(pid: int) -> list[str]:
    """What follows the name in /proc; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    cells = _stat(pid)
    return int(cells[1]) if cells else 0


def _ms(began: float) -> float:
    return 1000 * (time.perf_counter() - began)


def _fill(bridge: Orgbridge, actor: Actor, rows: int) -> None:
    for table in TABLES:
        is_error = table == "error_log"
        more = ", kind, boundary, fingerprint" if is_error else ""
        values = ", 'RefusedError', 'run', 'f' || n % 50" if is_error else ""
        statement = FILL.format(table=table, more=more, values=values)
        given = {"workspace": actor.workspace_id, "rows": rows // len(TABLES)}
        with bridge.owner_session() as session:
            session.execute(text(statement), given)
    with bridge.owner_session() as session:
        session.execute(text(TRAIL), {"workspace": actor.workspace_id, "rows": rows})
    # as the server does by itself after so many inserts
    with bridge.owner_engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _asked(bridge: Orgbridge, actor: Actor, month: LogFilter) -> dict[str, Callable[[], Any]]:
    word = LogFilter(text="99999", since=month.since)
    near = logs.searched(bridge, actor, word)
    trail = audit.TrailFilter(since=month.since)
    return {
        "page of 30 days": lambda: logs.logs(bridge, actor, month),
        "page of everything": lambda: logs.logs(bridge, actor, LogFilter()),
        "page 40 of 30 days": lambda: logs.logs(bridge, actor, month, page=40),
        "charts of 30 days": lambda: logs.per_day(bridge, actor, month),
        "page of a rare word, newest entries": lambda: logs.logs(bridge, actor, near),
        "page of a rare word, all entries": lambda: logs.logs(bridge, actor, word),
        "logs: script of 30 days": lambda: _script(bridge, actor, month),
        "logs: script of a rare word": lambda: _script(
            bridge, actor, logs.searched(bridge, actor, word)
        ),
        "errors: groups": lambda: logs.error_groups(bridge, actor),
        "errors: script": lambda: (
            logs.error_groups(bridge, actor),
            logs.error_days(bridge, actor),
        ),
        "audit: script of 30 days": lambda: _trail_script(bridge, actor, trail),
        "audit: script of a rare word": lambda: _trail_script(
            bridge, actor, dataclasses.replace(trail, text="99999")
        ),
    }


def _write(server: _Server, asked: dict[str, Callable[[], Any]]) -> None:
    """A line of the table for each; medians of `TIMES`, after one that is not counted."""
    for what, act in asked.items():
        act()
        taken = []
        before = server.cpu_s()
        for _ in range(TIMES):
            began = time.perf_counter()
            act()
            taken.append(_ms(began))
        cpu = 1000 * (server.cpu_s() - before) / TIMES
        line = f"| {what} | {statistics.median(taken):.0f} | {max(taken):.0f} | {cpu:.0f} |\n"
        sys.stdout.write(line)
        sys.stdout.flush()


def _script(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> None:
    """What one run of the page asks for."""
    audit.choices(bridge, actor)
    orgs.orgs(bridge, actor)
    if logs.logs(bridge, actor, chosen).per_day is None:
        logs.per_day(bridge, actor, chosen)
    logs.per_object(bridge, actor, chosen)


def _trail_script(bridge: Orgbridge, actor: Actor, chosen: audit.TrailFilter) -> None:
    audit.choices(bridge, actor)
    audit.trail(bridge, actor, audit.searched(bridge, actor, chosen))


if __name__ == "__main__":
    main()
