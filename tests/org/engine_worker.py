"""A worker process that tests can kill: carries one run and ends."""

from __future__ import annotations

import contextlib
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

from core import bootstrap
from core.config import Settings
from core.errors import OrgbridgeError
from core.migration import run as engine
from core.secret import Secret
from tests.forks import CONTEXT


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
    with bootstrap.build(settings) as bridge, contextlib.suppress(OrgbridgeError):
        engine.carry(bridge, workspace_id, run_id)
