"""What pages read of runs: lists with totals, steps, throughput, failures by group.

Every function takes the caller's session and reads only; figures come from the same step totals as
the terminal's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from core.db.runs import RunRow
from core.domain.names import object_name
from core.domain.states import RunState

#: throughput is told in this many steps at most
TICKS = 60

#: rows of a step that lie on the spool; `read_rows` counts those whose turn came
_EXTRACTED = """
    (SELECT coalesce(sum(size::bigint), 0)::bigint FROM jsonb_array_elements_text(
        CASE jsonb_typeof(cursor -> 'sizes') WHEN 'array' THEN cursor -> 'sizes' ELSE '[]' END
     ) size)
"""
#: of a run that came to its end every row had its turn: the pages of the others are added up
_TOTALS = f"""
    SELECT coalesce(sum(CASE WHEN m.status IN ('Succeeded', 'Partial', 'Undone') THEN read_rows
                             ELSE greatest(read_rows, {_EXTRACTED}) END) FILTER (WHERE main), 0)
               AS planned,
           coalesce(sum(inserted + updated) FILTER (WHERE main), 0) AS written,
           coalesce(sum(inserted + updated + unchanged + skipped + blocked + failed
                        + not_processed) FILTER (WHERE main), 0) AS done,
           coalesce(sum(blocked + failed + not_processed) FILTER (WHERE main), 0) AS failed,
           coalesce(sum(lookups_left_blank), 0) AS lookups_left_blank,
           coalesce(sum(failed + not_processed) FILTER (WHERE phase = 'finally'), 0)
               AS last_fields_left
    FROM run_step, LATERAL (SELECT phase IN ('load', 'undo') AS main) its WHERE run_id = m.id
"""  # noqa: S608 - our own text
_FILTER = """
    WHERE (CAST(:plan AS uuid) IS NULL OR m.plan_id = CAST(:plan AS uuid))
      AND (:needle = '' OR concat_ws(' ', m.data_schedule_id, p.name, m.requested_by,
                                       coalesce(t.name, v.document ->> 'target'))
           ILIKE '%' || :needle || '%')
"""
_FROM = """
    FROM data_migration m
    LEFT JOIN migration_plan p ON p.id = m.plan_id
    LEFT JOIN plan_version v ON v.id = m.data_batch_id
    LEFT JOIN registered_org t ON t.id = m.target_org_id
"""


@dataclass(frozen=True, slots=True)
class RunTotals:
    """Rows of a run over all its objects, second passes not counted twice."""

    planned: int
    written: int
    done: int
    #: refused by the org, held back by us, or never looked at
    failed: int
    #: lookups without their record, in any pass, on rows that arrived: none of them is in `failed`
    lookups_left_blank: int = 0
    #: rows that arrived and whose fields of the last pass were not filled in
    last_fields_left: int = 0


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a list."""

    name: str
    status: RunState
    mode: str
    plan_id: UUID | None
    plan_name: str | None
    target_name: str | None
    requested_by: str
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    wait_reason: str | None
    pinned: bool
    totals: RunTotals


@dataclass(frozen=True, slots=True)
class StepLine:
    """One object in one phase of a run."""

    mapping_name: str
    source_object: str
    target_object: str
    operation: str
    phase: str
    wave: int
    status: str
    read_rows: int
    inserted: int
    updated: int
    unchanged: int
    skipped: int
    blocked: int
    failed: int
    not_processed: int
    lookups_left_blank: int
    twins: int
    second_pass: int
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    #: rows that were read from the source; `read_rows` of them had their turn
    extracted: int = 0

    @property
    def planned(self) -> int:
        """Rows that the step is about, as far as known."""
        return max(self.read_rows, self.extracted)

    @property
    def written(self) -> int:
        """Rows that the org took."""
        return self.inserted + self.updated + self.second_pass

    @property
    def not_ok(self) -> int:
        """Rows that did not arrive as asked."""
        return self.blocked + self.failed + self.not_processed

    @property
    def done(self) -> int:
        """Rows whose outcome is known."""
        return self.inserted + self.updated + self.unchanged + self.skipped + self.not_ok


@dataclass(frozen=True, slots=True)
class CarriedMapping:
    """One object of a run's plan with everything said: `core.migration.spec.Step.document`."""

    name: str
    source_object: str
    target_object: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tick:
    """Rows settled in one stretch of time, per second."""

    at: dt.datetime
    rows: float
    failed: float


