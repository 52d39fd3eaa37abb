"""Ids of the source become ids of the target: through the ledger, a match, a map, or the record
types.

A lookup that cannot be translated follows its policy (rule 5.1) and is counted; an id of the source
is never sent as it is, because it is a well-formed id of the target too.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from core.domain.hidden_ids import Rewritten, ids_in_text, rewritten
from core.domain.plan import MatchFields
from core.errors import OrgbridgeError
from core.migration.idmap import NONE, Codes, IdCodes, IdMap
from core.migration.spec import Lookup, Step
from core.salesforce.client import OrgClient
from core.salesforce.source import RowSource

#: "no record type": never sent (Salesforce facts 4.1)
MASTER_RECORD_TYPE = "012000000000000AAA"
#: by what users and queues are recognised when nobody says otherwise
USER_MATCH = MatchFields(source="Username", target="Username")
QUEUE_MATCH = MatchFields(source="DeveloperName", target="DeveloperName")


class ParentFinder(Protocol):
    """Looks for parents that the run has not read."""

    def find(self, lookup: Lookup, codes: Codes) -> None:
        """Puts what the target has of these source rows into the id maps."""

    def are_late(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Which of these rows of the source changed after reading began, and were not found."""


@dataclass(frozen=True, slots=True)
class Translated:
    """One lookup column of one page."""

    #: target ids; null for blank and for what was not found
    ids: pl.Series
    #: the source names a record, and no record of the target was found for it
    unresolved: npt.NDArray[np.bool_]
    #: rows whose match found several records
    ambiguous: npt.NDArray[np.bool_]
    #: of the unresolved ones, those whose record changed after reading began
    late: npt.NDArray[np.bool_] | None = None


