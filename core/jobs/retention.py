"""The daily sweep: every workspace by its own settings, with one audit row for what went.

The days that are over are counted for the charts of the logs afterwards.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from core.access import audit
from core.db import log_days, retention, workspaces
from core.db.retention import Swept
from core.domain.roles import Actor, Role
from core.domain.workspace_settings import WorkspaceSettings, read_settings

if TYPE_CHECKING:
    from uuid import UUID

    from core.bootstrap import Orgbridge

log = logging.getLogger(__name__)


def keep_house(bridge: Orgbridge) -> dict[str, int]:
    """Delete what its time has passed; rows deleted by table. May be repeated and interrupted."""
    with bridge.owner_session() as session:
        found = [(each[0], read_settings(each[2])) for each in workspaces.workspaces(session)]
    total: dict[str, int] = {}
    for workspace_id, settings in found:
        swept = retention.sweep(bridge.owner_session, workspace_id, settings, now=bridge.clock())
        for run_id in swept.runs_without_pages:
            bridge.spool.delete_run(run_id)
        _record(bridge, workspace_id, swept)
        with bridge.owner_session() as session:
            log_days.recount(session, workspace_id, now=bridge.clock())
        _add(total, swept.rows)
    days = max((s.session_days for _, s in found), default=WorkspaceSettings().session_days)
    _add(total, retention.sweep_shared(bridge.owner_session, days=days, now=bridge.clock()))
    log.info("house kept", extra={"rows": sum(total.values())})
    return total


def count_days(bridge: Orgbridge) -> int:
    """Count the days of workspaces of which none was counted yet; how many there were.

    Asked once at each start: after an upgrade it spares the first chart the whole log. Cost: 1.2 s
    for a million entries, a query a workspace from then on.
    """
    with bridge.owner_session() as session:
        found = [each[0] for each in workspaces.workspaces(session)]
    number = 0
    for workspace_id in found:
        with bridge.owner_session() as session:
            number += log_days.count_first(session, workspace_id, now=bridge.clock())
    return number


def _record(bridge: Orgbridge, workspace_id: UUID, swept: Swept) -> None:
    if not swept.rows:
        return
    actor = Actor(workspace_id, None, "schedule:retention", Role.ADMIN, "schedule")
    with bridge.session(workspace_id) as session:
        audit.record(
            session,
            actor,
            "retention.swept",
            subject_kind="workspace",
            subject_id=workspace_id,
            before={"rows": swept.rows},
        )


def _add(total: dict[str, int], rows: dict[str, int]) -> None:
    for name, count in rows.items():
        total[name] = total.get(name, 0) + count
