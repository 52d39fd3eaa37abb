"""Loads the mappings of an opened run: each is read, matched and loaded in its turn.

    read (ahead of its turn) ─▶ links ─▶ match ─▶ who stands aside ─▶ load ─▶ its figures

A mapping goes on where an earlier worker stopped; one that is loaded is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from core.db import ledger, runs
from core.db.ledger import LinkSetRow
from core.db.run_state import StepRow
from core.domain.hashing import HASH_VERSION
from core.domain.states import DONE_STEPS, StepState
from core.errors import BugError
from core.migration import canary, delta, survivors
from core.migration.adopt import link_adopted
from core.migration.context import RunContext
from core.migration.idmap import NONE
from core.migration.late import hold_unknown
from core.migration.links import Said, coded
from core.migration.load import load_step
from core.migration.match import Match, Matches, match
from core.migration.person_contacts import link_contacts
from core.migration.reading import Reading
from core.migration.resolve import Resolved
from core.migration.spec import Step
from core.migration.summary import ids_left, settled, step_status
from core.migration.transform import StepRules
from core.migration.turns import Turn, earlier, go
from core.migration.unread import UnreadLinks

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge


class Loading:
    """What the loading of every mapping of one run shares."""

    def __init__(
        self,
        run: RunContext,
        resolved: Resolved,
        sets: Mapping[str, LinkSetRow],
        *,
        row: runs.RunRow,
        bridge: Orgbridge,
        reading: Reading,
    ) -> None:
        self._run = run
        self._steps = resolved.steps
        self._edges = resolved.order.edges
        self._sets = sets
        self._row = row
        self._bridge = bridge
        self._reading = reading
        self.unread = UnreadLinks(run.target, ids=run.ids, maps=run.maps)

    def load(self, chosen: Sequence[Step], *, is_canary: bool = False) -> None:
        """Loads these mappings in their order, side by side where nothing binds two of them.

        Args:
            is_canary: only the rows whose turn it is in a canary run (rule 8.2).
        Raises:
            what `load_step` raises.
        """
        ahead = {name for s in chosen for k in s.lookups if k.deferred for name in k.parents}
        for step in self._steps:
            if step.name in ahead:  # the ledger may know what a lookup waits for
                self._links_alone(step)
        first = earlier(self._steps, self._edges)
        turns: list[Turn] = []
        for step in self._steps:
            after = set(first[step.name])
            if step not in chosen:
                turns.append(Turn(step.name, partial(self._links_alone, step), after))
                continue
            if not self._reading.follows:  # a delta reads by what became of the parents
                turns.append(self._read_ahead(step, turns))
                after.add(turns[-1].name)
            turns.append(Turn(step.name, partial(self._load, step, is_canary=is_canary), after))
        go(turns, halt=self._run.pulse.halt)

    def links(self, step: Step) -> pl.DataFrame:
        """The ledger's links of a mapping (`coded`), put into its id map."""
        run = self._run
        with run.store.look() as session:
            set_id = run.link_sets[step.name]
            links = coded(ledger.link_parts(session, set_id, run_id=self._row.id), run.ids)
        run.maps[step.name].add(*(links.get_column(n).to_numpy() for n in ("source", "target")))
        if self._row.mode != "undo":
            survivors.redirect(run, step, self._survivors(step))
        link_contacts(run, step, self._steps)
        return links

    def read(self, step: Step) -> StepRow:
        """Puts a mapping's rows on the spool, once; its step as it is then."""
        self._reading.read(self._run, step, self.row(step), self.rules(step))
        row = self.row(step)
        self._run.sizes[step.name] = list(row.cursor["sizes"])
        return row

    def row(self, step: Step) -> StepRow:
        """The step in which a mapping is loaded, as it is now."""
        row = self._run.store.step(step.name, "load")
        if row is None:
            raise BugError(f"The run has no step for {step.name}.", state="Nothing was sent.")
        return row

    def rules(self, step: Step) -> StepRules:
        """A mapping's rules, compiled."""
        return StepRules(step, salt=str(self._row.plan_id).encode())

    def _read_ahead(self, step: Step, before: Sequence[Turn]) -> Turn:
        """The reading of a mapping, which needs no other one unless a scope asks what they read."""

        def read() -> None:
            self._run.pulse.check()
            self.read(step)

        scoped = step.mapping.scope is not None
        after = [turn.name for turn in before if turn.is_reading and scoped]
        return Turn(f"read {step.name}", read, after, is_reading=True)

    def _load(self, step: Step, *, is_canary: bool) -> None:
        """Loads a mapping's rows; of a canary run those whose turn it is."""
        run, row = self._run, self.row(step)
        if is_canary and row.cursor.get("canary_done"):
            self._links_alone(step)
            return
        run.limit.check()
        with run.store.commit() as commit:
            if row.status in (StepState.PENDING, StepState.PAUSED, StepState.FAILED):
                commit.step(row.id, status=StepState.RUNNING)
        matches = self._matches(step)
        if matches is None:
            return
        mark = ""
        if run.is_canary:
            turn = canary.turn_of(run, step, is_canary=is_canary)
            turn.narrow(matches)
            mark = turn.mark
        rules, pages = self.rules(step), len(run.sizes[step.name])
        load_step(run, step, self.row(step), rules=rules, matches=matches, pages=pages, mark=mark)
        if is_canary:
            with run.store.commit() as commit:
                commit.step(row.id, status=StepState.PAUSED, cursor={"canary_done": True})
            return
        survivors.redirect(run, step, self._survivors(step))
        self._settle(step)

    def _matches(self, step: Step) -> Matches | None:
        """What is known of each row, and who of them stands aside; None where all are loaded."""
        run = self._run
        said = Said(self.links(step), self._sets[step.name], scheme=HASH_VERSION)
        n_links = said.height
        if self.read(step).status in DONE_STEPS:
            self.unread.note(step, None)
            return None
        matches = match(
            step,
            spool=run.spool,
            target=run.target,
            ids=run.ids,
            said=said,
            translator=run.translator,
        )
        self._note_unread(step, matches, n_links)
        if self._reading.follows:
            delta.note_new(run, step, matches)
        link_adopted(run, step, matches)
        hold_unknown(self._bridge, run, self._row, step=step, matches=matches)
        survivors.stand_aside(run, matches, self._survivors(step))
        return matches

    def _links_alone(self, step: Step) -> None:
        """The links of a mapping of which no row is read, or not yet."""
        self.links(step)
        self.unread.note(step, None)

    def _note_unread(self, step: Step, matches: Matches, n_links: int) -> None:
        """Lookups lead to no record that is gone, whether its row was read or not (rule 2.4)."""
        gone = matches.states == Match.GONE
        linked = np.count_nonzero(gone | (matches.states == Match.LINKED))
        if linked == n_links:  # as a rule, and then nothing is sorted for it
            self.unread.note_all(step)
        else:
            self.unread.note(step, matches.sources)
        self._run.maps[step.name].add(matches.sources[gone], np.full(gone.sum(), NONE))

    def _settle(self, step: Step) -> None:
        """Notes that a mapping is loaded, and how."""
        row = self.row(step)
        with self._run.store.commit(of_run=True) as commit:
            commit.step(row.id, status=step_status(row))
            commit.event(settled(row), step=step.name)
            buckets = row.cursor.get("buckets", {})
            commit.buckets({step.name: buckets})
            for name, n in buckets.get("ids_left", {}).items():
                commit.event(ids_left(step.name, name, n), step=step.name, level="warning")

    def _survivors(self, step: Step) -> survivors.Survivors:
        """What people decided about duplicates of a mapping's objects."""
        source, target = self._row.source_org_id, self._row.target_org_id
        with self._bridge.session(self._row.workspace_id) as session:
            return survivors.decided(session, step, source_org=source, target_org=target)
