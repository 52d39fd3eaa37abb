"""What later runs brought of the rows and values that a run left behind."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.db.runs import RunRow


@dataclass(frozen=True, slots=True)
class FilledLater:
    """What a later run filled in of the values that a run left out on rows that arrived."""

    run: str
    #: lookups, and rows with their last fields
    values: int


def rows_resolved(session: Session, run_id: UUID) -> int:
    """Rows that did not arrive in the run and have since, in a retry.

    Rows that arrived without a lookup or a last field are not among them: `filled_later`.
    """
    return int(
        session.scalar(
            text(
                "SELECT count(*) FROM (SELECT DISTINCT f.step_id, f.source_id FROM row_failure f"
                " JOIN run_step s ON s.id = f.step_id WHERE f.run_id = :id"
                " AND f.resolved_by_run IS NOT NULL AND f.kind <> 'left_blank'"
                " AND s.phase IN ('load', 'undo')) one"
            ),
            {"id": run_id},
        )
        or 0
    )


def filled_later(session: Session, run_id: UUID) -> list[FilledLater]:
    """The runs that filled in what this one left out on rows that arrived, the oldest first."""
    found = session.execute(
        text(
            "SELECT r.data_schedule_id, count(*) FROM row_failure f"
            " JOIN run_step s ON s.id = f.step_id JOIN data_migration r ON r.id = f.resolved_by_run"
            " WHERE f.run_id = :id"
            " AND (f.kind = 'left_blank' OR s.phase IN ('second_pass', 'finally'))"
            " GROUP BY r.id, r.data_schedule_id ORDER BY r.id"
        ),
        {"id": run_id},
    )
    return [FilledLater(*row) for row in found]


def made_good_by(session: Session, row: RunRow) -> str | None:
    """The first later run that carried the whole plan between the same orgs and left nothing
    behind: what failed here arrived in it, or is out of the plan's scope."""
    found = session.scalar(
        text(
            "SELECT data_schedule_id FROM data_migration WHERE plan_id = :plan"
            " AND source_org_id = :source AND target_org_id = :target"
            " AND mode = 'full' AND status = 'Succeeded' AND created_at > :after"
            " AND coalesce(options -> 'only', '[]') = '[]' ORDER BY created_at LIMIT 1"
        ),
        {
            "plan": row.plan_id,
            "source": row.source_org_id,
            "target": row.target_org_id,
            "after": row.created_at,
        },
    )
    return None if found is None else str(found)
