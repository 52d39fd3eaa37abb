"""Carrying and reading runs for the front doors."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import polars as pl

from core.access import roles
from core.db import run_reads, runs
from core.db.run_lease import LEASE_HELD, TARGET_LOCKED
from core.domain.csv import people_csv
from core.domain.roles import Actor, Role
from core.domain.states import RunState
from core.errors import ConflictError
from core.migration import run as engine
from core.migration.at_hand import check_pages_at_hand
from core.migration.summary import run_document

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge


#: between two looks at a run that another worker carries
LOOK_S = 1.0
#: code of the refusal to carry a run whose target another run holds; the run is kept
OTHER_RUN_WRITES = TARGET_LOCKED


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of a run's story."""

    id: UUID
    at: dt.datetime
    level: str
    step: str | None
    message: str


def carry_here(
    bridge: Orgbridge,
    actor: Actor,
    name: str,
    *,
    stop: Callable[[], str | None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> RunState:
    """Carries a run in this process, from wherever it stands; waits while another worker does.

    Raises:
        ConflictError: another run writes to the same org (the run is kept, and may be resumed), or
            the pages are in another spool.
    """
    roles.require(actor, Role.ANALYST, to="carry runs")
    while True:
        with bridge.session(actor.workspace_id) as session:
            row = runs.run_named(session, name)
        if row.status in (RunState.WAITING_APPROVAL, RunState.WAITING_DECISION):
            return row.status
        check_pages_at_hand(bridge, actor.workspace_id, row.id)
        try:
            return engine.carry(bridge, actor.workspace_id, row.id, stop=stop)
        except ConflictError as held:
            if held.fact("code") != LEASE_HELD:
                raise
        if stop() is not None:
            return row.status
        sleep(LOOK_S)


def document(bridge: Orgbridge, actor: Actor, name: str) -> dict[str, Any]:
    """What `run --json` and `runs show --json` print."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        row = runs.run_named(session, name)
        document = run_document(row, runs.steps(session, row.id))
        why = run_reads.unfilled(session, row.id)
    return {**document, "unfilled": [asdict(line) | {"where": line.where} for line in why]}


def listed(bridge: Orgbridge, actor: Actor, *, limit: int = 100) -> list[runs.RunRow]:
    """Runs, the newest first."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return runs.runs(session, limit=limit)


def events(
    bridge: Orgbridge,
    actor: Actor,
    name: str,
    *,
    after: UUID | None = None,
    limit: int = 200,
    newest: bool = False,
) -> tuple[EventRow, ...]:
    """The run's story after one of its lines, in order; of a long one the first lines, or the
    newest."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        row = runs.run_named(session, name)
        found = runs.events(session, row.id, after=after, limit=limit, newest=newest)
    return tuple(EventRow(**entry) for entry in found)


def failures_csv(bridge: Orgbridge, actor: Actor, name: str) -> Iterable[bytes]:
    """Every row failure of a run as CSV, with the values that were sent."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        row = runs.run_named(session, name)
        found = runs.failures(session, row.id)
    rows = [_failure_cells(entry) for entry in found]
    schema = dict.fromkeys(_FAILURE_COLUMNS, pl.String)
    yield people_csv(pl.DataFrame(rows, schema=schema, orient="row"))


_FAILURE_COLUMNS = ("Object", "Kind", "Source id", "Target id", "Code", "Message", "Fields", "Sent")


def _failure_cells(entry: Mapping[str, Any]) -> list[str | None]:
    sent = entry["sent"] or {}
    return [
        entry["mapping_name"],
        entry["kind"],
        entry["source_id"],
        entry["target_id"],
        entry["code"],
        entry["message"],
        ", ".join(entry["fields"] or ()),
        "; ".join(f"{key}={value}" for key, value in sent.items()),
    ]
