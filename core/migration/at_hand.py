"""Whether the pages of a run that others began lie in this process's own spool.

Without this a worker with another spool would find folders empty that were filled elsewhere: no
second pass, no before-images, and nobody told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from core.db import runs
from core.domain.states import FINISHED_RUNS, RunState
from core.errors import ConflictError

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

OTHER_SPOOL = "OTHER_SPOOL"


def check_pages_at_hand(bridge: Orgbridge, workspace_id: UUID, run_id: UUID) -> None:
    """Lets through a run that has no pages yet, or whose pages (and undone run's pages) are here.

    Raises:
        ConflictError: they are in another spool; nothing was sent, a worker that has it goes on.
        ConfigError: the spool cannot be looked at. TransientError: it does not answer.
        NotFoundError: the pages were deleted with their key.
    """
    with bridge.session(workspace_id) as session:
        row = runs.run_by_id(session, run_id)
        if row.status in FINISHED_RUNS - {RunState.FAILED}:
            return
        undone = row.parent_run_id if row.mode == "undo" else None
        begun = [one for one in (row.id, undone) if one and runs.pages_read(session, one)]
        keys = {one: runs.wrapped_key(session, one) for one in begun}
    if all(not bridge.spool.run(one, key).is_empty() for one, key in keys.items()):
        return
    away = ConflictError(
        f"The pages of {row.name} are not in this worker's spool.",
        state="Nothing was sent.",
        next_step="Give every worker the same ORGBRIDGE_SPOOL_URL; one that has the pages goes on.",
        code=OTHER_SPOOL,
    )
    with bridge.session(workspace_id) as session:
        runs.say_waits(session, run_id, str(away))
    raise away
