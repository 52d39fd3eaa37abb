"""What a SOQL query says, as frozen nodes; names are as written, nothing is resolved yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    """What sort of constant a filter compares with."""

    STRING = "string"
    NUMBER = "number"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    BOOLEAN = "boolean"
    NULL = "null"
    DATE_LITERAL = "date_literal"


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of a filter.

    ``text`` is the source text; strings keep their escapes, for LIKE reads them differently.
    """

    kind: Kind
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A field or a dotted way to a parent's field."""

    path: tuple[str, ...]
    position: int
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A call: aggregate, date function, toLabel, FIELDS …"""

    name: str
    arguments: tuple[FieldPath | Function, ...]
    position: int
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class TypeOf:
    """A polymorphic selection."""

    path: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right``; the operator is one of ``= != < <= > >= LIKE``."""

    left: FieldPath | Function
    operator: str
    right: Constant
    position: int


@dataclass(frozen=True, slots=True)
class Membership:
    """``left IN (…)`` and its kin: ``IN``, ``NOT IN``, ``INCLUDES``, ``EXCLUDES``."""

    left: FieldPath | Function
    operator: str
    values: tuple[Constant, ...]
    query: Query | None
    position: int


@dataclass(frozen=True, slots=True)
class Logical:
    """``AND`` and ``OR`` of two or more conditions, ``NOT`` of one."""

    operator: str
    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One sort key; ``nulls_last`` is None where the query does not say."""

    by: FieldPath | Function
    descending: bool
    nulls_last: bool | None


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT."""

    select: tuple[SelectItem, ...]
    sobject: str
    sobject_position: int
    alias: str | None
    where: Condition | None
    group_by: tuple[FieldPath | Function, ...]
    having: Condition | None
    order_by: tuple[OrderItem, ...]
    limit: int | None
    offset: int | None
    position: int


Condition: TypeAlias = Comparison | Membership | Logical
SelectItem: TypeAlias = FieldPath | Function | Query | TypeOf