class Translator:
    """Translates the lookups of one run; id maps grow as objects are loaded. Thread-safe."""

    def __init__(
        self,
        source: RowSource,
        target: OrgClient,
        *,
        ids: IdCodes,
        maps: Mapping[str, IdMap],
    ) -> None:
        self._source = source
        self._target = target
        self._ids = ids
        self._maps = maps
        #: set once the run's steps are known
        self.parents: ParentFinder | None = None
        #: rows of mappings that this run has yet to load, sorted: lookups to them may wait (8.2)
        self.coming: Mapping[str, Codes] = {}
        self._tables: dict[tuple[str, str, str], dict[str, str | None]] = {}
        self._mutex = threading.Lock()

    @cached_property
    def running_user(self) -> str:
        """The user that we are in the target."""
        return self._target.identity.user_id

    def translate(
        self, step: Step, lookup: Lookup, values: pl.Series, *, last: bool = False
    ) -> Translated:
        """Target ids of one column of source ids.

        Args:
            last: no later pass looks again, so parents that were not read are looked for now.
        """
        blank = (values.is_null() | (values == "")).fill_null(value=True).to_numpy()
        if lookup.is_record_type:
            found = self._record_types(step, lookup, values)
            return Translated(found, found.is_null().to_numpy() & ~blank, np.zeros_like(blank))
        codes = self._ids.encode(values)
        targets = self._in_the_plan(lookup, codes)
        found = self._ids.decode(targets)
        ambiguous = np.zeros_like(blank)
        if (~blank & (targets == NONE)).any():
            found, ambiguous = self._beyond_the_plan(lookup, values, found)
        unresolved = found.is_null().to_numpy() & ~blank
        if not last or self.parents is None or not lookup.parents or not unresolved.any():
            return Translated(found, unresolved, ambiguous)
        self.parents.find(lookup, codes[unresolved])
        again = self._ids.decode(self._in_the_plan(lookup, np.where(unresolved, codes, NONE)))
        found = pl.select(pl.coalesce(found, again)).to_series()
        unresolved &= again.is_null().to_numpy()
        return Translated(found, unresolved, ambiguous, self.parents.are_late(codes) & unresolved)

    def _in_the_plan(self, lookup: Lookup, codes: Codes) -> Codes:
        """Codes of the target by the links of the mappings whose records the lookup may name."""
        targets = np.full(len(codes), NONE, dtype=np.int64)
        for parent in lookup.parents:
            missing = targets == NONE
            targets[missing] = self._maps[parent].look_up(codes[missing])
        return targets

    def still_to_come(self, lookup: Lookup, values: pl.Series) -> npt.NDArray[np.bool_]:
        """Ids of rows that this run loads later, as far as the lookup may be filled then."""
        coming = np.zeros(len(values), dtype=np.bool_)
        if self.coming and lookup.field.nillable and lookup.field.updateable:
            codes = self._ids.encode(values)
            for parent in lookup.parents:
                if parent in self.coming:
                    coming |= np.isin(codes, self.coming[parent])
        return coming

    def rewritten(self, texts: pl.Series) -> Rewritten:
        """Texts in which ids of records that this plan has moved so far are those of the target.

        Records of later waves are not known yet: a mapping with such a rule comes `after` them.
        """
        found = ids_in_text(texts).get_column("id").unique()
        codes = self._ids.encode(found)
        targets = np.full(len(codes), NONE, dtype=np.int64)
        for known in self._maps.values():
            missing = targets == NONE
            targets[missing] = known.look_up(codes[missing])
        new = pl.DataFrame({"source_id": found, "target_id": self._ids.decode(targets)})
        return rewritten(texts, new.drop_nulls())

    def fallback(self, lookup: Lookup) -> str | None:
        """The id that stands in for what was not found; None where the policy has none."""
        missing = lookup.policy.missing
        if missing == "running_user":
            return self.running_user
        return None if missing in ("reject", "blank") else missing

    def _record_types(self, step: Step, lookup: Lookup, values: pl.Series) -> pl.Series:
        there = {r.developer_name: r.record_type_id for r in step.target.record_types}
        renamed = dict(lookup.policy.map)
        table: dict[str, str | None] = {}
        for record_type in step.source.record_types:
            name = renamed.get(record_type.developer_name, record_type.developer_name)
            if not record_type.master and name is not None:
                table[record_type.record_type_id[:15]] = there.get(name)
        return values.str.slice(0, 15).replace_strict(table, default=None, return_dtype=pl.String)

    def _beyond_the_plan(
        self, lookup: Lookup, values: pl.Series, found: pl.Series
    ) -> tuple[pl.Series, npt.NDArray[np.bool_]]:
        """Records that exist in the target and are not in the plan: by map and by match."""
        policy = lookup.policy
        plain = {k[:15] if len(k) in (15, 18) else k: v for k, v in policy.map.items()}
        short = values.str.slice(0, 15)
        by_map = short.replace_strict(plain, default=None, return_dtype=pl.String)
        found = pl.select(pl.coalesce(found, by_map)).to_series()
        ambiguous = np.zeros(len(values), dtype=np.bool_)
        for sobject, match in self._matches(lookup):
            table = self._table(sobject, match, policy.map)
            hit = short.replace_strict(table, default=None, return_dtype=pl.String)
            twice = (hit == _SEVERAL).fill_null(value=False)
            if policy.ambiguous == "reject":
                ambiguous |= twice.to_numpy()
            hit = pl.select(pl.when(~twice).then(hit)).to_series()
            found = pl.select(pl.coalesce(found, hit)).to_series()
        return found, ambiguous

    def _matches(self, lookup: Lookup) -> list[tuple[str, MatchFields]]:
        policy = lookup.policy
        names = [policy.object] if policy.object else list(lookup.field.reference_to)
        found = []
        for name in names:
            if name.lower() == "group":
                found.append((name, QUEUE_MATCH))
            elif name.lower() == "user":
                found.append((name, policy.match or USER_MATCH))
            elif policy.match is not None:
                found.append((name, policy.match))
        return found

    def _table(
        self, sobject: str, match: MatchFields, renamed: Mapping[str, str | None]
    ) -> dict[str, str | None]:
        """Source id (15) → target id over the match field; read once per run."""
        key = (sobject, match.source, match.target)
        with self._mutex:
            if key not in self._tables:
                self._tables[key] = self._read_table(sobject, match, renamed)
            return self._tables[key]

    def _read_table(
        self, sobject: str, match: MatchFields, renamed: Mapping[str, str | None]
    ) -> dict[str, str | None]:
        try:
            there = _pairs(self._target, sobject, match.target)
            here = _pairs(self._source, sobject, match.source)
        except OrgbridgeError:
            if sobject.lower() == "group":  # no queues in this org
                return {}
            raise
        by_value: dict[str, str] = {}
        for record_id, value in there:
            low = value.strip().lower()
            by_value[low] = _SEVERAL if low in by_value else record_id
        table: dict[str, str | None] = {}
        for record_id, value in here:
            wanted = renamed.get(value, value)
            if wanted is not None:
                table[record_id[:15]] = by_value.get(wanted.strip().lower())
        return table


#: stands for "several records match"
_SEVERAL = "\x00several"


def _pairs(org: RowSource, sobject: str, path: str) -> list[tuple[str, str]]:
    where = " WHERE Type = 'Queue'" if sobject.lower() == "group" else ""
    pairs: list[tuple[str, str]] = []
    for frame in org.query_frames(f"SELECT Id, {path} FROM {sobject}{where}"):
        pairs.extend(frame.filter(pl.col(path).is_not_null()).select("Id", path).iter_rows())
    return pairs
