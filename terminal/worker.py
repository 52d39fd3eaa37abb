"""``worker``: carries jobs of the app, of terminals and of schedules, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from core import log
from core.bootstrap import Orgbridge
from core.config import load_settings
from core.jobs import worker as workers
from core.jobs.tasks import Ports

if TYPE_CHECKING:
    from core.operations.protocol import PlannedRun

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    *,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Jobs carried at once.")] = (
        workers.CONCURRENCY
    ),
) -> None:
    """Carry jobs until told to end (Ctrl-C, SIGTERM)."""
    settings = load_settings()
    log.configure(settings, process="worker")
    workers.run(settings, ports(), ends_with_stdin=child, concurrency=jobs)


def ports() -> Ports:
    """What carries runs and launches schedules."""
    return Ports(carry=_carry, launch=_launch, start=_start)


def _carry(
    bridge: Orgbridge, workspace_id: UUID, run_id: UUID, /, *, stop: Callable[[], bool]
) -> object:
    from core.operations import migrate_data  # the engine, imported with the first run

    return migrate_data.carry(bridge, workspace_id, run_id, stop=stop)


def _launch(
    bridge: Orgbridge, workspace_id: UUID, schedule_id: UUID, /, *, due_at: datetime
) -> object:
    from core.services import schedules

    return schedules.launch_due(bridge, workspace_id, schedule_id, due_at=due_at)


def _start(
    bridge: Orgbridge, workspace_id: UUID, log_id: UUID, /, *, by: str, run: PlannedRun
) -> tuple[UUID, str]:
    from core.services import planned_runs

    return planned_runs.start(bridge, workspace_id, log_id, by=by, run=run)
