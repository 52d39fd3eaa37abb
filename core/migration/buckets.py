"""What is going to happen to the rows of a mapping, in numbers: kept with the run, shown before a
launch.

``{"insert": 10, "update": 3, "delete": 0, "unchanged": 87, "skipped": 0, "fields": {"Phone": 2,
"Name": 1}, "blocked": {"KEY_BLANK": 4}, "load": {"insert": {"collections": 1}}}``: fields are those
that updates change, with the rows in which they do; load tells by which API and in how many
requests or jobs the rows travel. Where a rule rewrites ids in text, ``ids_left`` tells by field how
many lead to no record that was moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from core.migration.prepare import ENGINE_COLUMNS, Prepared


@dataclass(slots=True)
class Buckets:
    """Running figures of one mapping."""

    rows: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)
    #: requests or jobs by operation and API
    load: dict[str, Counter[str]] = field(default_factory=dict)
    #: ids in text that stayed those of the source, by field
    ids_left: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Buckets:
        """The figures as they were stored."""
        rows = {k: v for k, v in document.items() if isinstance(v, int)}
        return cls(
            Counter(rows),
            Counter(document.get("fields", {})),
            Counter(document.get("blocked", {})),
            {name: Counter(by_api) for name, by_api in document.get("load", {}).items()},
            Counter(document.get("ids_left", {})),
        )

    def add(self, made: Prepared, requests: Mapping[str, Mapping[str, int]]) -> None:
        """Counts what was prepared, and the requests it travels in."""
        for operation, by_api in requests.items():
            self.load.setdefault(operation, Counter()).update(by_api)
        self.ids_left.update(made.ids_left)
        self.rows["insert"] += sum(frame.height for frame in made.inserts)
        self.rows["update"] += sum(frame.height for frame in made.updates)
        self.rows["delete"] += sum(frame.height for frame in made.deletes)
        for name in ("unchanged", "skipped"):
            self.rows[name] += made.totals[name]
        for failure in made.failures:
            if failure.kind == "blocked":
                self.blocked[failure.code] += 1
        for frame in made.updates:
            names = [n for n in frame.columns if n not in ENGINE_COLUMNS and n != "Id"]
            for name, count in zip(names, frame.select(pl.col(names).count()).row(0), strict=True):
                self.fields[name] += count

    def document(self) -> dict[str, Any]:
        """As JSON."""
        changed = {name: n for name, n in self.fields.most_common() if n}
        load = {name: dict(by_api) for name, by_api in self.load.items()}
        made = {**self.rows, "fields": changed, "blocked": dict(self.blocked), "load": load}
        left = {name: n for name, n in self.ids_left.items() if n}
        return {**made, "ids_left": left} if left else made
