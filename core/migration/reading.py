"""What a run reads of each mapping: all rows, what a delta needs, or the rows that a retry is for.

full, canary, dry run ─▶ all rows in scope
delta                 ─▶ what may have changed since the last run of the same version
retry                 ─▶ the rows that did not arrive in the run before, or those named, by ids
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from core.db import retries, runs
from core.db.run_state import StepRow
from core.domain.plan import Plan
from core.migration import delta
from core.migration.context import RunContext
from core.migration.delta import Since
from core.migration.extract import extract, read_columns
from core.migration.scope import within
from core.migration.spec import Step
from core.migration.survivors import Survivors, decided, with_values
from core.migration.transform import StepRules

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge


class Reading:
    """Reads the mappings of one run, each once, whoever carries the run on."""

    def __init__(self, bridge: Orgbridge, row: runs.RunRow, plan: Plan, *, formulas: str) -> None:
        self._bridge = bridge
        self._row = row
        self._plan = plan
        self._formulas = formulas

    @property
    def follows(self) -> bool:
        """It is a delta that reads only a part."""
        return self.since.watermark is not None

    @cached_property
    def since(self) -> Since:
        """What is followed; nothing where everything is read."""
        row = self._row
        if row.mode not in ("delta", "retry"):
            return Since()
        with self._bridge.session(row.workspace_id) as session:
            if row.mode == "retry" and row.parent_run_id is not None:
                choice = retries.RowChoice.of(row.options.get("retry") or {})
                left = retries.rows_left(session, row.parent_run_id, choice)
                return Since(behind=left, only_behind=True)
            if row.mode == "retry":
                return Since(behind=row.options.get("rows") or {}, only_behind=True)
            last = runs.last_run(session, row)
            if last is None or last[2] != self._formulas:
                return Since()
            return Since(last[1], runs.left_behind(session, last[0]))

    def read(self, run: RunContext, step: Step, row: StepRow, rules: StepRules) -> None:
        """Puts the mapping's rows on the spool and their number into the step's cursor."""
        if "sizes" in row.cursor:
            return
        chosen = self._survivors(step)
        got = extract(
            run.source,
            run.spool,
            step,
            columns=read_columns(step, rules.source_columns),
            watermark=run.watermark,
            keep=lambda page: rules.seal(
                with_values(run, step, self._scoped(run, step, page), chosen)
            ),
            beat=run.pulse.check,
            narrowed=delta.conditions(run, step, self.since, mappings=self._plan.objects),
        )
        gone = delta.deleted(run, step, self.since)
        with run.store.commit() as commit:
            commit.step(row.id, cursor={"sizes": got.sizes, **delta.drift(got.drift, gone)})
            commit.event(f"{step.told}: {got.rows:,} rows read", step=step.name)
            if gone:
                commit.event(delta.sentence(step, gone), step=step.name, level="warning")

    def _survivors(self, step: Step) -> Survivors:
        row = self._row
        with self._bridge.session(row.workspace_id) as session:
            return decided(
                session, step, source_org=row.source_org_id, target_org=row.target_org_id
            )

    def _scoped(self, run: RunContext, step: Step, page: pl.DataFrame) -> pl.DataFrame:
        """Only rows whose parent, by one of the scope's lookups, is read in this run (rule 1.4).

        The rows of a retry were in scope before.
        """
        scope = step.mapping.scope
        if scope is None or self.since.only_behind:
            return page
        mappings = self._plan.objects
        return within(
            run, step, page, fields=scope.within, mappings=mappings, is_delta=self.follows
        )
