"""A compiled query: what its rows look like and the SQL that fetches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from orgsim.schema.model import Field, SObject


class PlanKind(StrEnum):
    """What a query yields."""

    COUNT = "count"  # SELECT COUNT(): a number and no records
    GROUPED = "grouped"  # AggregateResult records
    ROWS = "rows"  # records of the sobject


@dataclass(frozen=True, slots=True)
class Column:
    """One selected value: where it sits in the record, its SQL and the field that types it."""

    names: tuple[str, ...]
    sql: str
    field: Field


@dataclass(frozen=True, slots=True)
class ParentShape:
    """A parent that the select list shows: its place in the record, its id and its sobject.

    ``sobject`` is None for the Name entity; then ``type_sql`` tells the row's sobject.
    """

    names: tuple[str, ...]
    id_sql: str
    sobject: SObject | None
    type_sql: str | None


@dataclass(frozen=True, slots=True)
class Child:
    """A subquery: its key in the parent's record, its plan and its column with the parent's id."""

    relationship_name: str
    plan: Plan
    link_sql: str


Render: TypeAlias = Callable[[Column], str]


@dataclass(frozen=True, slots=True)
class Plan:
    """One SELECT on one sobject, its subqueries beside it; ``id_sql`` is None for grouped rows."""

    kind: PlanKind
    sobject: SObject
    columns: tuple[Column, ...]
    parents: tuple[ParentShape, ...]
    children: tuple[Child, ...]
    from_sql: str
    where_sql: str
    group_sql: str
    having_sql: str
    order_sql: str
    id_sql: str | None
    limit: int | None
    offset: int | None

    def select(self, columns: list[str], *, extra_where: str = "") -> str:
        """Return the statement that yields ``columns`` for the rows of this plan."""
        where = " AND ".join(c for c in (self.where_sql, extra_where) if c)
        parts = [
            f"SELECT {', '.join(columns)} FROM {self.from_sql}",
            f"WHERE {where}" if where else "",
            f"GROUP BY {self.group_sql}" if self.group_sql else "",
            f"HAVING {self.having_sql}" if self.having_sql else "",
            f"ORDER BY {self.order_sql}" if self.order_sql else "",
            self._window(),
        ]
        return " ".join(part for part in parts if part)

    def select_of_parents(self, columns: list[str], link_sql: str) -> str:
        """Return the statement for the children of the parents in the list parameter ``$1``.

        LIMIT and OFFSET of a subquery hold per parent; the link is appended as the last column.
        """
        ordered = f"ORDER BY {self.order_sql}" if self.order_sql else ""
        number = f"row_number() OVER (PARTITION BY {link_sql} {ordered})"
        where = " AND ".join(c for c in (self.where_sql, f"{link_sql} IN (SELECT unnest($1))") if c)
        first = self.offset or 0
        window = f" QUALIFY {number} > {first}" if first else ""
        if self.limit is not None:
            window = f" QUALIFY {number} BETWEEN {first + 1} AND {first + self.limit}"
        select = ", ".join([*columns, link_sql])
        return f"SELECT {select} FROM {self.from_sql} WHERE {where}{window} {ordered}"

    def _window(self) -> str:
        limit = f"LIMIT {self.limit}" if self.limit is not None else ""
        offset = f"OFFSET {self.offset}" if self.offset else ""
        return f"{limit} {offset}".strip()