@dataclass(frozen=True, slots=True)
class GroupLine:
    """Failures of one object with the same code and, names and ids apart, the same message."""

    fingerprint: str
    mapping_name: str
    target_object: str
    kind: str
    code: str
    message: str
    fields: tuple[str, ...]
    #: the pass in which they failed: after the load the row itself had arrived
    phase: str
    rows: int
    #: of them, rows that arrived in a later retry
    resolved: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """What the org has been given and has not answered for."""

    chunks: int
    rows: int


@dataclass(frozen=True, slots=True)
class Relative:
    """A run that another one undoes, retries or continues."""

    name: str
    mode: str
    status: str
    #: it came first
    is_parent: bool
    #: an undo that only says what it would take back
    is_preview: bool


@dataclass(frozen=True, slots=True)
class FormerRun:
    """The ended run that a later one of the same plan and mode is compared with."""

    name: str
    done: int
    #: while it was carried
    seconds: float


@dataclass(frozen=True, slots=True)
class DayCount:
    """Runs that began on one day (UTC), by what became of them."""

    day: dt.date
    status: str
    runs: int


@dataclass(frozen=True, slots=True)
class FailureLine:
    """One row that did not arrive as asked."""

    source_id: str | None
    target_id: str | None
    kind: str
    code: str
    message: str
    fields: tuple[str, ...]
    sent: Mapping[str, Any]
    #: the retry in which it arrived
    resolved_by: str | None


@dataclass(frozen=True, slots=True)
class LookupLine:
    """Rows whose lookup named a record that is not in the target, by what became of them."""

    mapping_name: str
    field: str
    left_blank: int
    held_back: int


@dataclass(frozen=True, slots=True)
class UnfilledLine:
    """Rows that arrived without one of their lookups, or without their last fields, and why."""

    mapping_name: str
    target_object: str
    #: the pass that should have filled it in
    phase: str
    #: the lookup; "" where the reason is not about one field
    field: str
    code: str
    message: str
    rows: int

    @property
    def where(self) -> str:
        """The object as people know it, and its field."""
        told = object_name(self.mapping_name, self.target_object)
        return f"{told}.{self.field}" if self.field else told


@dataclass(frozen=True, slots=True)
class Week:
    """Runs that began within a span of time."""

    runs: int
    rows: int
    failed: int


def lines(
    session: Session,
    *,
    statuses: Sequence[str] = (),
    plan_id: UUID | None = None,
    needle: str = "",
    offset: int = 0,
    limit: int = 200,
) -> list[RunLine]:
    """Runs that a filter matches, the newest first."""
    found = session.execute(
        text(
            "SELECT m.data_schedule_id AS name, m.status, m.mode, m.plan_id, p.name AS plan_name,"
            " coalesce(t.name, v.document ->> 'target') AS target_name, m.requested_by,"
            " m.created_at, m.started_at, m.finished_at,"
            f" m.wait_reason, m.pinned, s.* {_FROM} LEFT JOIN LATERAL ({_TOTALS}) s ON true"
            f" {_FILTER} AND (:any_status OR m.status = ANY(:statuses))"
            " ORDER BY m.created_at DESC, m.id DESC LIMIT :limit OFFSET :offset"
        ),
        {
            "plan": plan_id,
            "needle": needle,
            "any_status": not statuses,
            "statuses": list(statuses),
            "limit": limit,
            "offset": offset,
        },
    ).mappings()
    return [_line(row) for row in found]


def counts_by_status(
    session: Session, *, plan_id: UUID | None = None, needle: str = ""
) -> dict[str, int]:
    """How many runs the rest of a filter matches, by status; a status without any is left out."""
    found = session.execute(
        text(f"SELECT m.status, count(*) {_FROM} {_FILTER} GROUP BY m.status"),
        {"plan": plan_id, "needle": needle},
    )
    return {str(status): int(number) for status, number in found}


def totals(session: Session, run_id: UUID) -> RunTotals:
    """Rows of one run."""
    row = session.execute(
        text(f"SELECT s.* FROM data_migration m, LATERAL ({_TOTALS}) s WHERE m.id = :id"),  # noqa: S608 - our own text
        {"id": run_id},
    ).one()
    return RunTotals(*(int(number) for number in row))


def steps(session: Session, run_id: UUID) -> list[StepLine]:
    """Steps in loading order."""
    stored = [name for name in StepLine.__dataclass_fields__ if name != "extracted"]
    columns = ", ".join([*stored, f"{_EXTRACTED} AS extracted"])
    found = session.execute(
        text(
            f"SELECT {columns} FROM run_step WHERE run_id = :id"  # noqa: S608 names of a dataclass
            " ORDER BY wave, position, phase"
        ),
        {"id": run_id},
    )
    return [StepLine(*row) for row in found]


