"""Carries a case to its end: launch, strike at the moment, resume until the run is over."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import urllib3
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from benchmarks.campaign import acts
from benchmarks.campaign.acts import Happened
from benchmarks.campaign.cases import Case, plan_text
from benchmarks.campaign.stage import Stage, quick_sleep
from benchmarks.campaign.worker import start_worker
from core.db import runs
from core.db.run_lease import LEASE_S
from core.domain.plan import parse_plan
from core.domain.states import RunState
from core.errors import ConflictError, OrgbridgeError, SessionLostError
from core.migration import run as engine
from core.migration.summary import run_document
from core.services import launching, plans
from core.services.launching import LaunchRequest, launch
from tests.orgs import PracticeOrg, wait_for

#: carryings of one run until it is given up
TRIES = 14
#: from this one on nothing is planted any more
CLEAR_FROM = 3
#: seconds between two looks for the phase that a strike waits for
LOOK_S = 0.02
#: seconds that a job stands still
STALL_S = 0.3
_OVER = (RunState.SUCCEEDED, RunState.PARTIAL, RunState.CANCELLED)


class NeverEndsError(AssertionError):
    """A run that does not come to an end, however often it is resumed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over."""

    name: str
    state: RunState
    document: dict[str, Any]
    failures: list[dict[str, Any]]

    def line(self, mapping: str) -> dict[str, Any]:
        """The figures of one mapping."""
        return next(one for one in self.document["objects"] if one["as"] == mapping)


def launched(stage: Stage, case: Case, *, mode: str = "full") -> str:
    """Launches a case's plan without a job; the run's name."""
    plan_id = plans.put(stage.bridge, stage.actor, parse_plan(plan_text(case)))
    request = LaunchRequest(
        mode=mode, verify=case.verify, confirm="new", reason="a campaign's case"
    )
    name = launch(stage.bridge, stage.actor, plan_id, request, enqueue=False)
    if not case.preflight:  # as if somebody had checked a moment ago: a fifth of the time saved
        with stage.bridge.owner_session() as session:
            session.execute(
                text("UPDATE data_migration SET summary = CAST(:ready AS jsonb)"
                     " WHERE data_schedule_id = :name"),
                {"ready": '{"preflight": {"ready": true}}', "name": name},
            )  # fmt: skip
    return name


def undone(stage: Stage, name: str) -> str:
    """Makes the run that undoes another one; its name."""
    return launching.undo(
        stage.bridge, stage.actor, name, confirm="new", reason="a campaign's case", enqueue=False
    )


def _forgive(org: PracticeOrg) -> None:
    """Takes an org's faults away, as soon as it is up: it may have been killed a moment ago."""

    def forgiven() -> bool:
        try:
            org.clear_faults()
        except urllib3.exceptions.HTTPError:
            return False
        return True

    wait_for(forgiven, 120)


