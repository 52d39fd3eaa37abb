"""Which rows a data set's references mean: rows placed before, and rows that the org has already.

A reference is a text that is unique over the data set: a row's own ``@ref``; ``User:`` with the
name before the @; ``RecordType|`` with object and developer name; ``<object>|<key>`` for rows known
by their key fields.
"""

from __future__ import annotations

from typing import Any

from orgsim.dml import Save
from orgsim.schema.model import Field
from orgsim.soql.compiler import Reading, compile_query
from orgsim.soql.errors import QueryError

Key = tuple[str, ...]


class KnownRows:
    """The ids by reference; keys of objects are read from the org when they are first asked for."""

    def __init__(self, save: Save) -> None:
        self._save = save
        self._ids = _everywhere(save)
        self._learnt: set[tuple[str, Key]] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def __getitem__(self, name: str) -> str:
        return self._ids[name]

    def add(self, name: str, record_id: str) -> None:
        """Remember a row that was just placed."""
        self._ids[name] = record_id

    def find(self, names: list[str], key: Key) -> str | None:
        """Return the id of the first of ``names`` that is known; ``key`` names the rows."""
        for name in names:
            if name not in self._ids and key:
                self.learn(name.split("|", 1)[0], key)
            if name in self._ids:
                return self._ids[name]
        return None

    def learn(self, sobject: str, key: Key) -> None:
        """Read the rows of an object that the org has already, named by their key fields."""
        if (sobject, key) in self._learnt:
            return
        self._learnt.add((sobject, key))
        reading = Reading(self._save.full, self._save.now)
        try:
            plan = compile_query(f"SELECT Id, {', '.join(key)} FROM {sobject}", reading)
        except QueryError:
            return  # the org has no such object or field: nothing is known by that key
        columns = [column.sql for column in plan.columns]
        with self._save.store.read() as cursor:
            rows = cursor.execute(plan.select(columns)).fetchall()
        for record_id, *values in rows:
            if any(value is not None for value in values):
                self._ids.setdefault(f"{sobject}|{';'.join(map(_text, values))}", record_id)


def reference_names(found: Field, column: str, value: str) -> tuple[list[str], Key]:
    """Return what a lookup's cell may refer to, and the key of such rows.

    ``Parent.$$A.Code$B.Code`` and ``Parent.Code`` name a row by its key, ``@x`` by its ``@ref``,
    and anything else by an old id.
    """
    if value.startswith("@") or "." not in column:
        return [value.removeprefix("@")], ()
    path = column.split(".", 1)[1]
    key = tuple(path.removeprefix("$$").split("$")) if path.startswith("$$") else (path,)
    return [f"{target}|{value}" for target in found.reference_to], key


def _everywhere(save: Save) -> dict[str, str]:
    with save.store.read() as cursor:
        users = cursor.execute('SELECT "Username", "Id" FROM "User"').fetchall()
        types = cursor.execute(
            'SELECT "SobjectType", "DeveloperName", "Id" FROM "RecordType"'
        ).fetchall()
    known = {f"User:{str(username).split('@', 1)[0]}": record_id for username, record_id in users}
    return known | {f"RecordType|{sobject}.{name}": record_id for sobject, name, record_id in types}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
