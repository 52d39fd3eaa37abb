"""Puts tables into an org: rows saved as a client would save them, references resolved on the way.

Lookups at rows that come later wait for an update at the end. Columns that the org does not have
are left out and named; rows that the org refuses are counted with their reasons, never dropped in
silence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from orgsim import dml
from orgsim.dml import Outcomes, Save
from orgsim.schema.model import Field, SObject
from orgsim.seeds.tables import PARENT, REF, Row, Table, Value

_REFERENCE = "reference"


@dataclass(slots=True)
class Placed:
    """What became of the tables: rows by sobject, refusals by reason, what was left out."""

    rows: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    left_out: set[str] = field(default_factory=set)
    unresolved: Counter[str] = field(default_factory=Counter)


def place(save: Save, tables: Iterable[Table]) -> Placed:
    """Save the rows of all tables as ``save``'s user; each table is one transaction."""
    placing = _Placing(save)
    for table in tables:
        sobject = save.full.sobject(table.sobject)
        if sobject is None:
            placing.placed.left_out.add(table.sobject)
        elif table.update:
            placing.update(sobject, list(table.rows))
        else:
            placing.insert(sobject, list(table.rows))
    placing.settle()
    return placing.placed


class _Placing:
    """The ids given so far and the lookups that wait."""

    def __init__(self, save: Save) -> None:
        self.placed = Placed()
        self._save = save
        self._ids = _known_rows(save)
        self._waiting: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)

    def insert(self, sobject: SObject, rows: list[Row]) -> None:
        """Insert rows; lookups that cannot be filled yet wait for ``settle``."""
        if not rows:
            return
        frame = self._frame(sobject, rows, waiting=True)
        outcomes = dml.insert(self._save, sobject.name, frame)
        self._count(sobject, outcomes)
        for number, _, record_id in _saved(outcomes):
            name = rows[number].get(REF)
            if name is not None:
                self._ids[str(name)] = record_id

    def update(self, sobject: SObject, rows: list[Row]) -> None:
        """Update rows that an earlier table or the org itself holds, found by their ``@ref``."""
        known = [row for row in rows if str(row.get(REF)) in self._ids]
        ids = [self._ids[str(row[REF])] for row in known]
        frame = self._frame(sobject, known, waiting=False).with_columns(pl.Series("Id", ids))
        self._count(sobject, dml.update(self._save, sobject.name, frame))

    def settle(self) -> None:
        """Fill the lookups that waited for rows of later tables."""
        for (name, lookup), pairs in self._waiting.items():
            found = [(self._ids[row], self._ids[to]) for row, to in pairs
                     if row in self._ids and to in self._ids]  # fmt: skip
            self.placed.unresolved[f"{name}.{lookup}"] += len(pairs) - len(found)
            if found:
                frame = pl.DataFrame(found, schema=["Id", lookup], orient="row")
                self._refuse(name, dml.update(self._save, name, frame))
        self.placed.unresolved = +self.placed.unresolved

    def _frame(self, sobject: SObject, rows: list[Row], *, waiting: bool) -> pl.DataFrame:
        columns = {name for row in rows for name in row if not name.startswith("@")}
        if any(PARENT in row for row in rows):
            columns |= {f.name for f in map(self._parent_field, rows) if f is not None}
        made: dict[str, list[str | None]] = {}
        for column in sorted(columns):
            found = self._target(sobject, column)
            if found is None:
                self.placed.left_out.add(f"{sobject.name}.{column}")
                continue
            cells = [
                self._cell(sobject, found, row=row, column=column, waiting=waiting) for row in rows
            ]
            made[found.name] = cells
        return pl.DataFrame(made, schema=dict.fromkeys(made, pl.String), height=len(rows))

    def _target(self, sobject: SObject, column: str) -> Field | None:
        """Return the field that a column fills; a dotted one fills the lookup it goes through."""
        found = (
            sobject.relationship(column.split(".", 1)[0])
            if "." in column
            else sobject.field(column)
        )
        return found if found is not None and (found.createable or found.updateable) else None

    def _cell(
        self, sobject: SObject, found: Field, *, row: Row, column: str, waiting: bool
    ) -> str | None:
        value = row.get(column)
        if value is None and PARENT in row and found.type == _REFERENCE:
            parent_field = self._parent_field(row)
            if parent_field is not None and parent_field.name == found.name:
                value = "@" + str(row[PARENT]).split("|")[1]
        if found.type != _REFERENCE or value is None:
            return _text(value)
        name = _reference_name(found, column, str(value))
        if name in self._ids:
            return self._ids[name]
        if waiting and row.get(REF) is not None:
            self._waiting[sobject.name, found.name].append((str(row[REF]), name))
        return None

    def _parent_field(self, row: Row) -> Field | None:
        if PARENT not in row:
            return None
        parent_name, _, relationship = str(row[PARENT]).split("|")
        parent = self._save.full.sobject(parent_name)
        child = parent.child(relationship) if parent is not None else None
        target = self._save.full.sobject(child.child_sobject) if child is not None else None
        return target.field(child.field) if target is not None and child is not None else None

    def _count(self, sobject: SObject, outcomes: Outcomes) -> None:
        self.placed.rows[sobject.name] += outcomes.saved.height
        self._refuse(sobject.name, outcomes)

    def _refuse(self, name: str, outcomes: Outcomes) -> None:
        for reasons in outcomes.refusals.values():
            self.placed.refused[f"{name}: {reasons[0].code}: {reasons[0].message}"] += 1


def _known_rows(save: Save) -> dict[str, str]:
    """Return references to rows that every org has: its users and its record types."""
    with save.store.read() as cursor:
        users = cursor.execute('SELECT "Username", "Id" FROM "User"').fetchall()
        types = cursor.execute(
            'SELECT "SobjectType", "DeveloperName", "Id" FROM "RecordType"'
        ).fetchall()
    known = {f"User:{str(username).split('@', 1)[0]}": record_id for username, record_id in users}
    return known | {f"RecordType|{sobject}.{name}": record_id for sobject, name, record_id in types}


def _reference_name(found: Field, column: str, value: str) -> str:
    if "." in column and not value.startswith("@"):
        return f"{found.reference_to[0]}|{value}"
    return value.removeprefix("@")


def _saved(outcomes: Outcomes) -> list[tuple[int, bool, str]]:
    return outcomes.saved.select("row", "created", "id").rows()


def _text(value: Value) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else str(value)
