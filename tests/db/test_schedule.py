"""Firing of schedules: once per due time, late policies, two processes at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from core import bootstrap, processes
from core.bootstrap import Orgbridge
from core.config import Settings
from core.jobs import queue, schedule
from core.jobs.schedule import fire_due

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def add(bridge: Orgbridge, *, due: datetime | None, **columns: Any) -> UUID:
    """A schedule that is due every hour."""
    values = {
        "id": uuid4(),
        "workspace_id": bridge.workspace_id(),
        "name": f"s-{uuid4().hex[:8]}",
        "cron": "0 * * * *",
        "next_due_at": due,
        "created_by": "ann",
        **columns,
    }
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    with bridge.owner_session() as session:
        session.execute(text(f"INSERT INTO schedule ({names}) VALUES ({marks})"), values)
    return values["id"]


def firings(bridge: Orgbridge) -> list[tuple[datetime, str]]:
    """Due times and outcomes, oldest first."""
    with bridge.owner_session() as session:
        found = session.execute(
            text("SELECT due_at, outcome FROM schedule_firing ORDER BY due_at")
        ).all()
    return [(row.due_at, row.outcome) for row in found]


def jobs(bridge: Orgbridge) -> int:
    """Launches in the queue."""
    with bridge.owner_session() as session:
        return int(
            session.scalar(
                text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'launch_scheduled'")
            )
        )


def test_a_due_schedule_fires_once_and_moves_on(bridge: Orgbridge) -> None:
    schedule_id = add(bridge, due=NOON)

    fired = [fire_due(bridge, now=NOON + timedelta(seconds=s)) for s in (0, 1, 2)]

    assert fired == [(schedule_id,), (), ()]
    assert firings(bridge) == [(NOON, "fired")]
    assert jobs(bridge) == 1


def test_it_is_not_fired_before_its_time(bridge: Orgbridge) -> None:
    add(bridge, due=NOON)

    assert fire_due(bridge, now=NOON - timedelta(seconds=1)) == ()
    assert jobs(bridge) == 0


def test_a_new_schedule_gets_its_first_due_time(bridge: Orgbridge) -> None:
    add(bridge, due=None)

    fire_due(bridge, now=NOON + timedelta(minutes=5))
    assert firings(bridge) == []
    fire_due(bridge, now=NOON + timedelta(hours=1))
    assert firings(bridge) == [(NOON + timedelta(hours=1), "fired")]


def test_a_disabled_schedule_never_fires(bridge: Orgbridge) -> None:
    add(bridge, due=NOON, enabled=False)

    assert fire_due(bridge, now=NOON + timedelta(days=1)) == ()


def test_after_an_absence_it_runs_once_and_says_late(bridge: Orgbridge) -> None:
    add(bridge, due=NOON, late_policy="run_once")

    fire_due(bridge, now=NOON + timedelta(hours=2, minutes=30))

    hours = [NOON + timedelta(hours=n) for n in range(3)]
    assert firings(bridge) == [(hours[0], "skipped"), (hours[1], "skipped"), (hours[2], "late")]
    assert jobs(bridge) == 1


def test_after_an_absence_a_skipping_one_waits_for_its_next_time(bridge: Orgbridge) -> None:
    add(bridge, due=NOON, late_policy="skip")

    fire_due(bridge, now=NOON + timedelta(minutes=30))
    assert jobs(bridge) == 0
    fire_due(bridge, now=NOON + timedelta(hours=1, seconds=5))

    assert firings(bridge) == [(NOON, "skipped"), (NOON + timedelta(hours=1), "fired")]
    assert jobs(bridge) == 1


def test_two_processes_at_the_same_moment_fire_once(bridge: Orgbridge) -> None:
    ids = {add(bridge, due=NOON) for _ in range(8)}
    fired: list[UUID] = []

    def fire() -> None:
        with bootstrap.build(bridge.settings) as other:
            fired.extend(fire_due(other, now=NOON))

    threads = [threading.Thread(target=fire) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(fired) == sorted(ids)
    assert jobs(bridge) == len(ids)


def test_one_spoilt_schedule_does_not_hold_up_the_others(bridge: Orgbridge) -> None:
    add(bridge, due=NOON - timedelta(seconds=1), cron="not a line")
    good = add(bridge, due=NOON)

    assert fire_due(bridge, now=NOON) == (good,)


def test_only_one_of_two_is_in_charge(bridge: Orgbridge, settings: Settings) -> None:
    with (
        bootstrap.build(settings) as other,
        schedule.in_charge(bridge) as first,
        schedule.in_charge(other) as second,
    ):
        assert (first, second) == (True, False)


def test_the_thread_fires_by_itself_and_stops(settings: Settings) -> None:
    with bootstrap.build(settings, clock=lambda: NOON) as bridge:
        add(bridge, due=NOON)
        with schedule.start(bridge):
            assert processes.wait_until(lambda: jobs(bridge) == 1, timeout_s=20)

        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if "APScheduler" in name]


def test_the_day_s_retention_is_queued_once_also_by_a_machine_that_slept(
    bridge: Orgbridge,
) -> None:
    def queued() -> list[str]:
        with bridge.owner_session() as session:
            found = "SELECT args ->> 'day' AS day FROM procrastinate_jobs WHERE task_name = :task"
            done = "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE task_name = :task"
            days = session.execute(text(found), {"task": queue.KEEP_HOUSE}).scalars().all()
            session.execute(text(done), {"task": queue.KEEP_HOUSE})
        return sorted(days)

    assert not schedule.queue_retention(bridge, now=NOON.replace(hour=2))
    assert queued() == []
    for hours in (0, 1, 9):
        assert schedule.queue_retention(bridge, now=NOON + timedelta(hours=hours))
        assert queued() == ["2027-03-01"]
    assert schedule.queue_retention(bridge, now=NOON + timedelta(days=1))
    assert queued() == ["2027-03-01", "2027-03-02"]
