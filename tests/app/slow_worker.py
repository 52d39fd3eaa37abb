"""A worker process whose runs are small steps written to a table: python FILE URL HOME.

``--knows REVISION`` makes it a worker of the version that has that revision; with ``--stays-at N``
the work of step N lasts until it is told to stop, so that a test is never too late for the middle.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from core import log
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import schema
from core.domain.states import RunState
from core.errors import OrgbridgeError
from core.jobs import worker
from core.jobs.tasks import Ports
from core.secret import Secret

STEPS = 30
STEP_S = 0.1
STAYS_AT = int(sys.argv[sys.argv.index("--stays-at") + 1]) if "--stays-at" in sys.argv else None
KEY = "dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktMTIzNDU="


def carry(
    bridge: Orgbridge, workspace_id: UUID, run_id: UUID, *, stop: Callable[[], bool]
) -> RunState:
    """Do the steps that are not done; each is one transaction, as a chunk's checkpoint is."""
    values = {"run_id": str(run_id), "pid": os.getpid()}
    with bridge.owner_session() as session:
        session.execute(text("INSERT INTO carried VALUES (:run_id, :pid, now())"), values)
    for step in range(STEPS):
        if stop():
            return RunState.RUNNING
        with bridge.owner_session() as session:
            statement = text(
                "INSERT INTO step VALUES (:run_id, :step, :pid, now()) ON CONFLICT DO NOTHING"
            )
            done = session.execute(statement, {**values, "step": step})
        if done.rowcount:
            time.sleep(STEP_S)  # the work itself
        while step == STAYS_AT and not stop():
            time.sleep(STEP_S)
    with bridge.owner_session() as session:
        session.execute(text("INSERT INTO ended VALUES (:run_id, :pid, now())"), values)
    return RunState.SUCCEEDED


def started(*_: object, **__: object) -> tuple[UUID, str]:
    """No operation here asks for a run."""
    raise AssertionError


if __name__ == "__main__":
    if "--knows" in sys.argv:
        schema.HEAD_REVISION = sys.argv[sys.argv.index("--knows") + 1]
    settings = Settings(database_url=sys.argv[1], home=Path(sys.argv[2]), key=Secret(KEY))
    log.configure(settings, process=f"worker-{os.getpid()}", to_stderr="-v" in sys.argv)
    ports = Ports(carry=carry, launch=lambda *_, **__: None, start=started)
    try:
        worker.run(settings, ports, ends_with_stdin="--child" in sys.argv)
    except OrgbridgeError as error:
        sys.exit(str(error))
