"""Judges a migration by the two orgs' stores alone; knows nothing of the engine.

Rows are read through the practice orgs' test API. Keyed rows must be there once each, with the same
values and with lookups to the copies of the same parents; keyless rows must be there as often as in
the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.orgs import PracticeOrg

Row = Mapping[str, Any]
KEY = "Legacy_Id__c"
FIELDS = {
    "Account": ("Name", "Phone", "Description"),
    "Contact": ("FirstName", "LastName", "Email", "Title"),
}
LOOKUPS = {
    "Account": {"ParentId": "Account"},
    "Contact": {"AccountId": "Account", "ReportsToId": "Contact"},
}


def live(org: PracticeOrg, sobject: str) -> list[dict[str, Any]]:
    """Rows that are not in the recycle bin."""
    return [row for row in org.rows(sobject) if not row["IsDeleted"]]


def judge_keyed(
    source: PracticeOrg, target: PracticeOrg, *, refused: Mapping[str, Iterable[str]] | None = None
) -> list[str]:
    """What is wrong, one sentence each; empty when all is right.

    Args:
        refused: by object, source ids that the target rightly refuses.
    """
    wrong: list[str] = []
    gone = {name: set(ids) for name, ids in (refused or {}).items()}
    there = {name: live(target, name) for name in FIELDS}
    key_of = {row["Id"]: row[KEY] for rows in there.values() for row in rows}
    for name, fields in FIELDS.items():
        copies: dict[str, list[Row]] = {}
        for row in there[name]:
            copies.setdefault(row[KEY] or "", []).append(row)
        rows = live(source, name)
        wanted = {row["Id"] for row in rows} - gone.get(name, set())
        wrong += [f"{name} extra: {key or 'no key'}" for key in copies if key not in wanted]
        for row in rows:
            if row["Id"] not in wanted:
                continue
            found = copies.get(row["Id"], [])
            if len(found) != 1:
                wrong.append(f"{name} {row['Name']}: {len(found)} copies")
                continue
            wrong += _unlike(name, row, found[0], fields)
            wrong += _misled(name, row, found[0], key_of, gone)
    return wrong


def judge_keyless(source: PracticeOrg, target: PracticeOrg, sobject: str) -> list[str]:
    """Rows without a key: as often in the target as in the source, by all their plain values."""
    fields = FIELDS[sobject]
    here = Counter(tuple(_plain(row[f]) for f in fields) for row in live(source, sobject))
    there = Counter(tuple(_plain(row[f]) for f in fields) for row in live(target, sobject))
    missing = [f"{sobject} missing {n}×: {k}" for k, n in (here - there).items()]
    extra = [f"{sobject} extra {n}×: {k}" for k, n in (there - here).items()]
    return missing + extra


def _unlike(name: str, row: Row, copy: Row, fields: Iterable[str]) -> list[str]:
    return [
        f"{name} {row['Name']}.{field}: {row[field]!r} became {copy[field]!r}"
        for field in fields
        if _plain(row[field]) != _plain(copy[field])
    ]


def _misled(
    name: str, row: Row, copy: Row, key_of: Mapping[str, str], gone: Mapping[str, set[str]]
) -> list[str]:
    wrong = []
    for field, parent in LOOKUPS[name].items():
        wanted = None if row[field] in gone.get(parent, set()) else row[field]
        found = key_of.get(copy[field]) if copy[field] else None
        if wanted != found:
            wrong.append(f"{name} {row['Name']}.{field}: should be {wanted}, is {found}")
    return wrong


def _plain(value: Any) -> Any:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value