class Carrying:
    """One run on its way, and the world around it."""

    def __init__(self, stage: Stage, case: Case, name: str, happened: Happened) -> None:
        self._stage = stage
        self._case = case
        self._name = name
        self._happened = happened
        self._dice = random.Random(case.seed + 1)  # noqa: S311  cases, not secrets
        self._planted = False
        self._looked = 0.0
        self._ended = threading.Event()
        self._problem: BaseException | None = None
        with stage.bridge.session(stage.actor.workspace_id) as session:
            self._run_id: UUID = runs.run_named(session, name).id

    def to_the_end(self, *, struck: bool = True) -> Ended:
        """Carries on until the run is over; with the case's strike unless told otherwise."""
        strike = self._case.strike
        if not struck:
            state = self._resumed()
        elif strike.own_process:
            state = self._in_a_process()
        elif strike.is_act:
            state = self._with_acts()
        else:
            self._plant_faults()
            state = self._resumed()
        self._ended.set()
        self._clear()
        return self._document(state)

    def once(self) -> RunState:
        """Carries once, whatever comes of it.

        Raises:
            what the engine raised.
        """
        workspace = self._stage.actor.workspace_id
        return engine.carry(self._stage.bridge, workspace, self._run_id, sleep=quick_sleep)

    def _plant_faults(self) -> None:
        if self._case.strike.phase and not self._planted:
            return  # the watch plants them when the phase begins
        self._planted = True
        for fault in self._case.strike.faults:
            org = self._stage.org(str(fault.get("@org", "target")))
            org.plant({key: value for key, value in fault.items() if key != "@org"})
        if self._case.strike.name == "job stalled":
            threading.Thread(target=self._lift_stall, name="world", daemon=True).start()

    def _lift_stall(self) -> None:
        """A job that stands still goes on after a while; some runs are cancelled meanwhile."""
        org = self._stage.target
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            while not self._ended.wait(STALL_S / 10):
                if not any(one.get("stall") for one in org.json("GET", "/_sim/faults")):
                    break
            self._ended.wait(STALL_S)
            if self._case.kind != "undo" and self._case.seed % 3 == 0:
                self._happened.wish = "cancel"
                self._ended.wait(STALL_S)
            org.clear_faults()

    def _with_acts(self) -> RunState:
        follower = threading.Thread(target=self._follow, name="world", daemon=True)
        self._hold()
        follower.start()
        try:
            return self._resumed()
        finally:
            self._ended.set()
            _forgive(self._stage.org(self._case.strike.org))
            follower.join()
            if self._problem is not None:
                raise self._problem

    def _hold(self) -> None:
        if self._case.strike.phase and not self._planted:
            return
        self._planted = True
        self._stage.org(self._case.strike.org).plant(self._case.strike.hold())

    def _follow(self) -> None:
        """Waits until the request is held, acts, lets it go."""
        try:
            while not self._ended.is_set():
                if self._is_held(wait_s=0.5):
                    acts.act(
                        self._case.strike.name,
                        self._stage,
                        self._case,
                        happened=self._happened,
                        dice=self._dice,
                    )
                    self._release()
                    return
        except BaseException as problem:  # handed to the thread that carries
            self._problem = problem
            self._release()

    def _is_held(self, *, wait_s: float) -> bool:
        org = self._stage.org(self._case.strike.org)
        held = org.json("GET", f"/_sim/faults/held?wait_s={wait_s}")
        return bool(held["held"])

    def _release(self) -> None:
        self._stage.org(self._case.strike.org).request("POST", "/_sim/faults/release")

    def _wish(self) -> str | None:
        """Asked by the engine now and then; where a phase is aimed at, it is looked for."""
        strike = self._case.strike
        if strike.phase and not self._planted and self._has_come(strike.phase):
            self._planted = True
            self._hold() if strike.is_act else self._plant_faults()
        return self._happened.wish

    def _has_come(self, phase: str) -> bool:
        """Whether the run is in that phase; looked up a few dozen times a second."""
        if time.monotonic() - self._looked < LOOK_S:
            return False
        self._looked = time.monotonic()
        try:
            with self._stage.bridge.owner_session() as session:
                found = session.execute(
                    text("SELECT 1 FROM run_step WHERE run_id = :id AND phase = :phase"
                         " AND status = 'Running' LIMIT 1"),
                    {"id": self._run_id, "phase": phase},
                )  # fmt: skip
                return found.first() is not None
        except SQLAlchemyError:
            return False

    def _resumed(self) -> RunState:
        for attempt in range(TRIES):
            if attempt >= CLEAR_FROM:
                self._clear()
            try:
                state = engine.carry(
                    self._stage.bridge,
                    self._stage.actor.workspace_id,
                    self._run_id,
                    stop=self._wish,
                    sleep=quick_sleep,
                )
            except OrgbridgeError as error:
                state = None
                self._refused(error)
            except (SQLAlchemyError, psycopg.Error, OSError) as error:
                state = None
                self._happened.raw.append(type(error).__name__)
                self._stage.await_database()
            if state in _OVER:
                self._happened.cancelled |= state is RunState.CANCELLED
                self._happened.wish = None
                return state
            self._happened.resumes += 1
            acts.free_disk()
            if state is RunState.PAUSED:
                self._happened.wish = None
                self._clear()
        raise NeverEndsError(f"{self._name}: {self._last()}")

    def _refused(self, error: OrgbridgeError) -> None:
        if isinstance(error, ConflictError) and error.fact("code") == "LEASE_HELD":
            self._expire_lease()
        if isinstance(error, SessionLostError):
            self._clear()
            self._stage.reconnect()

    def _last(self) -> str:
        with self._stage.bridge.session(self._stage.actor.workspace_id) as session:
            row = runs.run_by_id(session, self._run_id)
            return f"{row.status} {row.wait_reason}"

    def _clear(self) -> None:
        acts.free_disk()
        for org in self._stage.orgs:
            _forgive(org)

    def _in_a_process(self) -> RunState:
        """A worker of its own is killed or stopped while its request is held."""
        self._planted = True
        self._hold()
        stage, strike = self._stage, self._case.strike
        worker = start_worker(stage.settings, stage.actor.workspace_id, self._run_id)
        while worker.is_alive() and not self._is_held(wait_s=0.2):
            pass
        late = self._dice.random() < 0.5
        stops = strike.name == "zombie worker" and worker.is_alive()
        if worker.is_alive():
            self._happened.struck = True
            os.kill(worker.pid or 0, signal.SIGSTOP if stops else signal.SIGKILL)
        if not stops:
            worker.join()
        self._happened.late_request = stops and late
        if not late:
            self._release()
        try:
            if stops:
                self._expire_lease()
            return self._resumed()
        finally:
            self._release()
            if stops:
                self._wake(worker)

    def _wake(self, worker: Any) -> None:
        os.kill(worker.pid or 0, signal.SIGCONT)
        worker.join(60)
        if worker.is_alive():
            worker.kill()
            raise NeverEndsError("a worker that was replaced does not end")

    def _expire_lease(self) -> None:
        """As if the stopped worker's lease had run out: its seconds are not waited for, unless it
        stopped with its run's row locked."""
        soon = text("UPDATE data_migration SET lease_until = clock_timestamp() WHERE id = :id")
        try:
            with self._stage.bridge.owner_session() as session:
                session.execute(text("SET LOCAL lock_timeout = '200ms'"))
                session.execute(soon, {"id": self._run_id})
        except OperationalError:
            time.sleep(LEASE_S)
        time.sleep(0.002)

    def _document(self, state: RunState) -> Ended:
        with self._stage.bridge.session(self._stage.actor.workspace_id) as session:
            row = runs.run_by_id(session, self._run_id)
            document = run_document(row, runs.steps(session, row.id))
            failed = [dict(one) for one in runs.failures(session, row.id)]
        return Ended(self._name, state, document, failed)
