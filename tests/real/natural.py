"""Compares two stores by natural keys: rows are told by the fields that a tool's plan names.

Nothing of the engine is used. A key part may go through lookups (``Product2.StockKeepingUnit``); a
lookup is equal when the rows that it names have equal keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from tests.orgs import PracticeOrg

#: columns that each org keeps by itself
SYSTEM = frozenset({
    "Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById",
    "SystemModstamp", "LastActivityDate", "LastViewedDate", "LastReferencedDate", "OwnerId",
})  # fmt: skip

Key = tuple[Any, ...]


class Store:
    """The live rows of some objects of one org, told apart by natural keys."""

    def __init__(self, org: PracticeOrg, keys: Mapping[str, Sequence[str]]) -> None:
        self._org = org
        self._keys = keys
        self.rows = {
            name: [row for row in org.rows(name) if not row.get("IsDeleted")] for name in keys
        }
        self._by_id = {row["Id"]: (name, row) for name in keys for row in self.rows[name]}

    @cached_property
    def lookups(self) -> dict[str, dict[str, str]]:
        """Per object: relationship name → field."""
        found: dict[str, dict[str, str]] = {}
        for name in self._keys:
            described = self._org.json("GET", f"sobjects/{name}/describe")
            found[name] = {
                field["relationshipName"]: field["name"]
                for field in described["fields"]
                if field["relationshipName"]
            }
        return found

    @cached_property
    def written(self) -> dict[str, list[str]]:
        """Per object: the fields that a load can write."""
        found = {}
        for name in self._keys:
            described = self._org.json("GET", f"sobjects/{name}/describe")
            found[name] = [
                field["name"]
                for field in described["fields"]
                if field["createable"] and field["name"] not in SYSTEM
            ]
        return found

    def key(self, name: str, row: Mapping[str, Any]) -> Key:
        """The natural key of a row."""
        return tuple(self._part(name, row, path) for path in self._keys[name])

    def image(self, name: str, row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
        """The row with every lookup replaced by the key of what it names."""
        return {column: self._meant(row.get(column)) for column in columns}

    def _meant(self, value: Any) -> Any:
        if isinstance(value, str) and value in self._by_id:
            return self.key(*self._by_id[value])
        return value

    def _part(self, name: str, row: Mapping[str, Any], path: str) -> Any:
        relation, dot, rest = path.partition(".")
        if not dot:
            return row.get(path)
        parent = self._by_id.get(row.get(self.lookups[name].get(relation, "")) or "")
        return None if parent is None else self._part(parent[0], parent[1], rest)


def differences(
    old: Store, new: Store, *, written: Collection[str], blocked: Mapping[str, int]
) -> list[str]:
    """Sentences about rows and fields that differ; empty when all arrived, once and whole.

    Args:
        written: objects that the plans move; the others only tell what lookups mean.
        blocked: by object, how many rows the set rightly does not let through (repeated keys).
    """
    found: list[str] = []
    for name in written:
        rows = old.rows[name]
        theirs = Counter(new.key(name, row) for row in new.rows[name])
        ours = Counter(old.key(name, row) for row in rows)
        single = {key for key, count in ours.items() if count == 1}
        missing = [key for key in single if not theirs[key]]
        if len(rows) - len(new.rows[name]) != blocked.get(name, 0):
            found.append(f"{name}: {len(rows)} rows there, {len(new.rows[name])} here")
        found += [f"{name}: {key} is missing" for key in missing[:3]]
        found += [f"{name}: {key} came {n} times" for key, n in theirs.items() if n > ours[key]]
        columns = [c for c in old.written[name] if c in set(new.written[name])]
        by_key = {new.key(name, row): row for row in new.rows[name]}
        for row in rows:
            key = old.key(name, row)
            if key in single and key in by_key:
                was, now = old.image(name, row, columns), new.image(name, by_key[key], columns)
                found += [
                    f"{name} {key}.{c}: {was[c]!r} became {now[c]!r}"
                    for c in columns
                    if was[c] != now[c]
                ]
    return found
