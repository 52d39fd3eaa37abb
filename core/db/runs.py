"""Runs as rows: making one, finding one, listing them, and what people ask of them.

Plain functions on the caller's session; a run is named by its `data_schedule_id` everywhere
outside.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from core.domain.states import CARRIED_RUNS, RunState
from core.errors import ConflictError, NotFoundError

#: letters that cannot be taken for one another when a name is read out
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run."""

    id: UUID
    workspace_id: UUID
    name: str
    status: RunState
    mode: str
    plan_id: UUID | None
    plan_name: str | None
    #: its plan is in the bin: runs keep what they did, and start nothing by it any more
    plan_deleted: bool
    plan_version: int | None
    plan_version_id: UUID | None
    source_org_id: UUID | None
    target_org_id: UUID | None
    #: of the org as it is called now; of one that was removed, as it was called at the launch
    source_name: str | None
    target_name: str | None
    #: None of an org that was removed
    source_environment: str | None
    target_environment: str | None
    target_organization_id: str | None
    requested_by: str
    requested_state: str | None
    reason: str | None
    parent_run_id: UUID | None
    created_at: dt.datetime
    scheduled_start_time: dt.datetime | None
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    watermark: dt.datetime | None
    wait_reason: str | None
    pinned: bool
    options: Mapping[str, Any]
    summary: Mapping[str, Any]
    buckets: Mapping[str, Any]

    @property
    def living_plan_id(self) -> UUID | None:
        """The plan that can be opened and launched again; None once somebody deleted it."""
        return None if self.plan_deleted else self.plan_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What a run is made of."""

    mode: str
    plan_id: UUID | None
    plan_version_id: UUID | None
    source_org_id: UUID
    target_org_id: UUID
    target_organization_id: str
    requested_by: str
    requested_by_id: UUID | None = None
    reason: str | None = None
    options: Mapping[str, Any]
    parent_run_id: UUID | None = None
    wrapped_key: str
    status: RunState = RunState.PENDING


_SELECT = """
    SELECT m.*, m.data_schedule_id AS name, p.name AS plan_name, v.number AS plan_version,
           p.deleted_at IS NOT NULL AS plan_deleted,
           m.data_batch_id AS plan_version_id,
           coalesce(s.name, v.document ->> 'source') AS source_name,
           coalesce(t.name, v.document ->> 'target') AS target_name,
           s.environment AS source_environment, t.environment AS target_environment
    FROM data_migration m
    LEFT JOIN migration_plan p ON p.id = m.plan_id
    LEFT JOIN plan_version v ON v.id = m.data_batch_id
    LEFT JOIN registered_org s ON s.id = m.source_org_id
    LEFT JOIN registered_org t ON t.id = m.target_org_id
