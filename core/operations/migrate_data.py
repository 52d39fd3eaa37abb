"""Moving the rows of a plan: the first operation, carried by the engine.

Its launch makes a run (`core.services.launching`), because a run outlives its worker; this is the
way from a job to the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from core.domain.states import RunState
from core.migration import run as engine
from core.migration.at_hand import check_pages_at_hand

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge


def carry(
    bridge: Orgbridge,
    workspace_id: UUID,
    run_id: UUID,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> RunState:
    """Carries a run to its end, or to a checkpoint when this worker is to stop.

    Returns:
        the state afterwards; ``RUNNING`` means that another worker goes on.
    Raises:
        ConflictError: another worker holds the lease, another run writes to the target, or the
            run's pages are in another spool.
    """
    check_pages_at_hand(bridge, workspace_id, run_id)
    return engine.carry(bridge, workspace_id, run_id, stop=lambda: "yield" if stop() else None)
