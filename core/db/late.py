"""Chunks of cancelled runs of which the org may have committed rows after all: their bulk job was
aborted while a batch was on its way, or went on after the run was given up."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

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
            " AND c.outcome ->> 'after_job' IS NOT NULL)"
            " AND c.updated_at > clock_timestamp() - make_interval(days => :days)"
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
