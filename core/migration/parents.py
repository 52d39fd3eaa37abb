"""Parents that rows refer to and that this run has not read: looked for before a row is blocked
(rule 1.1).

A filter, a scope or a delta leaves parents out, and people go on working while a run reads. Such a
parent is fetched from the source by its id and recognised in the target as its own mapping would,
by key or natural key. It is never written. One that the target does not have, and that changed
after reading began, is drift: the next run brings it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from core.domain.plan import Rows
from core.domain.soql import in_list
from core.migration.context import RunContext
from core.migration.extract import read_columns
from core.migration.idmap import NONE, Codes
from core.migration.match import Match, match_rows
from core.migration.narrow import gathered
from core.migration.scope import read_rows
from core.migration.spec import ID, MODSTAMP, Lookup, Step
from core.migration.transform import StepRules

#: ids of one IN list: 18 characters each, far below the 100,000 characters of a query
IDS_IN_QUERY = 400

RulesOf = Callable[[Step], StepRules]


class Parents:
    """Finds parents for one run. Thread-safe; every id is asked for once."""

    def __init__(self, run: RunContext, steps: Sequence[Step], *, rules_of: RulesOf) -> None:
        self._run = run
        self._steps = {step.name: step for step in steps}
        self._rules_of = rules_of
        #: sorted codes of rows that were read or asked for, by mapping
        self._known: dict[str, Codes] = {}
        self._late: Codes = np.empty(0, dtype=np.int64)
        self._mutex = threading.Lock()

    def find(self, lookup: Lookup, codes: Codes) -> None:
        """Puts what the target has of these source rows into the id maps of their mappings."""
        with self._mutex:
            for name in lookup.parents:
                step = self._steps.get(name)
                if step is not None and not step.operation.is_delete:
                    self._find(step, np.unique(codes[codes != NONE]))

    def are_late(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Which of these rows of the source changed after reading began, and were not found."""
        return np.isin(codes, self._late)

    def _find(self, step: Step, codes: Codes) -> None:
        known = self._known.get(step.name)
        if known is None:
            known = read_rows(self._run, step.name)
        new = codes[~np.isin(codes, known, assume_unique=True)]
        ids = self._run.ids.decode(new)
        if step.source.key_prefix is not None:
            ids = ids.filter(ids.str.starts_with(step.source.key_prefix))
        self._known[step.name] = np.union1d(known, new)
        for start in range(0, len(ids), IDS_IN_QUERY):
            self._match(step, ids[start : start + IDS_IN_QUERY].to_list())

    def _match(self, step: Step, ids: list[str]) -> None:
        run, rules = self._run, self._rules_of(step)
        columns = read_columns(step, rules.source_columns)
        soql = f"SELECT {', '.join(columns)} FROM {step.source.name} WHERE {ID} IN {in_list(ids)}"
        archived = step.mapping.rows is not Rows.LIVE
        for page in run.source.query_frames(soql, all_rows=archived):
            run.pulse.check()
            narrow = gathered(step, [rules.seal(page)], run.ids)
            matches = match_rows(
                step, narrow, None, target=run.target, ids=run.ids, translator=run.translator
            )
            there = np.isin(matches.states, (Match.KEYED, Match.ADOPTED))
            run.maps[step.name].add(matches.sources[there], matches.targets[there])
            if MODSTAMP in page.columns:
                stamps = page.get_column(MODSTAMP).str.slice(0, 23)
                late = (stamps > run.watermark).fill_null(value=False).to_numpy() & ~there
                self._late = np.union1d(self._late, matches.sources[late])
