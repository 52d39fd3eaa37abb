"""Gives jobs of dead workers back to the queue, and queues runs that nobody carries any more.

procrastinate notes each worker's heartbeat and stops there (3.10, seen 2026-11-21): a job whose
worker was killed stays *doing* until somebody looks. Everybody who may fire schedules looks.
"""

from __future__ import annotations

import logging

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from core.domain.states import CARRIED_RUNS
from core.jobs import queue

#: workers report this often, from a thread of their own event loop
HEARTBEAT_S = 3.0
#: a worker silent for this long is dead or paused; its jobs go to another (≤ 30 s in all)
STALLED_AFTER_S = 12.0

log = logging.getLogger(__name__)

# One statement, so that two janitors cannot give the same job back twice: the row lock is taken
# with the state that was judged, and a job that is being looked after is skipped.
_GIVE_BACK = text("""
WITH stalled AS (
    SELECT job.id
    FROM procrastinate_jobs AS job
    LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
    WHERE job.status = 'doing'
      AND (worker.id IS NULL OR worker.last_heartbeat < now() - make_interval(secs => :silent_s))
    FOR UPDATE OF job SKIP LOCKED
)
SELECT id, procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM stalled
""")


def give_back_stalled(engine: Engine, *, silent_s: float = STALLED_AFTER_S) -> tuple[int, ...]:
    """Queue the jobs of silent workers again; their ids."""
    with engine.begin() as connection:
        ids = tuple(row.id for row in connection.execute(_GIVE_BACK, {"silent_s": silent_s}))
    for job_id in ids:
        log.warning("job of a silent worker goes back to the queue", extra={"job": job_id})
    return ids


# Runs that a terminal carried have no job. One whose worker is gone has a lease that ran out; it
# may have stopped with the row locked, so that nothing here waits for the row. The queueing lock
# keeps two janitors from queueing it twice.
_ABANDONED = text("""
SELECT id, workspace_id, target_organization_id FROM data_migration
WHERE status = ANY(:carried) AND (lease_until IS NULL OR lease_until < clock_timestamp())
""")


def take_up_abandoned(session: Session) -> tuple[str, ...]:
    """Queue runs that are somebody's work and nobody's job; their ids. The caller commits."""
    taken = []
    states = [state.value for state in CARRIED_RUNS]
    for run_id, workspace_id, target in session.execute(_ABANDONED, {"carried": states}):
        if not queue.is_queued(session, run_id):
            ids = {"workspace_id": workspace_id, "run_id": run_id}
            # it may hold the target: those that wait for it must not stand before it
            if queue.defer_run(session, **ids, target=target or "", in_turn=False):
                log.warning("run that nobody carries is queued", extra={"run": str(run_id)})
                taken.append(str(run_id))
    return tuple(taken)