def mappings(session: Session, run_id: UUID) -> list[CarriedMapping]:
    """What a run carries out, in the order of loading; empty before its first worker."""
    found = session.execute(
        text(
            "SELECT mapping_name, source_object, target_object, field_mappings FROM object_mapping"
            " WHERE data_migration_id = :id"
            " ORDER BY (field_mappings ->> 'wave')::int NULLS LAST, mapping_name"
        ),
        {"id": run_id},
    )
    return [CarriedMapping(*row) for row in found]


def ticks(session: Session, run_id: UUID) -> list[Tick]:
    """Rows per second over the run's settled chunks, in at most TICKS equal stretches."""
    found = session.execute(
        text(
            "WITH done AS (SELECT updated_at AS at, rows,"
            " coalesce((outcome ->> 'failed')::int, 0) AS failed"
            " FROM run_chunk WHERE run_id = :id AND state = 'done'),"
            " span AS (SELECT min(at) AS a,"
            " greatest(1, extract(epoch FROM max(at) - min(at)) / :ticks) AS s FROM done)"
            " SELECT a + floor(extract(epoch FROM at - a) / s) * s * interval '1 second' AS at,"
            " sum(rows) / max(s) AS rows, sum(failed) / max(s) AS failed"
            " FROM done, span GROUP BY 1 ORDER BY 1"
        ),
        {"id": run_id, "ticks": TICKS},
    )
    return [Tick(at, float(rows), float(failed)) for at, rows, failed in found]


def groups(session: Session, run_id: UUID) -> list[GroupLine]:
    """Failures grouped, the largest group first."""
    found = session.execute(
        text(
            "WITH grouped AS (SELECT fingerprint, step_id, count(*) AS rows,"
            " count(resolved_by_run) AS resolved, min(id::text)::uuid AS one"
            " FROM row_failure WHERE run_id = :id GROUP BY fingerprint, step_id)"
            " SELECT g.fingerprint, s.mapping_name, s.target_object, f.kind, f.code, f.message,"
            " f.fields, s.phase, g.rows, g.resolved"
            " FROM grouped g JOIN row_failure f ON f.id = g.one"
            " JOIN run_step s ON s.id = g.step_id ORDER BY g.rows DESC, s.mapping_name, f.code"
        ),
        {"id": run_id},
    ).mappings()
    return [GroupLine(**{**row, "fields": tuple(row["fields"] or ())}) for row in found]


def failures(
    session: Session, run_id: UUID, *, fingerprint: str, mapping: str, limit: int = 200
) -> list[FailureLine]:
    """Rows of one group, in the order in which they failed."""
    found = session.execute(
        text(
            "SELECT f.source_id, f.target_id, f.kind, f.code, f.message, f.fields, f.sent,"
            " r.data_schedule_id AS resolved_by FROM row_failure f"
            " JOIN run_step s ON s.id = f.step_id"
            " LEFT JOIN data_migration r ON r.id = f.resolved_by_run"
            " WHERE f.run_id = :id AND f.fingerprint = :fingerprint AND s.mapping_name = :mapping"
            " ORDER BY f.id LIMIT :limit"
        ),
        {"id": run_id, "fingerprint": fingerprint, "mapping": mapping, "limit": limit},
    ).mappings()
    return [
        FailureLine(**{**row, "fields": tuple(row["fields"] or ()), "sent": row["sent"] or {}})
        for row in found
    ]


