"""How a worker leaves a run: its figures so far, its state, its log row, the notices people asked
for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from core.db import happenings, runs
from core.db.run_state import RunStore
from core.domain.states import RunState
from core.migration.summary import objects_of
from core.notices import rules, watching
from core.salesforce.source import RowSource

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge


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
            happened = happenings.run_now(session, self._row.id)
            if happened is not None:
                rules.tell(session, watching.run_notice(happened))
