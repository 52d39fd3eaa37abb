"""Puts work into the queue, within the caller's transaction: no commit, no job.

carry_run(workspace_id, run_id)             lock per target organization: one run at a time
carry_operation(workspace_id, kind, log_id) any other operation, by its log row
describe_org(workspace_id, org_id)          reads an org's objects; waits in the queue once
launch_scheduled(workspace_id, schedule_id, due_at)   lock per schedule; once per due time
keep_house(day)                             retention, once a day
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from procrastinate import App

CARRY_RUN: Final = "carry_run"
CARRY_OPERATION: Final = "carry_operation"
DESCRIBE_ORG: Final = "describe_org"
LAUNCH_SCHEDULED: Final = "launch_scheduled"
KEEP_HOUSE: Final = "keep_house"

# Of jobs with one lock procrastinate takes the highest priority, then the oldest, and none while
# that one waits for its time (3.10, procrastinate_fetch_job_v2). So a later time is a lower
# priority and no time the highest: a run that is to start tonight holds nobody up today.

#: every worker listens to all queues
SHARED_QUEUE: Final = "shared"


@cache
def _app() -> App:
    """Never opened: it only writes through connections that callers give.

    Imported at the first job, for a terminal's run has none and need not wait for it.
    """
    from procrastinate import App, SyncPsycopgConnector

    return App(connector=SyncPsycopgConnector())


def defer_run(
    session: Session,
    *,
    workspace_id: UUID,
    run_id: UUID,
    target: str,
    queue: str = SHARED_QUEUE,
    start_at: datetime | None = None,
    in_turn: bool = True,
) -> bool:
    """Queue a run in the session's transaction; False when it waits in the queue already.

    Args:
        in_turn: after the jobs that wait for the same target; a run that holds the target already
            goes at once, since those wait for it.
        target: organization id of the target org; runs with the same one go one after another.
        start_at: not before this time; until then it keeps nobody waiting.
    """
    return _defer(
        session,
        CARRY_RUN,
        {"workspace_id": str(workspace_id), "run_id": str(run_id)},
        lock=f"target:{target}" if in_turn else None,
        queueing_lock=f"run:{run_id}",
        queue=queue,
        schedule_at=start_at,
        priority=0 if start_at is None else -(int(start_at.timestamp()) // 60),
    )


def defer_operation(session: Session, *, workspace_id: UUID, kind: str, log_id: UUID) -> bool:
    """Queue an operation by its log row; False when it waits already."""
    return _defer(
        session,
        CARRY_OPERATION,
        {"workspace_id": str(workspace_id), "kind": kind, "log_id": str(log_id)},
        queueing_lock=f"operation:{log_id}",
    )


def defer_describe(session: Session, *, workspace_id: UUID, org_id: UUID) -> bool:
    """Queue the reading of an org's objects; False when it waits already."""
    return _defer(
        session,
        DESCRIBE_ORG,
        {"workspace_id": str(workspace_id), "org_id": str(org_id)},
        queueing_lock=f"describe:{org_id}",
    )


def take_describe(session: Session, org_id: UUID) -> bool:
    """Take the reading of an org's objects out of the queue; False when none waits there."""
    statement = text(
        "DELETE FROM procrastinate_jobs"
        " WHERE task_name = :task AND args ->> 'org_id' = :org_id AND status = 'todo' RETURNING id"
    )
    found = session.execute(statement, {"task": DESCRIBE_ORG, "org_id": str(org_id)}).all()
    return bool(found)


def defer_scheduled(
    session: Session, *, workspace_id: UUID, schedule_id: UUID, due_at: datetime
) -> bool:
    """Queue the launch of a schedule for one due time; False when it waits already."""
    due = due_at.isoformat()
    return _defer(
        session,
        LAUNCH_SCHEDULED,
        {"workspace_id": str(workspace_id), "schedule_id": str(schedule_id), "due_at": due},
        lock=f"schedule:{schedule_id}",
        queueing_lock=f"schedule:{schedule_id}:{due}",
    )


def defer_housekeeping(session: Session, *, day: datetime) -> bool:
    """Queue the daily retention; False when it waits already."""
    return _defer(
        session,
        KEEP_HOUSE,
        {"day": day.date().isoformat()},
        lock=KEEP_HOUSE,
        queueing_lock=KEEP_HOUSE,
    )


def abort_run(session: Session, run_id: UUID) -> int:
    """Ask whoever carries the run to stop, and take it out of the queue; how many jobs it met."""
    statement = text(
        "SELECT procrastinate_cancel_job_v1(id, true, false) FROM procrastinate_jobs"
        " WHERE task_name = :task AND args ->> 'run_id' = :run_id AND status IN ('todo', 'doing')"
    )
    return len(session.execute(statement, {"task": CARRY_RUN, "run_id": str(run_id)}).all())


def abort_operation(session: Session, log_id: UUID) -> int:
    """Ask whoever carries the operation to stop, and take it out of the queue; jobs that it met."""
    statement = text(
        "SELECT procrastinate_cancel_job_v1(id, true, false) FROM procrastinate_jobs"
        " WHERE task_name = :task AND args ->> 'log_id' = :log_id AND status IN ('todo', 'doing')"
    )
    return len(session.execute(statement, {"task": CARRY_OPERATION, "log_id": str(log_id)}).all())


def is_queued(session: Session, run_id: UUID) -> bool:
    """True while a job of the run waits or is carried."""
    statement = text(
        "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE task_name = :task"
        " AND args ->> 'run_id' = :run_id AND status IN ('todo', 'doing'))"
    )
    return bool(session.scalar(statement, {"task": CARRY_RUN, "run_id": str(run_id)}))


def _defer(session: Session, task: str, arguments: dict[str, Any], **options: Any) -> bool:
    from procrastinate import exceptions

    options.setdefault("queue", SHARED_QUEUE)
    try:
        with session.begin_nested():  # a refused insert must not spoil the caller's transaction
            # Asked for within: the savepoint is set when its connection is first used.
            connection = session.connection().connection.driver_connection
            _app().configure_task(task, connection=connection, **options).defer(**arguments)
    except exceptions.AlreadyEnqueued:
        return False
    return True