"""


def keep_mapping(
    session: Session,
    run_id: UUID,
    name: str,
    *,
    source: str,
    target: str,
    document: Mapping[str, Any],
) -> None:
    """Keeps a mapping as the run carries it out, unless the run has it already."""
    session.execute(
        text(
            "INSERT INTO object_mapping (id, data_migration_id, mapping_name, source_object,"
            " target_object, field_mappings) VALUES (:id, :run, :name, :source, :target,"
            " CAST(:document AS jsonb)) ON CONFLICT DO NOTHING"
        ),
        {
            "id": uuid7(),
            "run": run_id,
            "name": name,
            "source": source,
            "target": target,
            "document": orjson.dumps(document).decode(),
        },
    )


def new_name(stem: str, now: dt.datetime) -> str:
    """A short readable name: ``sales-core-1121-k7q2``."""
    clean = "-".join("".join(c if c.isalnum() else " " for c in stem.lower()).split())[:40]
    tail = "".join(secrets.choice(_LETTERS) for _ in range(5))
    return f"{clean or 'run'}-{now:%m%d}-{tail}"


def add_run(session: Session, run: NewRun, *, name: str) -> UUID:
    """Makes a run and its spool key; the caller commits."""
    run_id = uuid7()
    session.execute(
        text(
            "INSERT INTO data_migration (id, data_schedule_id, status, mode, source_org_id,"
            " target_org_id, data_batch_id, plan_id, parent_run_id, requested_by, requested_by_id,"
            " reason, target_organization_id, options) VALUES (:id, :name, :status, :mode,"
            " :source, :target, :version, :plan, :parent, :by, :by_id, :reason, :organization,"
            " CAST(:options AS jsonb))"
        ),
        {
            "id": run_id,
            "name": name,
            "status": run.status.value,
            "mode": run.mode,
            "source": run.source_org_id,
            "target": run.target_org_id,
            "version": run.plan_version_id,
            "plan": run.plan_id,
            "parent": run.parent_run_id,
            "by": run.requested_by,
            "by_id": run.requested_by_id,
            "reason": run.reason,
            "organization": run.target_organization_id,
            "options": orjson.dumps(dict(run.options)).decode(),
        },
    )
    session.execute(
        text("INSERT INTO run_key (run_id, wrapped_key) VALUES (:id, :key)"),
        {"id": run_id, "key": run.wrapped_key},
    )
    return run_id


def run_named(session: Session, name: str) -> RunRow:
    """The run of that name.

    Raises:
        NotFoundError: the workspace has none.
    """
    row = (
        session.execute(text(_SELECT + " WHERE m.data_schedule_id = :name"), {"name": name})
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFoundError(f"There is no run {name!r}.", next_step="`runs list` shows them.")
    return _row(dict(row))


def run_by_id(session: Session, run_id: UUID) -> RunRow:
    """The run of that id."""
    row = session.execute(text(_SELECT + " WHERE m.id = :id"), {"id": run_id}).mappings()
    found = row.one_or_none()
    if found is None:
        raise NotFoundError("There is no such run.", next_step="`runs list` shows them.")
    return _row(dict(found))


def wrapped_key(session: Session, run_id: UUID) -> str:
    """The run's spool key as it is stored."""
    found = session.scalar(
        text("SELECT wrapped_key FROM run_key WHERE run_id = :id"), {"id": run_id}
    )
    if found is None:
        raise NotFoundError(
            "The run's stored pages were deleted with their key.",
            next_step="Start a new run of the plan.",
        )
    return str(found)


def pages_read(session: Session, run_id: UUID) -> bool:
    """Whether a worker has read rows of the run to the spool."""
    found = session.scalar(
        text(
            "SELECT EXISTS (SELECT FROM run_step WHERE run_id = :id"
            " AND coalesce(jsonb_array_length(cursor -> 'sizes'), 0) > 0)"
        ),
        {"id": run_id},
    )
    return bool(found)


def say_waits(session: Session, run_id: UUID, reason: str) -> None:
    """Notes why nobody carries a run on, unless somebody does or holds its row."""
    session.execute(
        text(
            "UPDATE data_migration SET wait_reason = :reason WHERE id IN"
            " (SELECT id FROM data_migration WHERE id = :id AND (lease_until IS NULL"
            " OR lease_until < clock_timestamp()) FOR NO KEY UPDATE SKIP LOCKED)"
        ),
        {"id": run_id, "reason": reason},
    )


def runs(session: Session, *, limit: int = 100, offset: int = 0) -> list[RunRow]:
    """Runs, the newest first."""
    found = session.execute(
        text(_SELECT + " ORDER BY m.created_at DESC, m.id DESC LIMIT :limit OFFSET :offset"),
        {"limit": limit, "offset": offset},
    ).mappings()
    return [_row(dict(row)) for row in found]


def steps(session: Session, run_id: UUID) -> list[Mapping[str, Any]]:
    """Step rows in loading order."""
    found = session.execute(
        text("SELECT * FROM run_step WHERE run_id = :id ORDER BY wave, position, phase"),
        {"id": run_id},
    ).mappings()
    return [dict(row) for row in found]


def failures(session: Session, run_id: UUID) -> Sequence[Mapping[str, Any]]:
    """Every row failure of a run with its mapping, in the order in which they happened."""
    found = session.execute(
        text(
            "SELECT s.mapping_name, s.target_object, f.kind, f.source_id, f.target_id, f.code,"
            " f.message, f.fields, f.sent FROM row_failure f JOIN run_step s ON s.id = f.step_id"
            " WHERE f.run_id = :id ORDER BY s.wave, s.position, f.id"
        ),
        {"id": run_id},
    ).mappings()
    return [dict(row) for row in found]


def ask(session: Session, run: RunRow, wish: str) -> None:
    """Notes that a person wants the run to ``pause`` or ``cancel``; the worker sees it in
    seconds."""
    if run.status not in CARRIED_RUNS:
        raise ConflictError(
            f"The run {run.name} is {run.status.value.lower()}; it cannot be asked to {wish}.",
            next_step="`runs show` tells where it stands.",
        )
    session.execute(
        text("UPDATE data_migration SET requested_state = :wish WHERE id = :id"),
        {"id": run.id, "wish": wish},
    )


