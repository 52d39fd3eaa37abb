"""What a job does when a worker takes it: thin steps into the operations registry.

A task gets ids, asks the registry, and lets the run's own rows tell what came of it. When the
worker is told to end, the operation stops at its next checkpoint and the job goes back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from procrastinate import BaseRetryStrategy, JobContext, RetryDecision, exceptions
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job
from sqlalchemy.exc import SQLAlchemyError

from core import log as logs
from core.access import failures
from core.bootstrap import Orgbridge
from core.domain.states import RunState
from core.errors import BugError, ConflictError, NotFoundError, OrgbridgeError, TransientError
from core.jobs import queue, retention

if TYPE_CHECKING:
    from core.operations.carrying import Start

#: an attempt that met a passing fault waits this long, doubled each time, before the next
RETRY_AFTER_S = 2.0
RETRY_MAX_S = 120.0
RETRY_ATTEMPTS = 20

#: states in which a run is somebody's work; the others have ended or wait for a person
UNSETTLED = frozenset(
    {
        RunState.PENDING,
        RunState.CHECKING,
        RunState.RUNNING,
        RunState.PAUSING,
        RunState.CANCELLING,
        RunState.UNDOING,
    }
)

log = logging.getLogger(__name__)


class Carry(Protocol):
    """Carries one run as far as it goes; idempotent, resumable, stops when `stop` says so."""

    def __call__(
        self, bridge: Orgbridge, workspace_id: UUID, run_id: UUID, /, *, stop: Callable[[], bool]
    ) -> object: ...


class Launch(Protocol):
    """Launches what a schedule names, once per due time."""

    def __call__(
        self, bridge: Orgbridge, workspace_id: UUID, schedule_id: UUID, /, *, due_at: datetime
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What a worker needs from other rooms; the front door that starts it gives it."""

    carry: Carry
    launch: Launch
    #: launches the runs that operations ask for
    start: Start


class WorkerEndsError(Exception):
    """The worker was told to end while it carried the job; another one goes on."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What the tasks of one worker work with."""

    bridge: Orgbridge
    ports: Ports
    #: set when the worker was told to end
    ending: threading.Event


class Again(BaseRetryStrategy):
    """Back to the queue at once when the worker ends, later on a passing fault, else never."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """When to try `job` again, or None."""
        if isinstance(exception, WorkerEndsError):
            return RetryDecision(retry_in={"seconds": 0})
        # A conflict is the lease of a worker that was killed a moment ago: it runs out.
        if isinstance(exception, TransientError | ConflictError) and job.attempts < RETRY_ATTEMPTS:
            wait_s = min(RETRY_AFTER_S * 2 ** min(job.attempts, 10), RETRY_MAX_S)
            return RetryDecision(retry_in={"seconds": int(wait_s)})
        return None


def carry_run(context: JobContext, *, workspace_id: str, run_id: str) -> None:
    """Carry one run until it ends, waits for a decision, or is stopped."""
    bench: Bench = context.additional_context["bench"]
    with logs.bound(job=context.job.id, run=run_id):
        status = bench.ports.carry(
            bench.bridge,
            UUID(workspace_id),
            UUID(run_id),
            stop=lambda: bench.ending.is_set() or context.should_abort(),
        )
        log.info("run was carried", extra={"status": status})
        if context.abort_reason() == AbortReason.USER_REQUEST:
            raise exceptions.JobAborted
        if bench.ending.is_set() and str(status) in UNSETTLED:
            raise WorkerEndsError


def carry_operation(context: JobContext, *, workspace_id: str, kind: str, log_id: str) -> None:
    """Carry one operation to the end that its log row then tells."""
    from core.operations import carrying

    bench: Bench = context.additional_context["bench"]
    with logs.bound(job=context.job.id, kind=kind, log=log_id):
        status = carrying.carry(
            bench.bridge,
            UUID(workspace_id),
            UUID(log_id),
            kind=kind,
            start=bench.ports.start,
            stop=lambda: bench.ending.is_set() or context.should_abort(),
            hands_over=bench.ending.is_set,
        )
        if status == "pending":
            raise WorkerEndsError


def describe_org(context: JobContext, *, workspace_id: str, org_id: str) -> None:
    """Read an org's objects; the org's row tells how far it is."""
    from core.access import describing

    bench: Bench = context.additional_context["bench"]
    with logs.bound(job=context.job.id, org=org_id):
        try:
            count = describing.describe_org(
                bench.bridge, UUID(workspace_id), UUID(org_id), stop=bench.ending.is_set
            )
        except NotFoundError:
            log.info("org was removed before it was described")
            return
        if count is None:
            raise WorkerEndsError
        log.info("org was described", extra={"objects": count})


def launch_scheduled(
    context: JobContext, *, workspace_id: str, schedule_id: str, due_at: str
) -> None:
    """Launch what a schedule names, for one due time; a second attempt launches nothing."""
    bench: Bench = context.additional_context["bench"]
    with logs.bound(job=context.job.id, schedule=schedule_id, due=due_at):
        due = datetime.fromisoformat(due_at)
        bench.ports.launch(bench.bridge, UUID(workspace_id), UUID(schedule_id), due_at=due)


def keep_house(context: JobContext, *, day: str) -> None:
    """Delete what its retention time has passed: temporary data, old run logs, finished jobs."""
    bench: Bench = context.additional_context["bench"]
    with logs.bound(job=context.job.id, day=day):
        retention.keep_house(bench.bridge)


def guarded(task: Callable[..., None]) -> Callable[..., None]:
    """The boundary of the worker: a defect is kept for the admin, then procrastinate notes it."""

    @wraps(task)
    def carried(context: JobContext, **arguments: Any) -> None:
        try:
            task(context, **arguments)
        except (WorkerEndsError, exceptions.JobAborted):
            raise
        except Exception as problem:
            if isinstance(problem, BugError) or not isinstance(problem, OrgbridgeError):
                _keep_defect(context, problem, arguments)
            raise

    return carried


def _keep_defect(context: JobContext, problem: Exception, arguments: dict[str, Any]) -> None:
    bridge = context.additional_context["bench"].bridge
    given = arguments.get("workspace_id")

    def of() -> tuple[UUID, str]:
        return (UUID(given) if given else bridge.workspace_id(), f"worker:{context.task.name}")

    facts = {"job": context.job.id, **arguments}
    reference = failures.keep(bridge, problem, boundary="worker", of=of, facts=facts)
    if given and "kind" in arguments:
        _end_operation(bridge, arguments, reference)


def _end_operation(bridge: Orgbridge, arguments: dict[str, Any], reference: str) -> None:
    """An operation that met a defect has ended, or its page would wait for ever."""
    from core.operations import carrying

    ids = UUID(arguments["workspace_id"]), UUID(arguments["log_id"])
    try:
        carrying.fail(bridge, *ids, kind=arguments["kind"], reference=reference)
    except (SQLAlchemyError, OrgbridgeError) as lost:
        log.warning("operation stays open", extra={"reason": type(lost).__name__})


TASKS: dict[str, Callable[..., Any]] = {
    queue.CARRY_RUN: carry_run,
    queue.CARRY_OPERATION: carry_operation,
    queue.DESCRIBE_ORG: describe_org,
    queue.LAUNCH_SCHEDULED: launch_scheduled,
    queue.KEEP_HOUSE: keep_house,
}
