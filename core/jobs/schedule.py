"""Fires schedules: a thread in the app and in every worker, of which one at a time is in charge.

    APScheduler thread, each second ─▶ pg_try_advisory_xact_lock: in charge? ─▶ due schedules
        ─▶ one transaction each: unique (schedule, due time) + job in the queue + next due time

What fired is decided by the unique row, not by the lock: two processes that both believe to be in
charge still fire once. It only fires; a worker launches.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.bootstrap import Orgbridge
from core.errors import OrgbridgeError, UserError
from core.jobs import cron, janitor, queue

TICK_S = 1.0
#: seconds of tolerance; a firing later than this is *late* and follows the schedule's policy
LATE_AFTER = timedelta(seconds=60)
JANITOR_EVERY_S = 4.0
NOTICES_EVERY_S = 10.0
#: advisory lock of who is in charge: "orgbridge" read as a number, so that it is nobody else's
CHARGE_LOCK = 0x6F7267627269
#: a process that stops within a transaction of ours loses it, and with it what it locked
PAUSED_AFTER = "15s"
#: hour (UTC) from which on the day's retention is due; a machine that slept then does it later
HOUSEKEEPING_HOUR = 3

ScheduleRow = Row[tuple[Any, ...]]
log = logging.getLogger(__name__)


class Scheduler:
    """The running thread; a context manager, or `stop` it."""

    def __init__(self, bridge: Orgbridge) -> None:
        self._bridge = bridge
        self._janitor_due = bridge.clock()
        self._house_kept: date | None = None
        self._scheduler = BackgroundScheduler(
            timezone="UTC", executors={"default": ThreadPoolExecutor(2)}
        )
        self._scheduler.add_job(
            self._tick, "interval", seconds=TICK_S, max_instances=1, coalesce=True,
            misfire_grace_time=None, next_run_time=datetime.now(UTC),
        )  # fmt: skip
        self._scheduler.add_job(  # a job of its own: a slow mail server holds up no schedule
            self._deliver, "interval", seconds=NOTICES_EVERY_S, max_instances=1, coalesce=True,
            misfire_grace_time=None,
        )  # fmt: skip
        self._scheduler.add_job(self._count_days, misfire_grace_time=None)
        self._scheduler.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the thread; another process fires from the next second on."""
        self._scheduler.shutdown(wait=True)

    def _tick(self) -> None:
        try:
            with in_charge(self._bridge) as is_ours:
                if is_ours:
                    now = self._bridge.clock()
                    fire_due(self._bridge, now=now)
                    if self._house_kept != now.date() and queue_retention(self._bridge, now=now):
                        self._house_kept = now.date()
            self._look_after_jobs()
        except (SQLAlchemyError, OrgbridgeError) as error:
            # The database is away for a moment (restart, failover): try again next second.
            log.warning("schedules were not looked at", extra={"reason": type(error).__name__})

    def _look_after_jobs(self) -> None:
        """Every process does it: whoever is in charge may be the one that is paused."""
        now = self._bridge.clock()
        if now >= self._janitor_due:
            self._janitor_due = now + timedelta(seconds=JANITOR_EVERY_S)
            janitor.give_back_stalled(self._bridge.owner_engine)
            with self._bridge.owner_session() as session:
                janitor.take_up_abandoned(session)

    def _count_days(self) -> None:
        """Once, beside the firing: the charts of the logs after an upgrade."""
        from core.jobs import retention

        try:
            retention.count_days(self._bridge)
        except (SQLAlchemyError, OrgbridgeError) as error:  # the night counts them
            log.warning("days were not counted", extra={"reason": type(error).__name__})

    def _deliver(self) -> None:
        """Send what waits in the outbox; a notice is claimed by one process."""
        from core.notices import deliver

        try:
            deliver(self._bridge)
        except (SQLAlchemyError, OrgbridgeError) as error:
            log.warning("notices were not sent", extra={"reason": type(error).__name__})


@contextmanager
def in_charge(bridge: Orgbridge) -> Iterator[bool]:
    """True within it for one process at a time; for a process that is paused, soon no more."""
    with bridge.owner_session() as session:
        session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{PAUSED_AFTER}'"))
        held = session.scalar(
            text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": CHARGE_LOCK}
        )
        yield bool(held)


def start(bridge: Orgbridge) -> Scheduler:
    """Start firing, or waiting to be the one who fires."""
    return Scheduler(bridge)