def unresolved_lookups(session: Session, run_id: UUID) -> list[LookupLine]:
    """Rows whose lookups were not resolved, by mapping and field."""
    found = session.execute(
        text(
            "SELECT s.mapping_name, f.fields[1] AS field,"
            " count(*) FILTER (WHERE f.kind = 'left_blank') AS left_blank,"
            " count(*) FILTER (WHERE f.kind = 'blocked') AS held_back"
            " FROM row_failure f JOIN run_step s ON s.id = f.step_id WHERE f.run_id = :id"
            " AND f.code LIKE 'LOOKUP%' AND f.fields[1] IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"id": run_id},
    ).mappings()
    return [LookupLine(**row) for row in found]


def unfilled(session: Session, run_id: UUID) -> list[UnfilledLine]:
    """What stayed without a value on rows that arrived, by object, field and reason, the most
    rows first."""
    found = session.execute(
        text(
            "SELECT s.mapping_name, s.target_object, s.phase, coalesce(f.fields[1], '') AS field,"
            " f.code, min(f.message) AS message, count(*) AS rows"
            " FROM row_failure f JOIN run_step s ON s.id = f.step_id WHERE f.run_id = :id"
            " AND (f.kind = 'left_blank' OR s.phase IN ('second_pass', 'finally'))"
            " GROUP BY s.mapping_name, s.target_object, s.phase, 4, f.code, f.fingerprint"
            " ORDER BY rows DESC, s.mapping_name, 4, f.code"
        ),
        {"id": run_id},
    ).mappings()
    return [UnfilledLine(**row) for row in found]


def holder(session: Session, organization_id: str) -> str | None:
    """Name of the run of this workspace that writes to the org now; None when nobody does."""
    found = session.scalar(
        text("SELECT data_schedule_id FROM data_migration WHERE lock_organization_id = :org"),
        {"org": organization_id},
    )
    return None if found is None else str(found)


def in_flight(session: Session, run_id: UUID) -> InFlight:
    """Chunks that were handed to the org and are not settled."""
    row = session.execute(
        text(
            "SELECT count(*), coalesce(sum(rows), 0) FROM run_chunk WHERE run_id = :id"
            " AND state IN ('uploaded', 'closed', 'results_read', 'lost')"
        ),
        {"id": run_id},
    ).one()
    return InFlight(int(row[0]), int(row[1]))


def relatives(session: Session, run_id: UUID) -> list[Relative]:
    """The run that this one undoes or retries, then those that undo or retry this one."""
    found = session.execute(
        text(
            "SELECT data_schedule_id, mode, status, parent_run_id IS DISTINCT FROM :id,"
            " coalesce((options ->> 'preview')::boolean, false) FROM data_migration"
            " WHERE parent_run_id = :id"
            " OR id = (SELECT parent_run_id FROM data_migration WHERE id = :id)"
            " ORDER BY created_at LIMIT 20"
        ),
        {"id": run_id},
    )
    return [Relative(*row) for row in found]


def former(session: Session, row: RunRow) -> FormerRun | None:
    """The newest run of the same plan and mode that had ended when this one was made."""
    if row.plan_id is None:
        return None
    found = session.execute(
        text(
            "SELECT m.data_schedule_id, s.done, greatest(0.001,"  # noqa: S608 - our own text
            " extract(epoch FROM m.finished_at - m.started_at)"
            " - coalesce((m.summary ->> 'waited_s')::numeric, 0))"
            f" FROM data_migration m LEFT JOIN LATERAL ({_TOTALS}) s ON true"
            " WHERE m.plan_id = :plan AND m.mode = :mode AND m.id <> :id"
            " AND m.finished_at <= :before AND m.started_at IS NOT NULL"
            " AND m.status IN ('Succeeded', 'Partial', 'Undone')"
            " ORDER BY m.finished_at DESC LIMIT 1"
        ),
        {"id": row.id, "plan": row.plan_id, "mode": row.mode, "before": row.created_at},
    ).first()
    return None if found is None else FormerRun(found[0], int(found[1]), float(found[2]))


def days(
    session: Session, *, since: dt.datetime, plan_id: UUID | None = None, needle: str = ""
) -> list[DayCount]:
    """Runs per day and status, the oldest day first."""
    found = session.execute(
        text(
            f"SELECT (m.created_at AT TIME ZONE 'UTC')::date AS day, m.status, count(*) {_FROM}"
            f" {_FILTER} AND m.created_at >= :since GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"plan": plan_id, "needle": needle, "since": since},
    )
    return [DayCount(*row) for row in found]


def week(session: Session, *, since: dt.datetime) -> Week:
    """Runs and rows since a moment; dry runs and undos do not count."""
    row = session.execute(
        text(
            "SELECT count(*), coalesce(sum(s.written), 0), coalesce(sum(s.failed), 0)"  # noqa: S608 - our own text
            f" FROM data_migration m LEFT JOIN LATERAL ({_TOTALS}) s ON true"
            " WHERE m.created_at >= :since AND m.mode NOT IN ('dry-run', 'undo')"
        ),
        {"since": since},
    ).one()
    return Week(*(int(number) for number in row))


def _line(row: RowMapping) -> RunLine:
    sums = {name: int(row[name]) for name in RunTotals.__dataclass_fields__}
    values = {name: row[name] for name in RunLine.__dataclass_fields__ if name != "totals"}
    return RunLine(**{**values, "status": RunState(row["status"]), "totals": RunTotals(**sums)})
