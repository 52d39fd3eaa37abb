"""What runs left open in an org: chunks of cancelled runs of which it may have committed rows after
all (their bulk job was aborted while a batch was on its way, or went on), rows of which nobody
knows whether they were written, and rows that a stopped run would still insert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.db.retries import UNKNOWN_FATE
from core.domain.states import FINISHED_RUNS, RunState

#: jobs and their results are deleted after so long (Bulk API 2.0, Limits)
JOB_DAYS = 7


@dataclass(frozen=True, slots=True)
class LateChunk:
    """A chunk that nobody carries any more, and what it belongs to."""

    chunk_id: UUID
    step_id: UUID
    run_id: UUID
    run_name: str
    mapping_name: str
    target_object: str
    phase: str


def late_chunks(
    session: Session, *, run_id: UUID, source_org_id: UUID, target_org_id: UUID
) -> list[LateChunk]:
    """Such chunks of this run and of cancelled ones between the same orgs, the oldest first."""
    found = session.execute(
        text(
            "SELECT c.id, c.step_id, c.run_id, m.data_schedule_id AS run_name,"
            " s.mapping_name, s.target_object, s.phase"
            " FROM run_chunk c JOIN run_step s ON s.id = c.step_id"
            " JOIN data_migration m ON m.id = c.run_id"
            " WHERE m.source_org_id = :source AND m.target_org_id = :target"
            " AND (m.status = 'Cancelled' OR m.id = :run) AND c.api = 'bulk'"
            " AND (c.state = 'closed' OR c.state = 'planned'"
            " AND c.outcome ->> 'after_job' IS NOT NULL"
            " AND c.updated_at > clock_timestamp() - make_interval(days => :days))"
            " ORDER BY c.id"
        ),
        {"run": run_id, "source": source_org_id, "target": target_org_id, "days": JOB_DAYS},
    ).mappings()
    return [
        LateChunk(
            row["id"], row["step_id"], row["run_id"], row["run_name"], row["mapping_name"],
            row["target_object"], row["phase"],
        )
        for row in found
    ]  # fmt: skip


def unknown_rows(
    session: Session, *, source_org_id: UUID, target_org_id: UUID, mapping: str
) -> list[str]:
    """Source ids of which runs between two orgs could not find out whether they were written."""
    found = session.scalars(
        text(
            "SELECT DISTINCT f.source_id FROM data_migration m"
            " JOIN run_step s ON s.run_id = m.id AND s.mapping_name = :mapping"
            " JOIN row_failure f ON f.run_id = m.id AND f.step_id = s.id AND f.code = :code"
            " WHERE m.source_org_id = :source AND m.target_org_id = :target"
            " AND f.source_id IS NOT NULL AND f.resolved_by_run IS NULL"
        ),
        {
            "mapping": mapping,
            "code": UNKNOWN_FATE,
            "source": source_org_id,
            "target": target_org_id,
        },
    )
    return [str(one) for one in found]


def stopped_inserts(
    session: Session,
    *,
    source_org_id: UUID,
    target_org_id: UUID,
    mappings: Sequence[str],
    but: UUID | None = None,
) -> tuple[str, ...]:
    """Names of runs that stopped with inserts of these mappings planned or on their way, and that
    go on with them when they are resumed."""
    found = session.scalars(
        text(
            "SELECT DISTINCT m.data_schedule_id FROM data_migration m"
            " JOIN run_step s ON s.run_id = m.id AND s.mapping_name = ANY(:mappings)"
            " JOIN run_chunk c ON c.step_id = s.id AND c.api = 'bulk' AND c.operation = 'insert'"
            " AND c.state NOT IN ('done', 'failed')"
            " WHERE m.source_org_id = :source AND m.target_org_id = :target"
            " AND m.status <> ALL(:over) AND m.id IS DISTINCT FROM :but ORDER BY 1"
        ),
        {
            "mappings": list(mappings),
            "source": source_org_id,
            "target": target_org_id,
            "over": [state.value for state in FINISHED_RUNS - {RunState.FAILED}],
            "but": but,
        },
    )
    return tuple(str(one) for one in found)
