"""The Logs page at a million entries: every query of its script, its whole script, the CSV.

    python -m benchmarks.logs [rows]

Makes a database of its own, fills the log tables by one statement each, and measures the services
that the page's script calls, then the script itself. Wall and CPU seconds of this process; the
database's own work shows in the wall time alone.
"""

from __future__ import annotations

import datetime as dt
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text

from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import log_days
from core.domain.roles import Actor, Role
from core.services import logs
from core.services.logs import LogFilter

ROWS = 1_000_000
TIMES = 7
TABLES = ("migrate_data_log", "record_count_log", "field_difference_log", "error_log", "sync_log")
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
            with bridge.owner_session() as session:  # as every night
                log_days.recount(session, actor.workspace_id, now=bridge.clock())
            sys.stdout.write("| what | median ms | worst ms |\n|---|---|---|\n")
            for line in _lines(bridge, actor):
                sys.stdout.write(line + "\n")


def _fill(bridge: Orgbridge, actor: Actor, rows: int) -> None:
    for table in TABLES:
        is_error = table == "error_log"
        more = ", kind, boundary, fingerprint" if is_error else ""
        values = ", 'RefusedError', 'run', 'f' || n % 50" if is_error else ""
        statement = FILL.format(table=table, more=more, values=values)
        given = {"workspace": actor.workspace_id, "rows": rows // len(TABLES)}
        with bridge.owner_session() as session:
            session.execute(text(statement), given)
    # as the server does by itself after so many inserts
    with bridge.owner_engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _lines(bridge: Orgbridge, actor: Actor) -> Iterator[str]:
    month = LogFilter(since=bridge.clock() - dt.timedelta(days=30))
    word = LogFilter(text="99999", since=month.since)
    asked: dict[str, Callable[[], Any]] = {
        "page of 30 days": lambda: logs.logs(bridge, actor, month),
        "page of everything": lambda: logs.logs(bridge, actor, LogFilter()),
        "page 40 of 30 days": lambda: logs.logs(bridge, actor, month, page=40),
        "page of a rare word, newest entries": lambda: logs.logs(
            bridge, actor, logs.searched(bridge, actor, word)
        ),
        "page of a rare word, all entries": lambda: logs.logs(bridge, actor, word),
        "script of a rare word, newest entries": lambda: _script(
            bridge, actor, logs.searched(bridge, actor, word)
        ),
        "charts of 30 days": lambda: logs.per_day(bridge, actor, month),
        "errors per day": lambda: logs.error_days(bridge, actor),
        "errors of 30 days": lambda: logs.error_groups(bridge, actor),
        "script of 30 days": lambda: _script(bridge, actor, month),
    }
    for what, act in asked.items():
        act()
        taken = []
        for _ in range(TIMES):
            begun = time.perf_counter()
            act()
            taken.append(1000 * (time.perf_counter() - begun))
        yield f"| {what} | {statistics.median(taken):.0f} | {max(taken):.0f} |"
    begun = time.perf_counter()
    size = sum(len(piece) for piece in logs.logs_csv(bridge, actor, LogFilter()))
    taken_ms = 1000 * (time.perf_counter() - begun)
    yield f"| all of it as CSV, {size / 1e6:.0f} MB | {taken_ms:.0f} | |"


def _script(bridge: Orgbridge, actor: Actor, chosen: LogFilter) -> None:
    """What one run of the page asks for."""
    if logs.logs(bridge, actor, chosen).per_day is None:
        logs.per_day(bridge, actor, chosen)
    logs.per_object(bridge, actor, chosen)


if __name__ == "__main__":
    main()
