"""Carries one run from wherever it stands to its end, a pause, or a decision.

    lease ─▶ plan version ─▶ describes ─▶ steps ─▶ waves: extract · match · load
          ─▶ second pass ─▶ finally ─▶ verify ─▶ summary ─▶ release

May be called by any worker at any time; whoever holds the lease carries, everybody else is told so.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl

from core.db import ledger, retries, runs
from core.db.orgs import org_row
from core.db.plans import version_by_id
from core.db.run_lease import Lease, claim
from core.db.run_state import RunStore, StepRow, TakenOverError, is_database_fault
from core.domain.hashing import HASH_VERSION
from core.domain.ordering import Edge
from core.domain.plan import Plan, plan_from_document
from core.domain.states import DONE_STEPS, NOT_CARRIED_RUNS, RunState, StepState
from core.errors import (
    DailyLimitError,
    LostError,
    NotFoundError,
    OrgbridgeError,
    StalledJobError,
    TransientError,
    UserError,
)
from core.migration import canary, delta
from core.migration.checking import check, stopped_runs
from core.migration.comparing import compared
from core.migration.context import Pulse, RunContext, StopRequested
from core.migration.deciding import CANARY, DecisionNeeded, told_to_stop
from core.migration.ending import Stay
from core.migration.evidence import readers, target_counts
from core.migration.extract import source_folder
from core.migration.finally_ import set_finally
from core.migration.late import settle_late
from core.migration.links import spelt
from core.migration.load_options import with_load_options
from core.migration.loading import Loading
from core.migration.opening import Given, clock_of, iso, opened, writes
from core.migration.parents import Parents
from core.migration.preflight import PreflightInput
from core.migration.proving import prove
from core.migration.reading import Reading
from core.migration.resolve import Resolved
from core.migration.scope import read_rows
from core.migration.second_pass import second_pass
from core.migration.spec import ID, Step
from core.migration.summary import PASSES, left_behind, status_of, step_status
from core.migration.trial import try_step
from core.migration.turns import Turn, earlier, go
from core.migration.undo import undo_step
from core.salesforce.source import RowSource

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

log = logging.getLogger(__name__)

#: token of a store that only reads
NOBODY = -1


def carry(
    bridge: Orgbridge,
    workspace_id: UUID,
    run_id: UUID,
    *,
    stop: Callable[[], str | None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> RunState:
    """Does what is left of a run; its state afterwards.

    Args:
        stop: asked now and then; ``pause``, ``cancel`` or ``yield`` (this worker
            ends, another one goes on) ends the work at the next safe place.
        sleep: waits before rows are sent again; tests do not.
    Raises:
        ConflictError: another worker carries it, or another run writes to the same org.
        TransientError: the database is away; the run stays as it is and is taken up again.
        OrgbridgeError: why it failed; the run says so too and can be resumed.
    """
    with bridge.session(workspace_id) as session:
        row = runs.run_by_id(session, run_id)
        if row.status in NOT_CARRIED_RUNS:  # a job that comes twice does nothing twice
            return row.status
        wrapped = runs.wrapped_key(session, run_id)
        if row.plan_version_id is None:
            raise NotFoundError("The plan version of this run was deleted.")
        document = version_by_id(session, row.plan_version_id).document
    lease = claim(bridge.owner_engine, run_id, lock_target=writes(row))
    store = RunStore(
        bridge.owner_session, workspace_id=workspace_id, run_id=run_id, token=lease.token
    )
    pulse = Pulse(store, stop=stop, wish=lease.wish)
    pulse.start()
    try:
        try:
            plan = plan_from_document(document)
            carrier = _Carrier(
                bridge, row, plan, store=store, pulse=pulse, wrapped_key=wrapped, sleep=sleep
            )
        except OrgbridgeError as error:
            Stay(bridge, row, store, orgs={}).leave(RunState.FAILED, reason=str(error))
            raise
        return carrier.carry()
    finally:
        pulse.end()
        fault = sys.exception()
        # ours, and it would come again: nobody takes such a run up by himself
        if isinstance(fault, Exception) and not isinstance(fault, OrgbridgeError | StopRequested):
            if not is_database_fault(fault):
                why = "An error of ours ended this run; the log has its trace."
                store.release(RunState.FAILED, wait_reason=why, over=True)
        lease.close()
        if is_database_fault(fault):
            raise _database_gone(row) from fault


def _database_gone(row: runs.RunRow) -> TransientError:
    return TransientError(
        f"The database did not answer while {row.name} was carried.",
        state="What the org accepted is noted, or the org is asked for it before anything is sent.",
        next_step="A worker takes the run up by itself; `runs resume` does it now.",
        run=row.name,
    )


class _Carrier:
    """One worker's work on one run."""

    def __init__(
        self,
        bridge: Orgbridge,
        row: runs.RunRow,
        plan: Plan,
        *,
        store: RunStore,
        pulse: Pulse,
        wrapped_key: str,
        sleep: Callable[[float], None],
    ) -> None:
        self._bridge = bridge
        self._row = row
        self._sleep = sleep
        self._plan = plan
        self._store = store
        self._pulse = pulse
        workspace, source, target = row.workspace_id, row.source_org_id, row.target_org_id
        if source is None or target is None:
            raise UserError(
                "An org of this run is no longer registered.",
                next_step="Connect it again and start a new run.",
            )
        self._target_id = target
        self._source = bridge.row_source(workspace, source)
        self._target = bridge.org_client(workspace, target)
        self._spool = bridge.spool.run(row.id, wrapped_key, guard=store.check_held)
        orgs: dict[str, RowSource] = {"source": self._source, "target": self._target}
        self._stay = Stay(bridge, row, store, orgs=orgs)
        pulse.tell_calls(self._stay.calls)
        self._opened: tuple[RunContext, Resolved] | None = None
        self._ready = True

    def carry(self) -> RunState:
        try:
            self._work()
        except TakenOverError:
            log.warning("run was taken over", extra={"run": self._row.name})
            raise
        except StopRequested as stop:
            return self._stopped(stop.wish)
        except DecisionNeeded as asked:
            return self._ask(asked)
        except DailyLimitError as limit:
            self._note(str(limit), level="warning")
            self._stay.leave(RunState.PAUSED, reason=f"daily limit: {limit.happened}")
            return RunState.PAUSED
        except StalledJobError as stalled:
            self._note(str(stalled), level="warning")
            self._stay.leave(RunState.PAUSED, reason=str(stalled))
            return RunState.PAUSED
        except OrgbridgeError as error:
            self._note(str(error), level="error")
            self._note_last_write(error)
            self._stay.leave(RunState.FAILED, reason=str(error))
            raise
        return self._finish()

    def _work(self) -> None:
        self._plan = with_load_options(self._plan, self._row.options)
        self._check()
        run, resolved = self._prepare()
        if run.writes:
            settle_late(self._bridge, run, self._row, resolved.steps)
        if self._row.mode == "undo":
            self._undo(run, resolved)
            self._settle_links(run, is_whole=False)
            return
        only = set(self._row.options.get("only") or ())
        chosen = [step for step in resolved.steps if not only or step.name in only]
        if self._row.mode == "trial":
            self._try(run, chosen)
            return
        if told_to_stop(self._row.options):
            self._close(run, resolved, chosen)
            return
        self._count(run, chosen, when="before")
        if run.is_canary:
            self._canary(run, resolved, chosen)
        self._loading.load(chosen)
        self._pulse.check()
        if not run.writes:
            return
        self._second_passes(run, chosen)
        proves = self._row.options.get("verify", True)
        last = partial(set_finally, run, reads_back=not proves)
        self._pass(run, "finally", chosen[::-1], act=last, edges=resolved.order.edges)
        if self._row.mode == "retry":
            self._resolve(run, chosen)
        if proves:
            self._verify(run, chosen)
        self._settle_links(run)

    def _close(self, run: RunContext, resolved: Resolved, chosen: list[Step]) -> None:
        """The rest is left behind by choice: what is there gets the lookups that waited, and its
        proof. Nothing is set finally, since children may be missing (rules 3.7, 8.2)."""
        if not run.writes:
            return
        for step in resolved.steps:
            self._loading.links(step)
        self._second_passes(run, chosen)
        if self._row.options.get("verify", True):
            self._verify(run, chosen)
        self._settle_links(run)
        left = [row for row in self._store.steps() if row.status not in DONE_STEPS]
        with self._store.commit() as commit:
            for row in left:
                commit.step(row.id, status=StepState.CANCELLED)

    def _second_passes(self, run: RunContext, chosen: list[Step]) -> None:
        """Fills in what waited; every object is there, and none is bound but by what they share."""
        steps = [step for step in chosen if not step.operation.is_delete]
        self._pass(run, "second_pass", steps, act=partial(second_pass, run))

    def _pass(
        self,
        run: RunContext,
        phase: str,
        steps: list[Step],
        *,
        act: Callable[[Step, StepRow], None],
        edges: Collection[Edge] = (),
    ) -> None:
        """One phase of all these objects, side by side but for what has to do with each other: of
        those, and of what the edges bind, the later one in the list waits for the earlier one."""
        first = earlier(steps, edges)
        turns = [
            Turn(s.name, partial(self._phase, run, s, phase, act), first[s.name]) for s in steps
        ]
        go(turns, halt=self._pulse.halt)

    def _check(self) -> None:
        """Preflight, once, before anything is sent."""
        with self._bridge.session(self._row.workspace_id) as session:
            read_only = org_row(session, self._target_id).read_only
            stopped = stopped_runs(session, self._row, self._plan)
        given = PreflightInput(
            self._plan,
            self._source,
            self._target,
            stopped_runs=stopped,
            is_read_only=read_only and writes(self._row),
        )
        self._ready = check(self._store, self._row, given)

    def _resolve(self, run: RunContext, steps: list[Step]) -> None:
        """Notes on the failures of the run before which rows arrived now."""
        for step in steps:
            read = pl.concat([pl.Series(ID, [], pl.String), *_ids_read(run, step)])
            with self._store.commit() as commit:
                retries.mark_resolved(commit.session, self._row.id, step.name, read)

    def _canary(self, run: RunContext, resolved: Resolved, chosen: list[Step]) -> None:
        """Loads the canary's rows, once, and asks whether the rest may follow (rule 8.2)."""
        if self._row.options.get(f"decided_{CANARY}"):
            return
        for step in chosen:
            self._loading.read(step)
        figures = self._row.summary.get("canary")
        if figures is None:
            options = self._row.options
            percent, roots = int(options["canary_percent"]), options.get("canary_roots") or ()
            figures = canary.choose(run, chosen, percent=percent, roots=roots)
            with self._store.commit(of_run=True) as commit:
                commit.summary({"canary": figures})
                commit.event(canary.sentence(figures))
        run.translator.coming = {step.name: read_rows(run, step.name) for step in chosen}
        self._loading.load(chosen, is_canary=True)
        run.translator.coming = {}
        if self._row.options.get("verify", True):
            self._verify(run, chosen)
        self._settle_links(run)
        raise DecisionNeeded(CANARY, f"{canary.sentence(figures)} Continue with the rest, or stop?")

    def _try(self, run: RunContext, steps: list[Step]) -> None:
        """A trial of every object that needs no other one."""
        for step in steps:
            row = self._loading.row(step)
            if step.wave or row.status in DONE_STEPS or step.operation.is_delete:
                continue
            self._pulse.check()
            try_step(run, step, row, self._loading.rules(step))

    def _undo(self, run: RunContext, resolved: Resolved) -> None:
        """Takes the parent run's writes back, children's objects first."""
        parent_id = self._row.parent_run_id
        if parent_id is None:
            raise NotFoundError("The run to be undone is gone.")
        with self._bridge.session(self._row.workspace_id) as session:
            spool = self._bridge.spool.run(parent_id, runs.wrapped_key(session, parent_id))
        parent = RunStore(
            self._bridge.owner_session,
            workspace_id=self._row.workspace_id,
            run_id=parent_id,
            token=NOBODY,
        )
        for step in reversed(resolved.steps):
            links = spelt(self._loading.links(step), run.ids)
            act = partial(undo_step, run, parent=parent, spool=spool, links=links)
            self._phase(run, step, "undo", act)

    def _verify(self, run: RunContext, steps: list[Step]) -> None:
        """Proof per mapping, once; a run that is resumed afterwards keeps it."""
        proof = prove(run, steps)
        with self._store.commit(of_run=True) as commit:
            commit.summary({"proof": proof, "readers": readers(run)})
        self._count(run, steps, when="after")

    def _count(self, run: RunContext, steps: list[Step], *, when: str) -> None:
        """Rows of the target objects for the proof; once before, whoever carries the run on."""
        wanted = run.writes and self._row.options.get("verify", True)
        if wanted and (when == "after" or f"rows_{when}" not in self._row.summary):
            counted = target_counts(run, (step.target.name for step in steps))
            with self._store.commit(of_run=True) as commit:
                commit.summary({f"rows_{when}": counted})

    def _prepare(self) -> tuple[RunContext, Resolved]:
        given = Given(
            row=self._row,
            plan=self._plan,
            store=self._store,
            spool=self._spool,
            source=self._source,
            target=self._target,
            pulse=self._pulse,
            sleep=self._sleep,
        )
        run, resolved, sets = opened(given)
        formulas = delta.formulas(resolved.steps)
        reading = Reading(self._bridge, self._row, self._plan, formulas=formulas)
        with self._store.commit(of_run=True) as commit:
            commit.summary({"formulas": formulas})
        self._loading = Loading(
            run, resolved, sets, row=self._row, bridge=self._bridge, reading=reading
        )
        run.translator.parents = Parents(run, resolved.steps, rules_of=self._loading.rules)
        run.translator.unread = self._loading.unread
        self._opened = run, resolved
        return run, resolved

    def _phase(
        self, run: RunContext, step: Step, phase: str, act: Callable[[Step, StepRow], None]
    ) -> None:
        row = run.store.step(step.name, phase)
        if row is None or row.status in DONE_STEPS:
            return
        with self._store.commit() as commit:
            commit.step(row.id, status=StepState.RUNNING)
        act(step, row)
        row = run.store.step(step.name, phase) or row
        with self._store.commit() as commit:
            commit.step(row.id, status=step_status(row))
            if left := left_behind(row):
                commit.event(f"{step.name}, {PASSES[phase]}: {left}", step=step.name)

    def _settle_links(self, run: RunContext, *, is_whole: bool = True) -> None:
        """Notes when the run's last write was; a run that ended early `is_whole` not."""
        at = iso(clock_of(self._target))
        with self._store.commit() as commit:
            for set_id in run.link_sets.values():
                ledger.settle(commit.session, set_id, run_id=self._row.id, at=at)
                if is_whole:
                    ledger.adopt_scheme(commit.session, set_id, hash_scheme=HASH_VERSION)

    def _finish(self) -> RunState:
        steps = self._store.steps()
        status = status_of(steps)
        # the rest was left behind by choice, or a run that writes would be refused: never green
        if told_to_stop(self._row.options) or not self._ready:
            status = RunState.PARTIAL
        self._compare(steps)
        if self._row.mode == "undo" and status is RunState.SUCCEEDED and writes(self._row):
            with self._bridge.session(self._row.workspace_id) as session:
                runs.mark_undone(session, self._row.parent_run_id)
        self._stay.leave(status, over=True)
        return status

    def _compare(self, steps: list[StepRow]) -> None:
        with self._bridge.session(self._row.workspace_id) as session:
            row = runs.run_by_id(session, self._row.id)
            expected = runs.last_dry_run(session, row)
        with self._store.commit(of_run=True) as commit:
            commit.summary({"compared": compared(steps, row.buckets, expected)})

    def _stopped(self, wish: str) -> RunState:
        if wish == "cancel":
            self._ask_late()
            self._stay.leave(RunState.CANCELLED, over=True)
            return RunState.CANCELLED
        if wish == "yield":
            self._stay.leave(RunState.RUNNING)
            return RunState.RUNNING
        self._stay.leave(RunState.PAUSED, reason="paused by a person")
        return RunState.PAUSED

    def _ask_late(self) -> None:
        """What the org committed although it was told to stop is noted, if it can be asked."""
        if self._opened is None or not self._opened[0].writes:
            return
        run, resolved = self._opened
        try:
            settle_late(self._bridge, run, self._row, resolved.steps)
            self._settle_links(run, is_whole=False)
        except OrgbridgeError as error:
            self._note(f"{error} The next run asks again.", level="warning")

    def _note_last_write(self, error: OrgbridgeError) -> None:
        """Of a run that failed though its target answers: a new run may follow instead."""
        away = isinstance(error, TransientError | LostError)
        if not away and self._opened is not None and self._opened[0].writes:
            with suppress(OrgbridgeError):
                self._settle_links(self._opened[0], is_whole=False)

    def _ask(self, asked: DecisionNeeded) -> RunState:
        with self._store.commit(of_run=True) as commit:
            commit.summary({"waits_for": asked.about})
        self._stay.leave(RunState.WAITING_DECISION, reason=asked.sentence)
        return RunState.WAITING_DECISION

    def _note(self, message: str, *, level: str) -> None:
        with self._store.commit() as commit:
            commit.event(message, level=level)


def _ids_read(run: RunContext, step: Step) -> Iterator[pl.Series]:
    return (page.get_column(ID) for page in run.spool.pages(source_folder(step), [ID]))


__all__ = ["Lease", "carry"]
