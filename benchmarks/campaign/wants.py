"""What a run forward must leave behind: inserts, updates, second passes, `finally`, reruns.

The rules of the plan in the oracle's own words: who is written, which blanks empty a field, whose
lookups lead where, and what people's edits between two runs win.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from benchmarks.campaign.cases import Case
from benchmarks.campaign.data import Row, Rows
from benchmarks.campaign.oracle import (
    Pairs,
    Want,
    Wanted,
    as_it_is,
    is_refused,
    live,
    normal,
    plain_fields,
)
from benchmarks.campaign.shapes import SHAPES


@dataclass(slots=True)
class Between:
    """What happened between a first run and the one that is judged."""

    #: source rows that were changed
    changed: set[str] = field(default_factory=set)
    #: source rows that came after the first run
    new: set[str] = field(default_factory=set)
    #: target id → edit | delete | merge
    touched: dict[str, str] = field(default_factory=dict)
    #: source id → target id as the first run left it
    pairs: dict[str, str] = field(default_factory=dict)
    #: losers of merges: their rows go on with the winner
    merged: dict[str, str] = field(default_factory=dict)


class Forward:
    """Wants of one run forward."""

    def __init__(
        self, case: Case, source: Rows, before: Rows, between: Between | None = None
    ) -> None:
        self.case = case
        self.source = source
        self.before = before
        self.between = between
        self.pairs = Pairs(case, source, before)
        if between is not None:
            self._adopt_pairs(between)
        self.wanted = Wanted()
        self._ids = {row["Id"]: (n, row) for n in case.objects for row in source[n]}
        self._fate: dict[str, str] = {}

    def _adopt_pairs(self, between: Between) -> None:
        rows = {row["Id"]: row for name in self.case.objects for row in self.before[name]}
        for source_id, target_id in between.pairs.items():
            if target_id in rows:
                self.pairs.there[source_id] = rows[target_id]

    def want(self) -> Wanted:
        """Everything that the target must hold."""
        for name in self.case.objects:
            self.wanted.figures[name] = Counter()
            paired = {row["Id"] for s, row in self.pairs.there.items() if s in self._ids}
            for row in live(self.before[name]):
                if row["Id"] not in paired:
                    token = self.pairs.target_token(name, row)
                    self.wanted.add(token, self._kept(name, row))
        for name in self.case.objects:
            for row in self.source[name]:
                self._one(name, row)
        return self.wanted

    def _kept(self, name: str, row: Row) -> Want:
        return as_it_is(self.case, name, row, pairs=self.pairs, before=self.before)

    # -- what becomes of a source row -----------------------------------------------------------

    def fate(self, source_id: str) -> str:
        """insert | update | keep | refused | blocked | skip | gone | unread."""
        if source_id not in self._fate:
            name, row = self._ids[source_id]
            self._fate[source_id] = "insert"  # a circle of required lookups there is not
            self._fate[source_id] = self._decide(name, row)
        return self._fate[source_id]

    def _decide(self, name: str, row: Row) -> str:
        there = self.pairs.there.get(row["Id"])
        if there is not None and (self.between or not there["IsDeleted"]):
            return self._decide_paired(name, row, there)
        if self.case.operation == "update":
            return "skip"
        return self._fresh(name, row)

    def _fresh(self, name: str, row: Row) -> str:
        if not self._parents_arrive(name, row):
            return "blocked"
        if self._is_for_bulk_only() and any(row[f] == "#N/A" for f in plain_fields(name)):
            return "blocked"  # the text empties a field in a bulk job; the run says so
        return "refused" if is_refused(name, row) else "insert"

    def _is_for_bulk_only(self) -> bool:
        """Rows without a key that the org itself holds to be unique go by bulk jobs (rule 2.5)."""
        return self.case.key in ("ledger", "composite")

    def _parents_arrive(self, name: str, row: Row) -> bool:
        needed = [f for f in self.case.lookups[name] if SHAPES[name].lookup(f).required]
        return all(self.exists(row[f]) for f in needed)

    def exists(self, source_id: str | None) -> bool:
        """The row has a copy in the target when the run is over."""
        return source_id is not None and self.fate(source_id) in _THERE

    def _decide_paired(self, name: str, row: Row, there: Row) -> str:
        act = self.between.touched.get(there["Id"]) if self.between else None
        if there["IsDeleted"] or act == "delete":
            if there["Id"] in (self.between.merged if self.between else ()):
                return "merged"
            return self._missing(name, row)
        if self.case.operation == "insert":
            return "skip matched"
        if not self._parents_arrive(name, row):
            return "blocked there"
        if act == "edit" and self.case.on_change != "overwrite":
            return "conflict" if self._differs(name, row, there) else "keep"
        differs = self._differs(name, row, there)
        if differs and is_refused(name, row):
            return "refused there"
        return "update" if differs else "keep"

    def _is_read(self, name: str, row: Row) -> bool:
        """A delta reads what changed, what stayed behind, and children of rows that are new (rule
        1.5); that a copy of another row is gone it does not learn."""
        if self.case.kind != "delta" or self.between is None or row["Id"] in self.between.changed:
            return True
        parents = [row[f] for f in self.case.lookups[name] if row[f] is not None]
        return any(p not in self.pairs.there or self.fate(p) == "insert" for p in parents)

    def _missing(self, name: str, row: Row) -> str:
        if not self._is_read(name, row):
            return "unread"
        if self.case.on_missing == "recreate":
            return self._fresh(name, row)
        return "gone skipped" if self.case.on_missing == "skip" else "gone blocked"

    def _differs(self, name: str, row: Row, there: Row) -> bool:
        """A plain field or a lookup would be another one."""
        if self.between is not None and row["Id"] not in self.between.changed:
            if not self._parent_came(name, row):
                return False
        plain = any(normal(self._sent(name, f, row, there)) != normal(there[f])
                    for f in plain_fields(name) if f not in SHAPES[name].once)  # fmt: skip
        return plain or self._lookups_differ(name, row, there)

    def _parent_came(self, name: str, row: Row) -> bool:
        """A parent that did not arrive in the first run arrives now."""
        return any(
            row[f] is not None and row[f] not in self.pairs.there and self.exists(row[f])
            for f in self.case.lookups[name]
            if not SHAPES[name].lookup(f).once
        )

    def _lookups_differ(self, name: str, row: Row, there: Row) -> bool:
        held = {one["Id"]: self.pairs.target_token(other, one)
                for other in self.case.objects for one in self.before[other]}  # fmt: skip
        return any(
            self.pairs.token[row[f]] != held.get(there[f])
            if self.exists(row[f])  # a parent that does not arrive is as good as none
            else self._clears() and there[f] is not None
            for f in self.case.lookups[name]
            if not SHAPES[name].lookup(f).once
        )

    # -- values ---------------------------------------------------------------------------------

    def _sent(self, name: str, field_name: str, row: Row, there: Row | None) -> Any:
        value = row[field_name]
        if there is None or normal(value) is not None:
            return value
        return None if self._clears() else there[field_name]

    def _clears(self) -> bool:
        """A blank empties the field: by the plan, or since the row is ours."""
        ours = self.between is not None
        return self.case.blanks == "clear" or (self.case.blanks == "default" and ours)

    def _one(self, name: str, row: Row) -> None:
        fate = self.fate(row["Id"])
        if fate == "unread":
            return
        there = self.pairs.there.get(row["Id"])
        counted = self.wanted.figures[name]
        keeps = fate in ("conflict", "merged") and self.case.on_change == "keep"
        counted["skipped" if keeps else _FIGURE[fate]] += 1
        if fate == "refused there" and there is not None and self._only_lookups(name, row, there):
            counted["refused lookups"] += 1
        if fate in ("blocked", "refused", "skip", "gone blocked", "gone skipped", "merged"):
            return
        token = self.pairs.token[row["Id"]]
        if there is not None and self.case.operation in ("upsert", "insert"):
            self.wanted.anew[token] = lambda: self._written(name, row, None)
        if fate == "insert":
            self.wanted.add(token, self._written(name, row, None))
        elif there is not None and fate == "update":
            self.wanted.add(token, self._written(name, row, there))
            if self._only_lookups(name, row, there):
                counted["lookups only"] += 1
        elif there is not None:
            self.wanted.add(token, self._unwritten(name, row, there))

    def _only_lookups(self, name: str, row: Row, there: Row) -> bool:
        """What differs is a lookup, which may be filled in beside the rest or later alone."""
        if self.between is not None and row["Id"] not in self.between.changed:
            return True
        return not self._plain_differs(name, row, there)

    def _plain_differs(self, name: str, row: Row, there: Row) -> bool:
        return any(normal(self._sent(name, f, row, there)) != normal(there[f])
                   for f in plain_fields(name) if f not in SHAPES[name].once)  # fmt: skip

    def _written(self, name: str, row: Row, there: Row | None) -> Want:
        values: dict[str, tuple[Any, ...]] = {}
        for one in plain_fields(name):
            keeps = there is not None and one in SHAPES[name].once
            value = there[one] if keeps and there else self._sent(name, one, row, there)
            values[one] = (normal(value),)
        if there is not None and self.between is not None and self._only_lookups(name, row, there):
            for one in plain_fields(name):
                values[one] = (*values[one], normal(there[one]))
        if self.case.finally_ and SHAPES[name].custom:
            only_lookups = there is not None and self._only_lookups(name, row, there)
            values["State__c"] = ("Active", *(values["State__c"] if only_lookups else ()))
        return Want(name, values, self._leads(name, row, there))

    def _leads(self, name: str, row: Row, there: Row | None) -> dict[str, tuple[str | None, ...]]:
        made: dict[str, tuple[str | None, ...]] = {}
        kept = self._kept(name, there).lookups if there is not None else {}
        for one in SHAPES[name].lookups:
            if not any(parent in self.case.objects for parent in one.to):
                continue
            was = kept.get(one.field, (None,))
            fixed = one.once and there is not None
            if fixed or one.field not in self.case.lookups[name]:
                made[one.field] = was
            elif row[one.field] is None:
                made[one.field] = (None,) if there is None or self._clears() else was
            elif self.exists(row[one.field]):
                made[one.field] = (self._parent_token(row[one.field]),)
            else:
                self.wanted.figures[name]["left blank"] += 1
                made[one.field] = (None,) if there is None else tuple({None, *was})
                made[one.field] += self._winner(row[one.field])
        return made

    def _winner(self, source_id: str) -> tuple[str, ...]:
        """The record that a row's copy was merged into: its children are that record's."""
        there = self.pairs.there.get(source_id)
        winner = self.between.merged.get(there["Id"]) if self.between and there else None
        return tuple(
            self.pairs.target_token(name, row)
            for name in self.case.objects
            for row in live(self.before[name])
            if row["Id"] == winner
        )

    def _parent_token(self, source_id: str) -> str:
        return self.pairs.token[source_id]

    def _unwritten(self, name: str, row: Row, there: Row) -> Want:
        want = self._kept(name, there)
        fate = self.fate(row["Id"])
        self.wanted.figures[name]["left blank"] += sum(
            row[one] is not None and not self.exists(row[one]) for one in self.case.lookups[name]
        )
        if fate == "conflict" and self.between and row["Id"] not in self.between.changed:
            self.wanted.slack[name] += 1  # unchanged, and the lookup that could come is named
        if self.between and self.between.touched.get(there["Id"]) == "edit" and fate != "conflict":
            written = self._written(name, row, there)
            if self.case.on_change == "overwrite":  # what was not changed need not be sent again
                for one, allowed in written.values.items():
                    want.values[one] = (*want.values[one], *allowed)
        return want


#: fates of rows that are in the target when the run is over; a row in conflict stays as it is
_THERE = ("insert", "update", "keep", "skip matched", "refused there", "conflict")
#: by fate, the figure that counts it
_FIGURE = {
    "insert": "inserted",
    "update": "updated",
    "keep": "unchanged",
    "skip": "skipped",
    "skip matched": "skipped",
    "refused": "failed",
    "refused there": "failed",
    "blocked": "blocked",
    "blocked there": "blocked",
    "conflict": "blocked",
    "gone blocked": "blocked",
    "gone skipped": "skipped",
    "merged": "blocked",
}
