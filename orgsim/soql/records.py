"""Rows of a plan as the nested records of a JSON answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from orgsim.soql.plan import ParentShape, Plan, PlanKind
from orgsim.soql.rendering import is_json

Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """Puts records of one plan together; ``version`` is that of the links, e.g. ``62.0``."""

    plan: Plan
    version: str

    def records(self, rows: Iterable[Sequence[Any]]) -> list[Record]:
        """Return one record a row; rows are as ``rendering.rest_columns`` lists them."""
        if self.plan.kind is PlanKind.GROUPED:
            return [self._grouped(row) for row in rows]
        if self.plan.parents or any(is_json(column) for column in self.plan.columns):
            return [self._nested(row) for row in rows]
        names = [column.names[0] for column in self.plan.columns]
        sobject = self.plan.sobject.name
        return [
            {
                "attributes": self._attributes(sobject, row[0]),
                **dict(zip(names, row[1:], strict=True)),
            }
            for row in rows
        ]

    def _grouped(self, row: Sequence[Any]) -> Record:
        record: Record = {"attributes": {"type": "AggregateResult"}}
        for column, value in zip(self.plan.columns, row, strict=True):
            record[column.names[0]] = value
        return record

    def _nested(self, row: Sequence[Any]) -> Record:
        columns = self.plan.columns
        record: Record = {"attributes": self._attributes(self.plan.sobject.name, row[0])}
        parents = self._parents(row[1 + len(columns) :])
        for column, value in zip(columns, row[1:], strict=False):
            holder = _holder(record, column.names, parents)
            if holder is not None:
                holder[column.names[-1]] = (
                    orjson.loads(value) if value is not None and is_json(column) else value
                )
        return record

    def _parents(self, values: Sequence[Any]) -> dict[tuple[str, ...], Record | None]:
        """Return the empty record of each parent, None for those that the row does not have."""
        found: dict[tuple[str, ...], Record | None] = {}
        for index, parent in enumerate(self.plan.parents):
            row_id, kind = values[2 * index], values[2 * index + 1]
            found[parent.names] = self._parent(parent, row_id, kind)
        return found

    def _parent(self, parent: ParentShape, row_id: str | None, kind: str | None) -> Record | None:
        if row_id is None:
            return None
        if parent.sobject is not None:
            return {"attributes": self._attributes(parent.sobject.name, row_id)}
        # A polymorphic parent calls itself Name and links to the record that it is.
        sobject = "Group" if kind == "Queue" else str(kind)
        return {"attributes": {**self._attributes(sobject, row_id), "type": "Name"}}

    def _attributes(self, sobject: str, row_id: str) -> Record:
        url = f"/services/data/v{self.version}/sobjects/{sobject}/{row_id}"
        return {"type": sobject, "url": url}


def _holder(
    record: Record, names: tuple[str, ...], parents: dict[tuple[str, ...], Record | None]
) -> Record | None:
    """Return the record that holds the value at ``names``, hanging parents in on the way."""
    holder = record
    for depth, name in enumerate(names[:-1]):
        parent = parents[names[: depth + 1]]
        holder.setdefault(name, parent)
        if parent is None:
            return None
        holder = parent
    return holder