def forget_wish(session: Session, run_id: UUID) -> None:
    """A run that somebody lets go on is asked for nothing any more."""
    session.execute(
        text("UPDATE data_migration SET requested_state = NULL WHERE id = :id"), {"id": run_id}
    )


def set_status(
    session: Session, run: RunRow, status: RunState, *, over: bool = False, grace_s: float = 0
) -> None:
    """Moves a run that no worker carries.

    Args:
        grace_s: for so long nobody takes it for abandoned; who moved it carries it himself.
    Raises:
        ConflictError: it moved meanwhile.
    """
    moved = session.execute(
        text(
            "UPDATE data_migration SET status = :new, wait_reason = NULL,"
            " finished_at = CASE WHEN :over THEN clock_timestamp() ELSE finished_at END,"
            " lease_until = CASE WHEN :grace > 0 THEN"
            " clock_timestamp() + make_interval(secs => :grace) END"
            " WHERE id = :id AND status = :old"
        ),
        {
            "id": run.id,
            "new": status.value,
            "old": run.status.value,
            "over": over,
            "grace": grace_s,
        },
    )
    if moved.rowcount != 1:  # type: ignore[attr-defined]  # a CursorResult
        raise ConflictError(
            f"The run {run.name} moved on meanwhile.", next_step="Look at it again."
        )


def _row(row: Mapping[str, Any]) -> RunRow:
    names = RunRow.__dataclass_fields__
    values = {name: row[name] for name in names}
    return RunRow(**{**values, "status": RunState(row["status"])})


def merge_options(session: Session, run_id: UUID, part: Mapping[str, Any]) -> None:
    """Merges into a run's options."""
    session.execute(
        text("UPDATE data_migration SET options = options || CAST(:part AS jsonb) WHERE id = :id"),
        {"id": run_id, "part": orjson.dumps(dict(part)).decode()},
    )


def answer(session: Session, key: str) -> str | None:
    """Name of the run that an earlier request with this key made, if there was one."""
    found: str | None = session.scalar(
        text(
            "SELECT m.data_schedule_id FROM idempotency_key k"
            " JOIN data_migration m ON m.id = k.run_id WHERE k.key = :key"
        ),
        {"key": key},
    )
    return found


def remember_answer(session: Session, key: str, run_id: UUID) -> None:
    """Notes which run a request made.

    Raises:
        ConflictError: the same request made one a moment ago.
    """
    kept = session.execute(
        text(
            "INSERT INTO idempotency_key (key, request_hash, run_id) VALUES (:key, '', :run)"
            " ON CONFLICT DO NOTHING RETURNING key"
        ),
        {"key": key, "run": run_id},
    ).one_or_none()
    if kept is None:
        raise ConflictError(
            "The same launch came twice at one moment; the other one counts.",
            state="It was launched once.",
            next_step="`runs list` shows it.",
        )


def events(
    session: Session, run_id: UUID, *, after: UUID | None, limit: int, newest: bool = False
) -> list[dict[str, Any]]:
    """Lines of the run's story behind one of them, in order: the first ones, or the newest."""
    found = session.execute(
        text(
            "SELECT id, at, level, step, message"  # noqa: S608 - one of two words of ours
            " FROM run_event WHERE run_id = :run"
            " AND (CAST(:after AS uuid) IS NULL OR id > CAST(:after AS uuid))"
            f" ORDER BY id {'DESC' if newest else 'ASC'} LIMIT :limit"
        ),
        {"run": run_id, "after": after, "limit": limit},
    ).mappings()
    told = [dict(row) for row in found]
    return told[::-1] if newest else told


def chunks_done(session: Session, run_id: UUID) -> int:
    """Chunks of a run whose outcomes are in the ledger."""
    return int(
        session.scalar(
            text("SELECT count(*) FROM run_chunk WHERE run_id = :id AND state = 'done'"),
            {"id": run_id},
        )
        or 0
    )


def mark_undone(session: Session, run_id: UUID | None) -> None:
    """Notes that everything a run wrote was taken back."""
    session.execute(
        text("UPDATE data_migration SET status = :undone WHERE id = :id"),
        {"id": run_id, "undone": RunState.UNDONE.value},
    )


