"""The logs as a CSV file: every entry that a filter matches, kept to be fetched."""

from __future__ import annotations

import codecs
import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import AwareDatetime, Field

from core.db import logs
from core.db.logs import LogFilter, LogRow
from core.domain.csv import people_lines
from core.operations.protocol import Operation, OperationContext, Parameters, Report

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CSV_COLUMNS = (
    "kind",
    "status",
    "created_at_utc",
    "finished_at_utc",
    "who",
    "message",
    "run",
    "source_org",
    "target_org",
    "id",
)
CSV_ROWS = 1_000


class LogParameters(Parameters):
    """Which entries; nothing said means all of them."""

    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    who: str = ""
    #: name of a registered org, on either side
    org: str = ""
    #: name of a run
    run: str = ""
    #: what the message contains
    text: str = ""
    #: of the last days, for what is launched again and again; 0: whenever
    days: int = Field(default=0, ge=0, le=36_500)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


def carry(context: OperationContext, parameters: LogParameters) -> Report:
    """Write every entry of the filter, newest first."""
    org_id = context.org(parameters.org).id if parameters.org else None
    chosen = _filter(parameters, org_id, now=context.clock())

    def written() -> Iterator[tuple[bytes, int]]:
        with context.session() as session:
            yield from pieces(session, context.workspace_id, chosen)

    kept = context.keep_file(f"logs-{context.clock():%Y%m%d-%H%M}.csv", written())
    return Report({"file": asdict(kept)}, f"{kept.rows:,} log entries were written.")


def pieces(session: Session, workspace_id: UUID, chosen: LogFilter) -> Iterator[tuple[bytes, int]]:
    """The file, header first, and how many entries each piece has; formulas defused."""
    yield codecs.BOM_UTF8 + people_lines([CSV_COLUMNS]), 0
    waiting: list[tuple[str, ...]] = []
    for row in logs.whole_log(session, workspace_id, chosen):
        waiting.append(_cells(row))
        if len(waiting) == CSV_ROWS:
            yield people_lines(waiting), len(waiting)
            waiting = []
    yield people_lines(waiting), len(waiting)


def _filter(given: LogParameters, org_id: UUID | None, *, now: dt.datetime) -> LogFilter:
    since = given.since
    if given.days:
        since = max(filter(None, (since, now - dt.timedelta(days=given.days))))
    return LogFilter(
        kinds=given.kinds,
        statuses=given.statuses,
        who=given.who,
        org_id=org_id,
        run=given.run,
        text=given.text,
        since=since,
        until=given.until,
    )


def _cells(row: LogRow) -> tuple[str, ...]:
    return (
        row.kind,
        row.status,
        row.created_at.isoformat(),
        row.finished_at.isoformat() if row.finished_at else "",
        row.who,
        row.message,
        row.run_name or row.data_schedule_id or "",
        row.source_org or "",
        row.target_org or "",
        str(row.id),
    )


OPERATION = Operation(
    kind="export_logs",
    title="Export logs",
    purpose="Write log entries to a CSV file, such as those of the last day.",
    parameters=LogParameters,
    carry=carry,
    log_table="csv_data_log",
    keeps_file=True,
)
