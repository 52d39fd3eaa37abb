"""Blows to the whole app: kill -9 of app.py and its worker, a schedule that fires in an upgrade.

The app is the real one in a process of its own, on the stage's database and orgs.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.campaign.cases import Case, plan_text
from benchmarks.campaign.drive import Ended, NeverEndsError
from benchmarks.campaign.rough import _case
from benchmarks.campaign.stage import Stage, stage
from benchmarks.campaign.story import _fill, _judged, _Play
from benchmarks.campaign.strikes import Strike
from benchmarks.campaign.wants import Forward
from core import processes
from core.db import runs, schema
from core.domain.plan import parse_plan
from core.domain.states import RunState
from core.errors import OrgbridgeError
from core.jobs import schedule
from core.migration.summary import run_document
from core.services import plans, schedules
from core.services.confirming import Confirmation
from core.services.launching import LaunchRequest, launch
from tests.appserver import app_server

#: seconds for a run to be taken over and carried to its end by a new app
WITHIN_S = 240.0
_OVER = (RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED, RunState.CANCELLED)


def app_killed(number: int) -> list[str]:
    """kill -9 of app.py while a request of its worker is held; a new app carries the run on."""
    dice = random.Random(number)  # noqa: S311  moments, not secrets
    place = ("upload", "collections")[number % 2]
    strike = Strike(
        "kill -9 of the app", place, dice.randrange(3), dice.choice(("before", "after"))
    )
    with stage() as on, tempfile.TemporaryDirectory() as folder:
        play = _Play(on, _case(number, strike), dice)
        _fill(play)
        on.target.plant(strike.hold())
        name = _launched(on, play.case)
        with app_server(on.settings, Path(folder), worker=True) as first:
            if not processes.wait_until(lambda: _is_held(on), timeout_s=WITHIN_S):
                return ["the request that was to be held was never made"]
            children = _children(first.process.pid)
            first.process.kill()
            first.process.wait()
            if number % 3 == 0:  # the worker too, in the same moment
                for child in children:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
        on.target.clear_faults()
        with app_server(on.settings, Path(folder), worker=True):
            if not processes.wait_until(lambda: _state(on, name) in _OVER, timeout_s=WITHIN_S):
                raise NeverEndsError(f"{name}: {_state(on, name)}")
        forward = Forward(play.case, play.source, play.first)
        return _judged(play, _ended(on, name), forward.want(), forward.pairs)


def _launched(on: Stage, case: Case) -> str:
    plan_id = plans.put(on.bridge, on.actor, parse_plan(plan_text(case)))
    request = LaunchRequest(confirm="new", reason="a campaign's case")
    return launch(on.bridge, on.actor, plan_id, request)


def _is_held(on: Stage) -> bool:
    return bool(on.target.json("GET", "/_sim/faults/held?wait_s=0.2")["held"])


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def _state(on: Stage, name: str) -> RunState:
    with on.bridge.session(on.actor.workspace_id) as session:
        return runs.run_named(session, name).status


def _ended(on: Stage, name: str) -> Ended:
    with on.bridge.session(on.actor.workspace_id) as session:
        row = runs.run_named(session, name)
        document = run_document(row, runs.steps(session, row.id))
        failed = [dict(one) for one in runs.failures(session, row.id)]
    return Ended(name, row.status, document, failed)


def fired_in_an_upgrade(number: int) -> list[str]:
    """A schedule is due while the schema is brought up to date: it fires once and launches once.

    Two processes look for due schedules all the while, as apps do that are upgraded one by one.
    """
    with stage() as on:
        play = _Play(on, _case(number, Strike("nothing")), random.Random(number))  # noqa: S311
        _fill(play)
        schedule_id, due = _due_schedule(on, play.case)
        steps = ("-1", "-2")[number % 2]
        schema.downgrade(on.bridge.owner_engine, to=steps)
        with _looking(on, due + dt.timedelta(seconds=30)) as broken:
            schema.upgrade(on.bridge.owner_engine)
            time.sleep(0.3 * (number % 3))  # the moment is the point
        schedule.fire_due(on.bridge, now=due + dt.timedelta(seconds=30))
        names = {_launch_due(on, schedule_id, due) for _ in range(2)} - {None}
        return broken + _fired_once(on, schedule_id, names)


def _due_schedule(on: Stage, case: Case) -> tuple[UUID, dt.datetime]:
    plan_id = plans.put(on.bridge, on.actor, parse_plan(plan_text(case)))
    request = schedules.ScheduleRequest("nightly", "0 3 * * *", plan_id=plan_id)
    sure = Confirmation("new", "a campaign's case")
    made = schedules.create(on.bridge, on.actor, request, confirmation=sure)
    due = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(seconds=20)
    with on.bridge.owner_session() as session:
        session.execute(
            text("UPDATE schedule SET next_due_at = :due WHERE id = :id"), {"due": due, "id": made}
        )
    return made, due


@contextmanager
def _looking(on: Stage, now: dt.datetime) -> Iterator[list[str]]:
    """Two threads fire what is due until the block ends; what must not happen to them."""
    ending = threading.Event()
    broken: list[str] = []

    def look() -> None:
        while not ending.wait(0.01):
            try:
                with schedule.in_charge(on.bridge) as is_ours:
                    if is_ours:
                        schedule.fire_due(on.bridge, now=now)
            except (SQLAlchemyError, OrgbridgeError):
                continue  # as the app's own thread: a moment later again
            except Exception as error:  # anything else would end that thread
                broken.append(f"{type(error).__name__}: {error}")

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for one in lookers:
        one.start()
    try:
        yield broken
    finally:
        ending.set()
        for one in lookers:
            one.join()


def _launch_due(on: Stage, schedule_id: UUID, due: dt.datetime) -> str | None:
    return schedules.launch_due(on.bridge, on.actor.workspace_id, schedule_id, due_at=due)


def _fired_once(on: Stage, schedule_id: UUID, names: set[str | None]) -> list[str]:
    with on.bridge.owner_session() as session:
        firings = session.scalar(
            text("SELECT count(*) FROM schedule_firing WHERE schedule_id = :id"),
            {"id": schedule_id},
        )
        jobs = session.scalar(
            text("SELECT count(*) FROM procrastinate_jobs WHERE task_name LIKE '%launch_scheduled'"
                 " AND args->>'schedule_id' = :id"),
            {"id": str(schedule_id)},
        )  # fmt: skip
        launched = session.scalar(text("SELECT count(*) FROM data_migration"))
    said = {"firings": firings, "jobs": jobs, "runs": launched, "names": len(names)}
    return [f"{what}: {n} instead of 1" for what, n in said.items() if n != 1]


BLOWS: dict[str, Callable[[int], list[str]]] = {
    "kill -9 of the app and its worker": app_killed,
    "schedule due during an upgrade": fired_in_an_upgrade,
}
