"""Links of rows that a run has not read: their records in the target are looked at before a lookup
leads to one (rule 2.4).

A delta, a retry and a filter leave rows out whose records people delete and merge all the same.

    links of rows that were not read ─▶ asked for by id, when a lookup names them
                                          ├─ there          the link holds
                                          ├─ merged away    it leads to the record that won
                                          └─ gone           it leads nowhere
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import polars as pl

from core.domain.describe import SObject
from core.migration.held import by_id, winners
from core.migration.idmap import Codes, IdCodes, IdMap
from core.migration.spec import ID, Step
from core.salesforce.client import OrgClient


class UnreadLinks:
    """What is known of such links in one run. Thread-safe; every record is asked for once."""

    def __init__(self, target: OrgClient, *, ids: IdCodes, maps: Mapping[str, IdMap]) -> None:
        self._target = target
        self._ids = ids
        self._maps = maps
        self._objects: dict[str, SObject] = {}
        #: sorted codes of the sources of links that nobody has looked at, by mapping
        self._unseen: dict[str, Codes] = {}
        self._mutex = threading.Lock()

    def note(self, step: Step, read: Codes | None) -> None:
        """Once the links of a mapping are in its id map: those of other rows are unseen.

        Args:
            read: rows that were read and matched, in any order; None for none.
        """
        sources, _ = self._maps[step.name].pairs()
        unseen = sources if read is None else sources[~np.isin(sources, read)]
        with self._mutex:
            self._objects[step.name] = step.target
            self._unseen[step.name] = unseen

    def note_none(self, step: Step) -> None:
        """Every row with a link was read and matched."""
        with self._mutex:
            self._unseen.pop(step.name, None)

    def look(self, name: str, codes: Codes) -> None:
        """Mends the links of these source rows where their record was merged away or is gone.

        Cost: one call for 2,000 records that no lookup of this run named before.
        """
        if not len(self._unseen.get(name, ())):
            return
        with self._mutex:
            unseen = self._unseen.get(name, np.empty(0, dtype=np.int64))
            asked = np.unique(codes[np.isin(codes, unseen)])
            if len(asked):
                self._mend(name, asked)
                self._unseen[name] = np.setdiff1d(unseen, asked, assume_unique=True)

    def _mend(self, name: str, asked: Codes) -> None:
        sobject, known = self._objects[name], self._maps[name]
        targets = known.look_up(asked)
        there = [
            self._ids.encode(page.get_column(ID))
            for page in by_id(sobject, self._target, self._ids.decode(targets), [ID])
        ]
        lost = ~np.isin(targets, np.concatenate(there)) if there else np.ones(len(asked), np.bool_)
        if not lost.any():
            return
        texts = self._ids.decode(targets[lost])
        won = dict(winners(sobject, texts.to_list(), target=self._target))
        led = texts.replace_strict(won, default=None, return_dtype=pl.String)
        known.add(asked[lost], self._ids.encode(led))
