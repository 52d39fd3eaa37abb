"""A worker process that a case may kill or stop: carries one run and ends."""

from __future__ import annotations

import contextlib
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

from benchmarks.campaign.stage import quick_sleep
from core import bootstrap
from core.config import Settings
from core.errors import OrgbridgeError
from core.migration import run as engine
from core.secret import Secret
from tests.forks import CONTEXT, PRELOADED

CONTEXT.set_forkserver_preload([*PRELOADED, "benchmarks.campaign.stage"])


def start_worker(settings: Settings, workspace_id: UUID, run_id: UUID) -> BaseProcess:
    """Begins to carry a run in a process of its own."""
    key = settings.key.reveal() if settings.key else ""
    plain = (settings.database_url or "", settings.home, key)
    worker = CONTEXT.Process(target=_carry, args=(plain, workspace_id, run_id), daemon=True)
    worker.start()
    return worker


def _carry(plain: tuple[str, Path, str], workspace_id: UUID, run_id: UUID) -> None:
    url, home, key = plain
    settings = Settings(database_url=url, home=home, key=Secret(key))
    with (
        bootstrap.build(settings, sleep=quick_sleep) as bridge,
        contextlib.suppress(OrgbridgeError),
    ):
        engine.carry(bridge, workspace_id, run_id, sleep=quick_sleep)
