"""Records that are in both orgs and in no plan, told by a field: users, queues, what `match` names.

A table says, for the ids of one object of the source, which record of the target has the same value
of the match field (spaces and case aside). It is read once per run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import polars as pl

from core.domain.plan import LookupPolicy, MatchFields
from core.errors import OrgbridgeError
from core.migration.spec import Lookup
from core.salesforce.client import OrgClient
from core.salesforce.source import RowSource

#: by what users and queues are recognised when nobody says otherwise
USER_MATCH = MatchFields(source="Username", target="Username")
QUEUE_MATCH = MatchFields(source="DeveloperName", target="DeveloperName")
#: stands for "several records match"
SEVERAL = "\x00several"

Table = Mapping[str, str | None]


class MatchTables:
    """The tables of one run. Thread-safe."""

    def __init__(self, source: RowSource, target: OrgClient) -> None:
        self._source = source
        self._target = target
        self._tables: dict[tuple[object, ...], Table] = {}
        self._mutex = threading.Lock()

    def of(self, lookup: Lookup) -> Iterator[Table]:
        """Source id (15) → target id, for every object that the lookup is matched in; `SEVERAL`
        where more than one record has the value, unless the first of them is asked for."""
        policy = lookup.policy
        for sobject, match in _matches(lookup):
            is_first = policy.ambiguous == "first"
            renamed = tuple(sorted(policy.map.items(), key=str))
            key = (sobject, match.source, match.target, is_first, renamed)
            with self._mutex:
                if key not in self._tables:
                    self._tables[key] = self._read(sobject, match, policy)
                table = self._tables[key]
            yield table

    def _read(self, sobject: str, match: MatchFields, policy: LookupPolicy) -> Table:
        try:
            there = sorted(_pairs(self._target, sobject, match.target))
            here = _pairs(self._source, sobject, match.source)
        except OrgbridgeError:
            if sobject.lower() == "group":  # no queues in this org
                return {}
            raise
        by_value: dict[str, str] = {}
        for record_id, value in there:
            low = value.strip().lower()
            if low not in by_value:
                by_value[low] = record_id
            elif policy.ambiguous != "first":
                by_value[low] = SEVERAL
        table: dict[str, str | None] = {}
        for record_id, value in here:
            wanted = policy.map.get(value, value)
            if wanted is not None:
                table[record_id[:15]] = by_value.get(wanted.strip().lower())
        return table


def _matches(lookup: Lookup) -> list[tuple[str, MatchFields]]:
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


def _pairs(org: RowSource, sobject: str, path: str) -> list[tuple[str, str]]:
    where = " WHERE Type = 'Queue'" if sobject.lower() == "group" else ""
    pairs: list[tuple[str, str]] = []
    for frame in org.query_frames(f"SELECT Id, {path} FROM {sobject}{where}"):
        pairs.extend(frame.filter(pl.col(path).is_not_null()).select("Id", path).iter_rows())
    return pairs
