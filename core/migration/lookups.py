"""Ids of the source become ids of the target: through the ledger, a match, a map, or the record
types.

A lookup that cannot be translated follows its policy (rule 5.1) and is counted; an id of the source
is never sent as it is, because it is a well-formed id of the target too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from core.domain.describe import RecordType, SObject
from core.domain.hidden_ids import Rewritten, ids_in_text, rewritten
from core.migration.idmap import NONE, Codes, IdCodes, IdMap
from core.migration.match_tables import SEVERAL, MatchTables
from core.migration.spec import Lookup, Step
from core.salesforce.client import OrgClient
from core.salesforce.source import RowSource

#: "no record type": never sent (Salesforce facts 4.1)
MASTER_RECORD_TYPE = "012000000000000AAA"


class ParentFinder(Protocol):
    """Looks for parents that the run has not read."""

    def find(self, lookup: Lookup, codes: Codes) -> None:
        """Puts what the target has of these source rows into the id maps."""

    def are_late(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Which of these rows of the source changed after reading began, and were not found."""


class LinkMender(Protocol):
    """Looks at records of links whose rows the run has not read."""

    def look(self, name: str, codes: Codes) -> None:
        """Mends the links of these source rows of a mapping in its id map."""


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
        self.unread: LinkMender | None = None
        #: rows of mappings that this run has yet to load, sorted: lookups to them may wait (8.2)
        self.coming: Mapping[str, Codes] = {}
        self._tables = MatchTables(source, target)

    @cached_property
    def running_user(self) -> str:
        """The user that we are in the target."""
        return self._target.identity.user_id

    def translate(
        self,
        step: Step,
        lookup: Lookup,
        values: pl.Series,
        *,
        last: bool = False,
        looks: bool = True,
    ) -> Translated:
        """Target ids of one column of source ids.

        Args:
            last: no later pass looks again, so parents that were not read are looked for now.
            looks: records of links whose rows were not read are looked at; not for rows of which
                nothing is sent.
        """
        blank = (values.is_null() | (values == "")).fill_null(value=True).to_numpy()
        if lookup.is_record_type:
            found = self._record_types(step, lookup, values)
            return Translated(found, found.is_null().to_numpy() & ~blank, np.zeros_like(blank))
        codes = self._ids.encode(values)
        if looks:
            self._look(lookup, codes)
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

    def _look(self, lookup: Lookup, codes: Codes) -> None:
        if self.unread is not None:
            for parent in lookup.parents:
                self.unread.look(parent, codes)

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
        kinds = record_types(step, lookup)
        table = {key: None if kind is None else kind.record_type_id for key, kind in kinds.items()}
        return values.str.slice(0, 15).replace_strict(table, default=None, return_dtype=pl.String)

    def _beyond_the_plan(
        self, lookup: Lookup, values: pl.Series, found: pl.Series
    ) -> tuple[pl.Series, npt.NDArray[np.bool_]]:
        """Records that exist in the target and are not in the plan: by map and by match."""
        plain = {k[:15] if len(k) in (15, 18) else k: v for k, v in lookup.policy.map.items()}
        short = values.str.slice(0, 15)
        by_map = short.replace_strict(plain, default=None, return_dtype=pl.String)
        found = pl.select(pl.coalesce(found, by_map)).to_series()
        ambiguous = np.zeros(len(values), dtype=np.bool_)
        for table in self._tables.of(lookup):
            hit = short.replace_strict(table, default=None, return_dtype=pl.String)
            twice = (hit == SEVERAL).fill_null(value=False)
            hit = pl.select(pl.when(~twice).then(hit)).to_series()
            ambiguous |= (twice & found.is_null()).to_numpy()
            found = pl.select(pl.coalesce(found, hit)).to_series()
        return found, ambiguous & found.is_null().to_numpy()


def record_types(step: Step, lookup: Lookup) -> dict[str, RecordType | None]:
    """Record types of the source (id of 15 characters) → those of the target; None without."""
    renamed = dict(lookup.policy.map)
    table: dict[str, RecordType | None] = {}
    for kind in step.source.record_types:
        wanted = renamed.get(kind.developer_name, renamed.get(kind.name, kind.developer_name))
        if not kind.master and wanted is not None:
            table[kind.record_type_id[:15]] = _record_type(step.target, wanted, kind.name)
    return table


def _record_type(target: SObject, wanted: str, label: str) -> RecordType | None:
    """The target's record type of a developer name or label; where several packages brought one of
    that name, the one with the same label."""
    known = [kind for kind in target.record_types if not kind.master]
    named = [kind for kind in known if kind.developer_name == wanted] or [
        kind for kind in known if kind.name == wanted
    ]
    if len(named) > 1:
        named = [kind for kind in named if kind.name == label]
    return named[0] if len(named) == 1 else None
