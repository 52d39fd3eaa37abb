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
import numpy.typing as npt
import polars as pl

from core.domain.describe import SObject
from core.migration.held import by_id, winners
from core.migration.idmap import NONE, Codes, IdCodes, IdMap
from core.migration.spec import ID, Step
from core.salesforce.client import OrgClient


class UnreadLinks:
    """What is known of such links in one run. Thread-safe; every record is asked for once."""

    def __init__(self, target: OrgClient, *, ids: IdCodes, maps: Mapping[str, IdMap]) -> None:
        self._target = target
        self._ids = ids
        self._maps = maps
        self._objects: dict[str, SObject] = {}
        #: sorted codes of rows whose links were looked at, by mapping: read and matched, or asked
        #: for; mappings of which every link was are left out
        self._seen: dict[str, Codes] = {}
        self._mutex = threading.Lock()

    def note(self, step: Step, read: Codes | None) -> None:
        """Once the links of a mapping are in its id map: nobody has looked at those of other rows.

        Args:
            read: rows that were read and matched, in any order; None for none.
        """
        with self._mutex:
            self._objects[step.name] = step.target
            self._seen[step.name] = _NOBODY if read is None else np.sort(read)

    def note_all(self, step: Step) -> None:
        """Every row with a link was read and matched."""
        with self._mutex:
            self._seen.pop(step.name, None)

    def look(self, name: str, codes: Codes) -> None:
        """Mends the links of these source rows where their record was merged away or is gone.

        Cost: one call for 2,000 records that no lookup of this run named before.
        """
        if name not in self._seen:
            return
        with self._mutex:
            seen = self._seen.get(name)
            if seen is None:
                return
            new = np.unique(codes[~_is_in(codes, seen)])
            targets = self._maps[name].look_up(new)
            linked = targets != NONE
            if linked.any():
                self._mend(name, new[linked], targets[linked])
                self._seen[name] = np.union1d(seen, new[linked])

    def _mend(self, name: str, sources: Codes, targets: Codes) -> None:
        sobject, wanted = self._objects[name], self._ids.decode(targets)
        there = [
            self._ids.encode(page.get_column(ID))
            for page in by_id(sobject, wanted, org=self._target, columns=[ID])
        ]
        lost = ~np.isin(targets, np.concatenate([_NOBODY, *there]))
        if not lost.any():
            return
        texts = self._ids.decode(targets[lost])
        won = dict(winners(sobject, texts.to_list(), target=self._target))
        led = texts.replace_strict(won, default=None, return_dtype=pl.String)
        self._maps[name].add(sources[lost], self._ids.encode(led))


_NOBODY: Codes = np.empty(0, dtype=np.int64)


def _is_in(codes: Codes, ordered: Codes) -> npt.NDArray[np.bool_]:
    """Which codes are among the sorted ones; those may be a million, for every page."""
    if not len(ordered):
        return np.zeros(len(codes), dtype=np.bool_)
    at = np.minimum(np.searchsorted(ordered, codes), len(ordered) - 1)
    found: npt.NDArray[np.bool_] = ordered[at] == codes
    return found
