"""A typed SQL expression, the currency between the compiler and the functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orgsim.formula.errors import FormulaError


class ValueType(StrEnum):
    """What a formula's expression yields."""

    TEXT = "Text"
    NUMBER = "Number"
    BOOLEAN = "Boolean"
    DATE = "Date"
    DATETIME = "Datetime"
    TIME = "Time"
    PICKLIST = "Picklist"
    MULTIPICKLIST = "Multi-select picklist"
    NULL = "Null"


@dataclass(frozen=True, slots=True)
class Value:
    """An SQL scalar expression and its type."""

    sql: str
    type: ValueType

    def want(self, place: str, *types: ValueType) -> str:
        """Return the SQL, or refuse a value that ``place`` cannot take."""
        if self.type in types or self.type is ValueType.NULL:
            return self.sql
        expected = " or ".join(types)
        raise FormulaError(
            f"Incorrect parameter type for {place}. Expected {expected}, received {self.type}"
        )

    def text(self, place: str) -> str:
        """Return the SQL of a text, blank as the empty string: formulas know no null text."""
        return f"coalesce({self.want(place, ValueType.TEXT)}, '')"

    def number(self, place: str) -> str:
        """Return the SQL of a number."""
        return self.want(place, ValueType.NUMBER)

    def truth(self, place: str) -> str:
        """Return the SQL of a condition that is never null."""
        return f"coalesce({self.want(place, ValueType.BOOLEAN)}, false)"