def fire_due(bridge: Orgbridge, *, now: datetime) -> tuple[UUID, ...]:
    """Fire every schedule that is due at `now`, once per due time; the schedules that fired."""
    fired = []
    with bridge.owner_session() as session:
        _start_new_ones(session, now)
        due = session.execute(_DUE, {"now": now}).scalars().all()
    for schedule_id in due:
        try:
            if _fire(bridge, schedule_id, now):
                fired.append(schedule_id)
        except UserError as error:  # its line was spoilt from outside; the others must not wait
            log.error("schedule cannot be fired", extra={"id": schedule_id, "reason": str(error)})
    return tuple(fired)


_DUE = text("SELECT id FROM schedule WHERE enabled AND next_due_at <= :now ORDER BY next_due_at")
_TAKE = text(
    "SELECT * FROM schedule WHERE id = :id AND enabled AND next_due_at <= :now"
    " FOR UPDATE SKIP LOCKED"
)
_NOTE = text(
    "INSERT INTO schedule_firing (schedule_id, workspace_id, due_at, fired_at, outcome)"
    " VALUES (:schedule_id, :workspace_id, :due_at, :now, :outcome) ON CONFLICT DO NOTHING"
    " RETURNING due_at"
)


def _fire(bridge: Orgbridge, schedule_id: UUID, now: datetime) -> bool:
    """One schedule, one transaction: firing rows, job, next due time."""
    with bridge.owner_session() as session:
        session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{PAUSED_AFTER}'"))
        row = session.execute(_TAKE, {"id": schedule_id, "now": now}).one_or_none()
        if row is None:
            return False  # somebody else fires it, or just did
        *missed, last = _dues_until(row, now)
        is_late = now - last > LATE_AFTER
        skips = is_late and row.late_policy == "skip"
        for due_at in missed:
            _note(session, row, due_at, now=now, outcome="skipped")
        outcome = "skipped" if skips else "late" if is_late else "fired"
        is_new = _note(session, row, last, now=now, outcome=outcome)
        if is_new and not skips:
            queue.defer_scheduled(
                session, workspace_id=row.workspace_id, schedule_id=row.id, due_at=last
            )
        _move_on(session, row, last=last, now=now)
    log.info("schedule fired", extra={"schedule": row.name, "due": last, "outcome": outcome})
    return is_new and not skips


def _dues_until(row: ScheduleRow, now: datetime) -> list[datetime]:
    """Due times that have come, oldest first; of a long absence only the last hundred."""
    dues = [row.next_due_at]
    while (following := cron.next_due(row.cron, row.time_zone, after=dues[-1])) <= now:
        dues.append(following)
        del dues[:-100]
    return dues


def _note(
    session: Session, row: ScheduleRow, due_at: datetime, *, now: datetime, outcome: str
) -> bool:
    values = {
        "schedule_id": row.id,
        "workspace_id": row.workspace_id,
        "due_at": due_at,
        "now": now,
        "outcome": outcome,
    }
    return session.execute(_NOTE, values).one_or_none() is not None


def _move_on(session: Session, row: ScheduleRow, *, last: datetime, now: datetime) -> None:
    session.execute(
        text("UPDATE schedule SET last_due_at = :last, next_due_at = :next WHERE id = :id"),
        {"id": row.id, "last": last, "next": cron.next_due(row.cron, row.time_zone, after=now)},
    )


def _start_new_ones(session: Session, now: datetime) -> None:
    """A schedule that was made or switched on has no next due time yet."""
    rows: Iterable[ScheduleRow] = session.execute(
        text("SELECT id, cron, time_zone FROM schedule WHERE enabled AND next_due_at IS NULL")
    ).all()
    for row in rows:
        following = cron.next_due(row.cron, row.time_zone, after=now)
        session.execute(
            text("UPDATE schedule SET next_due_at = :next WHERE id = :id AND next_due_at IS NULL"),
            {"id": row.id, "next": following},
        )


def queue_retention(bridge: Orgbridge, *, now: datetime) -> bool:
    """Queue the day's retention, once; False while it is too early.

    The day's mark is the job itself, so that another process, or this one after a start, sees it.
    """
    if now.hour < HOUSEKEEPING_HOUR:
        return False
    with bridge.owner_session() as session:
        done = session.scalar(
            text(
                "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE task_name = :task"
                " AND args ->> 'day' = :day)"
            ),
            {"task": queue.KEEP_HOUSE, "day": now.date().isoformat()},
        )
        if not done:
            queue.defer_housekeeping(session, day=now)
    return True
