"""How a worker leaves a run: its figures so far, its state, its log row, the notices people asked
for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from core.db import runs
from core.db.run_state import RunStore
from core.domain.states import RunState
from core.migration.summary import objects_of
from core.notices import rules as notices
from core.notices.events import Notice, NoticeEvent
from core.salesforce.source import RowSource

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

#: what people are told when a run ends like that
NOTICES = {
    RunState.SUCCEEDED: NoticeEvent.RUN_FINISHED,
    RunState.PARTIAL: NoticeEvent.RUN_PARTIAL,
    RunState.FAILED: NoticeEvent.RUN_FAILED,
    RunState.WAITING_DECISION: NoticeEvent.DECISION_WAITING,
}


class Stay:
    """One worker's stay with a run: what it costs is counted from here to `leave`."""

    def __init__(
        self, bridge: Orgbridge, row: runs.RunRow, store: RunStore, *, orgs: dict[str, RowSource]
    ) -> None:
        self._bridge = bridge
        self._row = row
        self._store = store
        self._orgs = orgs
        self._begun = time.monotonic()
        self._calls = {role: org.usage.calls_made for role, org in orgs.items()}

    def calls(self) -> dict[str, int]:
        """Calls of the run so far, of earlier stays too, by role of the org."""
        made = self._row.summary.get("api_calls", {})
        return dict(made) | {
            role: int(made.get(role, 0)) + org.usage.calls_made - self._calls[role]
            for role, org in self._orgs.items()
        }

    def leave(self, status: RunState, *, reason: str | None = None, over: bool = False) -> None:
        """Stores the figures, gives up lease and lock, tells log and people."""
        before = self._row.summary
        seconds = float(before.get("seconds", 0)) + time.monotonic() - self._begun
        calls = self.calls()
        with self._store.commit(of_run=True) as commit:
            objects = objects_of(self._store.steps())
            commit.summary({"objects": objects, "seconds": round(seconds, 3), "api_calls": calls})
            asked = f": {reason}" if reason and status is RunState.WAITING_DECISION else ""
            commit.event(f"run is {status.value.lower()}{asked}")
        self._store.release(status, wait_reason=reason, over=over)
        with self._bridge.session(self._row.workspace_id) as session:
            row = runs.run_by_id(session, self._row.id)
            runs.write_log(session, row, error=reason)
            event = NOTICES.get(row.status)
            if event is not None:
                notices.tell(session, _notice(row, event, reason))


def _notice(row: runs.RunRow, event: NoticeEvent, reason: str | None) -> Notice:
    lines = row.summary.get("objects", {}).values()
    read = sum(line.get("read", 0) for line in lines)
    names = ("blocked", "failed", "not_processed")
    failed = sum(line.get(name, 0) for line in lines for name in names)
    return Notice(
        event=event,
        subject=f"{row.name}:{row.status.value}",
        title=f"{row.plan_name or row.name}: {row.status.value.lower()}",
        body=reason or f"{read:,} rows read, {failed:,} did not arrive. Run {row.name}.",
        run_id=row.id,
        plan_id=row.plan_id,
        org_ids=tuple(one for one in (row.source_org_id, row.target_org_id) if one),
        figures={"failed_rows": failed, "failed_percent": 100 * failed / read if read else 0.0},
    )
