"""Puts tables into an org: rows saved as a client would save them, references resolved on the way.

Lookups at rows that come later wait for an update at the end; rows that cannot be without them wait
themselves. Columns that the org does not have are left out and named; rows that the org refuses are
counted with their reasons, never dropped in silence.
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
from orgsim.seeds.known import KnownRows, reference_names
from orgsim.seeds.tables import PARENT, REF, Row, Table, Value

_REFERENCE = "reference"
_PRICE_BOOK = "Pricebook2"


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
        else:
            placing.take(sobject, table)
    placing.settle()
    return placing.placed


class _Placing:
    """The rows known so far, and what waits for rows to come."""

    def __init__(self, save: Save) -> None:
        self.placed = Placed()
        self._save = save
        self._known = KnownRows(save)
        self._lookups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        self._rows: list[tuple[SObject, Row]] = []

    def take(self, sobject: SObject, table: Table) -> None:
        """Insert the rows of a table, or update those that its key finds in the org."""
        rows = list(table.rows)
        if table.key:
            self._known.learn(sobject.name, table.key)
        if sobject.name.lower() == "pricebook2":
            rows = self._without_standard_books(rows)
        there = [row for row in rows if (table.update or table.key) and self._is_known(row)]
        self._update(sobject, there)
        if not table.update:
            self._insert(sobject, [row for row in rows if row not in there], last=False)

    def settle(self) -> None:
        """Insert the rows and fill the lookups that waited."""
        while self._rows:
            waiting, self._rows = self._rows, []
            for name in dict.fromkeys(sobject.name for sobject, _ in waiting):
                rows = [(sobject, row) for sobject, row in waiting if sobject.name == name]
                self._insert(rows[0][0], [row for _, row in rows], last=False)
            if len(self._rows) == len(waiting):
                left, self._rows = self._rows, []
                for sobject, row in left:
                    self._insert(sobject, [row], last=True)
        self._fill_lookups()

    def _is_known(self, row: Row) -> bool:
        return str(row.get(REF)) in self._known

    def _insert(self, sobject: SObject, rows: list[Row], *, last: bool) -> None:
        ready = []
        for row in rows:
            if last or not self._lacks_parent(sobject, row):
                ready.append(row)
            else:
                self._rows.append((sobject, row))
        if not ready:
            return
        outcomes = dml.insert(self._save, sobject.name, self._frame(sobject, ready, waiting=True))
        self._count(sobject, outcomes)
        for number, record_id in outcomes.saved.select("row", "id").rows():
            name = ready[number].get(REF)
            if name is not None:
                self._known.add(str(name), record_id)

    def _update(self, sobject: SObject, rows: list[Row]) -> None:
        if not rows:
            return
        ids = [self._known[str(row[REF])] for row in rows]
        frame = self._frame(sobject, rows, waiting=False).with_columns(pl.Series("Id", ids))
        self._count(sobject, dml.update(self._save, sobject.name, frame))

    def _fill_lookups(self) -> None:
        for (name, lookup), pairs in self._lookups.items():
            found = [(self._known[row], self._known[to]) for row, to in pairs
                     if row in self._known and to in self._known]  # fmt: skip
            self.placed.unresolved[f"{name}.{lookup}"] += len(pairs) - len(found)
            if found:
                frame = pl.DataFrame(found, schema=["Id", lookup], orient="row")
                self._refuse(name, dml.update(self._save, name, frame))
        self.placed.unresolved = +self.placed.unresolved

    def _without_standard_books(self, rows: list[Row]) -> list[Row]:
        """An org has one standard price book from birth: it is meant, never made."""
        self._known.learn(_PRICE_BOOK, ("IsStandard",))
        kept = []
        for row in rows:
            if str(row.get("IsStandard")).lower() == "true":
                self._known.add(str(row.get(REF)), self._known[f"{_PRICE_BOOK}|true"])
            else:
                kept.append(row)
        return kept

    # -- cells -------------------------------------------------------------------------------------

    def _frame(self, sobject: SObject, rows: list[Row], *, waiting: bool) -> pl.DataFrame:
        columns = {name for row in rows for name in row if not name.startswith("@")}
        if any(PARENT in row for row in rows):
            columns |= {f.name for f in map(self._parent_field, rows) if f is not None}
        made: dict[str, list[str | None]] = {}
        for column in sorted(columns):
            found = _target(sobject, column)
            if found is not None and not (found.createable if waiting else found.updateable):
                continue  # only for the other sort of write
            if found is None:
                self.placed.left_out.add(f"{sobject.name}.{column}")
                continue
            made[found.name] = [
                self._cell(sobject, found, row=row, column=column, waiting=waiting) for row in rows
            ]
        if not made:
            # Rows without any field: a column in which nothing is given.
            made[_any_field(sobject)] = [None] * len(rows)
        return pl.DataFrame(made, schema=dict.fromkeys(made, pl.String), height=len(rows))

    def _cell(
        self, sobject: SObject, found: Field, *, row: Row, column: str, waiting: bool
    ) -> str | None:
        value = self._value(found, row, column)
        if found.type != _REFERENCE or value is None:
            return _text(value, found)
        names, key = reference_names(found, column, str(value))
        record_id = self._known.find(names, key)
        if record_id is None and waiting and row.get(REF) is not None:
            self._lookups[sobject.name, found.name].append((str(row[REF]), names[0]))
        return record_id

    def _value(self, found: Field, row: Row, column: str) -> Value:
        value = row.get(column)
        if value is None and PARENT in row and found.type == _REFERENCE:
            parent_field = self._parent_field(row)
            if parent_field is not None and parent_field.name == found.name:
                return "@" + str(row[PARENT]).split("|")[1]
        return value

    def _lacks_parent(self, sobject: SObject, row: Row) -> bool:
        """Whether a lookup that may not be empty points at a row that is not there yet."""
        for column in row:
            found = None if column.startswith("@") else _target(sobject, column)
            if found is None or found.type != _REFERENCE or found.nillable:
                continue
            value = row[column]
            if value is None or found.defaulted_on_create:
                continue
            names, key = reference_names(found, column, str(value))
            if self._known.find(names, key) is None:
                return True
        return False

    def _parent_field(self, row: Row) -> Field | None:
        if PARENT not in row:
            return None
        parent_name, _, relationship = str(row[PARENT]).split("|")
        parent = self._save.full.sobject(parent_name)
        child = parent.child(relationship) if parent is not None else None
        target = self._save.full.sobject(child.child_sobject) if child is not None else None
        return target.field(child.field) if target is not None and child is not None else None

    # -- what became of them -----------------------------------------------------------------------

    def _count(self, sobject: SObject, outcomes: Outcomes) -> None:
        self.placed.rows[sobject.name] += outcomes.saved.height
        self._refuse(sobject.name, outcomes)

    def _refuse(self, name: str, outcomes: Outcomes) -> None:
        for reasons in outcomes.refusals.values():
            self.placed.refused[f"{name}: {reasons[0].code}: {reasons[0].message}"] += 1


def _target(sobject: SObject, column: str) -> Field | None:
    """Return the field that a column fills; a dotted one fills the lookup it goes through."""
    if "." in column:
        found = sobject.relationship(column.split(".", 1)[0])
    else:
        found = sobject.field(column)
    return found if found is not None and (found.createable or found.updateable) else None


def _any_field(sobject: SObject) -> str:
    return next(one.name for one in sobject.fields.values() if one.createable)


def _text(value: Value, found: Field) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    # A day given as a moment keeps its day.
    return str(value).split("T", 1)[0] if found.type == "date" else str(value)