def writers_after(session: Session, run: RunRow) -> list[str]:
    """Names of later runs of the same mappings between the same orgs that are not undone."""
    found = session.execute(
        text(
            "SELECT DISTINCT m.data_schedule_id, m.created_at FROM data_migration m"
            " JOIN run_step s ON s.run_id = m.id AND s.phase = 'load'"
            " AND s.inserted + s.updated > 0"
            " WHERE m.source_org_id = :source AND m.target_org_id = :target"
            " AND m.created_at > :at AND m.status <> 'Undone' AND s.mapping_name IN"
            " (SELECT mapping_name FROM run_step WHERE run_id = :run)"
            " ORDER BY m.created_at DESC"
        ),
        {
            "source": run.source_org_id,
            "target": run.target_org_id,
            "at": run.created_at,
            "run": run.id,
        },
    )
    return [str(row[0]) for row in found]


def last_run(session: Session, run: RunRow) -> tuple[UUID, dt.datetime, str] | None:
    """The last run that a delta may follow: same plan version, ended, everything of it written;
    its watermark, and the mark of the formulas that it read by."""
    row = session.execute(
        text(
            "SELECT id, watermark, coalesce(summary ->> 'formulas', '') FROM data_migration"
            " WHERE plan_id = :plan"
            " AND data_batch_id = :version AND id <> :id AND mode IN ('full', 'delta')"
            " AND status IN ('Succeeded', 'Partial') AND watermark IS NOT NULL"
            " AND coalesce(jsonb_array_length(options -> 'only'), 0) = 0"
            " ORDER BY watermark DESC LIMIT 1"
        ),
        {"plan": run.plan_id, "version": run.plan_version_id, "id": run.id},
    ).one_or_none()
    return None if row is None else (row[0], row[1], str(row[2]))


def last_dry_run(session: Session, run: RunRow) -> tuple[str, Mapping[str, Any]] | None:
    """Name and buckets of the last dry run of the same plan version into the same org."""
    row = session.execute(
        text(
            "SELECT data_schedule_id, buckets FROM data_migration WHERE mode = 'dry-run'"
            " AND data_batch_id = :version AND target_org_id = :target AND created_at < :at"
            " AND status IN ('Succeeded', 'Partial') ORDER BY created_at DESC LIMIT 1"
        ),
        {"version": run.plan_version_id, "target": run.target_org_id, "at": run.created_at},
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def left_behind(session: Session, run_id: UUID) -> dict[str, list[str]]:
    """Source ids of rows that did not arrive as asked, by mapping."""
    found: dict[str, list[str]] = {}
    rows = session.execute(
        text(
            "SELECT DISTINCT s.mapping_name, f.source_id FROM row_failure f"
            " JOIN run_step s ON s.id = f.step_id"
            " WHERE f.run_id = :id AND f.source_id IS NOT NULL"
        ),
        {"id": run_id},
    )
    for mapping, source_id in rows:
        found.setdefault(mapping, []).append(source_id)
    return found


_LOG_STATES = {
    RunState.SUCCEEDED: "succeeded",
    RunState.UNDONE: "succeeded",
    RunState.PARTIAL: "partial",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.RUNNING: "running",
}


def write_log(session: Session, run: RunRow, *, error: str | None = None) -> None:
    """Brings the run's row among the operations' logs up to where the run stands."""
    objects = run.summary.get("objects", {})
    session.execute(
        text(
            "INSERT INTO migrate_data_log (id, data_schedule_id, status, requested_by, message,"
            " result, record_counts, error_message, started_at, finished_at, run_id,"
            " source_org_id, target_org_id) VALUES (:id, :name, :status, :by, :message,"
            " CAST(:result AS jsonb), CAST(:counts AS jsonb), :error, :started, :finished, :run,"
            " :source, :target) ON CONFLICT (data_schedule_id) DO UPDATE SET"
            " status = EXCLUDED.status, message = EXCLUDED.message, result = EXCLUDED.result,"
            " record_counts = EXCLUDED.record_counts, error_message = EXCLUDED.error_message,"
            " finished_at = EXCLUDED.finished_at, updated_at = clock_timestamp()"
        ),
        {
            "id": uuid7(),
            "name": run.name,
            "status": _LOG_STATES.get(run.status, "waiting"),
            "by": run.requested_by,
            "message": f"{run.mode} run of {run.plan_name or 'a plan'}: {run.status.value.lower()}",
            "result": orjson.dumps(dict(run.summary)).decode(),
            "counts": orjson.dumps(objects).decode(),
            "error": error,
            "started": run.started_at,
            "finished": run.finished_at,
            "run": run.id,
            "source": run.source_org_id,
            "target": run.target_org_id,
        },
    )
