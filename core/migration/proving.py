"""Proof of a whole run: what stands in the target is read back side by side, and compared.

    per mapping: read ─▶ compare ─▶ counts        four are read at once, three compared

Nothing is written to an org any more, so no mapping has to wait for another one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from core.db.run_state import StepRow
from core.domain.plan import Operation
from core.migration.context import RunContext
from core.migration.spec import Step
from core.migration.turns import Turn, go
from core.migration.verify import Standing, verify


def prove(run: RunContext, steps: list[Step]) -> dict[str, dict[str, Any]]:
    """Counts of `verify` by mapping, in the order of the steps; those that delete or write nothing
    have none."""
    found = _Proof(run)
    proven = [s for s in steps if not (s.operation.is_delete or s.operation is Operation.PRESERVE)]
    turns = [turn for step in proven for turn in found.turns(step)]
    go(turns, halt=run.pulse.halt)
    return {step.name: found.counts[step.name] for step in proven}


class _Proof:
    """What is known so far. Each mapping has its own entries, whichever thread makes them."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._rows = run.store.steps()
        self._standing: dict[str, Standing] = {}
        self.counts: dict[str, dict[str, Any]] = {}

    def turns(self, step: Step) -> tuple[Turn, Turn]:
        """Reading and comparing one mapping."""
        read = Turn(f"read {step.name}", partial(self._read, step), is_reading=True)
        return read, Turn(step.name, partial(self._compare, step), {read.name})

    def _phases(self, step: Step) -> list[StepRow]:
        return [r for r in self._rows if r.mapping_name == step.name and r.phase != "verify"]

    def _read(self, step: Step) -> None:
        self._run.pulse.check()
        self._standing[step.name] = Standing(self._run, step, self._phases(step))

    def _compare(self, step: Step) -> None:
        run, standing = self._run, self._standing.pop(step.name)
        self.counts[step.name] = verify(run, step, self._phases(step), standing)
        lost = self.counts[step.name]["differences"]["lost"]
        with run.store.commit() as commit:
            commit.event(f"{step.told}: verified, {lost:,} values lost", step=step.name)
