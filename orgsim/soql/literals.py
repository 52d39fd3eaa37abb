"""Constants of a filter as SQL, held to the type of the field that they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TypeVar

from orgsim.schema.model import Field
from orgsim.soql import ast, sql
from orgsim.soql.date_literals import Span, span
from orgsim.soql.errors import QueryError, at
from orgsim.soql.parser import unescaped
from orgsim.store.ids import to18

T = TypeVar("T")

ID_TYPES = frozenset({"id", "reference"})
_NUMBERS = {"int": "int", "long": "long", "double": "double", "currency": "currency",
            "percent": "double"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparand:
    """The right side of a comparison: an SQL constant, a span of time, or nothing (null)."""

    sql: str | None = None
    span: tuple[str, str] | None = None

    @property
    def is_null(self) -> bool:
        """Whether the constant is null."""
        return self.sql is None and self.span is None


@dataclass(frozen=True, slots=True)
class Literals:
    """Reads constants for one query; ``now`` is the org's clock, aware UTC."""

    text: str
    now: datetime

    def comparand(self, field: Field, constant: ast.Constant) -> Comparand:
        """Return ``constant`` as the type of ``field`` demands.

        Raises:
            QueryError: INVALID_FIELD for a constant of another type, INVALID_QUERY_FILTER_OPERATOR
                for something that is no id.
        """
        if constant.kind is ast.Kind.NULL:
            return Comparand()
        if constant.kind is ast.Kind.DATE_LITERAL:
            return self._date_literal(field, constant)
        if field.type in ID_TYPES:
            return self._id(field, constant)
        if field.type == "boolean":
            self._require(field, constant, kinds={ast.Kind.BOOLEAN}, expected="boolean")
            return Comparand(constant.text.lower())
        if field.type in _NUMBERS:
            self._require(field, constant, kinds={ast.Kind.NUMBER}, expected=_NUMBERS[field.type])
            return Comparand(f"cast({constant.text} AS DOUBLE)")
        return self._moment_or_text(field, constant)

    def _moment_or_text(self, field: Field, constant: ast.Constant) -> Comparand:
        if field.type == "date":
            self._require(field, constant, kinds={ast.Kind.DATE}, expected="date")
            return Comparand(sql.day(self._read(constant, date.fromisoformat)))
        if field.type == "datetime":
            self._require(field, constant, kinds={ast.Kind.DATETIME}, expected="dateTime")
            return Comparand(sql.moment(self._read(constant, _utc)))
        if field.type == "time":
            self._require(field, constant, kinds={ast.Kind.TIME}, expected="time")
            moment = self._read(constant, lambda t: time.fromisoformat(t.rstrip("Zz")))
            return Comparand(f"TIME '{moment.isoformat()}'")
        self._require(field, constant, kinds={ast.Kind.STRING}, expected="string")
        value = unescaped(constant)
        return Comparand(sql.text(value)) if value else Comparand()

    def _id(self, field: Field, constant: ast.Constant) -> Comparand:
        self._require(field, constant, kinds={ast.Kind.STRING}, expected="string")
        value = unescaped(constant)
        if not value:
            return Comparand()
        known = to18(value)
        if known is None:
            sentence = f"invalid ID field: {value}"
            raise at(
                self.text,
                constant.position,
                code="INVALID_QUERY_FILTER_OPERATOR",
                sentence=sentence,
            )
        return Comparand(sql.text(known))

    def _date_literal(self, field: Field, constant: ast.Constant) -> Comparand:
        try:
            days = span(constant.text, self.now.date())
        except (ValueError, OverflowError):
            days = None
        if days is None:
            sentence = f"unexpected token: '{constant.text}'"
            raise at(self.text, constant.position, code="MALFORMED_QUERY", sentence=sentence)
        if field.type not in {"date", "datetime"}:
            raise self._wrong_type(field, constant, _NUMBERS.get(field.type, "string"))
        return Comparand(span=_span_sql(days, field.type))

    def _require(
        self, field: Field, constant: ast.Constant, *, kinds: set[ast.Kind], expected: str
    ) -> None:
        if constant.kind not in kinds:
            raise self._wrong_type(field, constant, expected)

    def _wrong_type(self, field: Field, constant: ast.Constant, expected: str) -> QueryError:
        should = "should be" if expected == "string" else "should not be"
        sentence = (
            f"value of filter criterion for field '{field.name}' must be of type {expected} and"
            f" {should} enclosed in quotes"
        )
        return at(self.text, constant.position, code="INVALID_FIELD", sentence=sentence)

    def _read(self, constant: ast.Constant, read: Callable[[str], T]) -> T:
        try:
            return read(constant.text)
        except ValueError:
            sentence = f"{constant.text} is not a valid value for the type"
            raise at(
                self.text, constant.position, code="MALFORMED_QUERY", sentence=sentence
            ) from None


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text.upper()).astimezone(UTC).replace(tzinfo=None)


def _span_sql(days: Span, kind: str) -> tuple[str, str]:
    first, after = sql.day(days[0]), sql.day(days[1])
    if kind == "date":
        return first, after
    return f"cast({first} AS TIMESTAMP)", f"cast({after} AS TIMESTAMP)"
