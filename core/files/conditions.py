"""SOQL conditions over pages of files: parsed by the domain, turned into a polars expression.

Text is compared without regard to case, numbers as numbers, dates and times as the platform spells
them; a comparison with a blank cell is false but for ``= null``. Date words, functions, INCLUDES
and EXCLUDES are refused by a sentence: a file has no clock and no lists.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence

import polars as pl

from core.domain.describe import SObject
from core.domain.soql import condition_tokens, unquoted
from core.errors import UserError

#: ids that a semi-join's inner query gives
InnerIds = Callable[[str], pl.Series]
Token = tuple[str, str]

_OPERATORS = frozenset({"=", "!=", "<>", "<", "<=", ">", ">="})


def condition_expr(text: str, sobject: SObject, *, inner: InnerIds) -> pl.Expr:
    """Per row whether the condition holds.

    Args:
        inner: answers ``SELECT Id FROM …`` of a semi-join.
    Raises:
        UserError: it is no condition, names a field that is not there, or is not for files.
    """
    reader = _Reader(condition_tokens(text), sobject, inner)
    return reader.condition().fill_null(value=False)


class _Reader:
    """Recursive descent over tokens that the domain's parser has found to be a condition."""

    def __init__(self, tokens: Sequence[Token], sobject: SObject, inner: InnerIds) -> None:
        self._tokens = tokens
        self._sobject = sobject
        self._inner = inner
        self._at = 0

    def condition(self) -> pl.Expr:
        found = self._operand()
        while self._is("and") or self._is("or"):
            word = self._next()[1].lower()
            other = self._operand()
            found = found & other if word == "and" else found | other
        return found

    def _operand(self) -> pl.Expr:
        if self._take("not"):
            return ~self._operand().fill_null(value=False)
        if self._take("("):
            found = self.condition()
            self._next()
            return found
        return self._comparison()

    def _comparison(self) -> pl.Expr:
        kind, name = self._next()
        if kind != "word" or name not in self._sobject.fields or self._is("("):
            raise _not_here(name, self._sobject)
        field = self._sobject.fields[name]
        operator = self._next()[1].lower()
        if operator in _OPERATORS:
            return self._compared(field.name, field.type, operator, self._next())
        if operator == "like":
            return _lower(field.name).str.contains(_pattern(unquoted(self._next()[1]).lower()))
        if operator == "not":
            self._next()
            return ~self._listed(field.name, field.type).fill_null(value=False)
        if operator == "in":
            return self._listed(field.name, field.type)
        raise _not_here(operator.upper(), self._sobject)

    def _compared(self, name: str, kind: str, operator: str, value: Token) -> pl.Expr:
        if value[1].lower() == "null":
            blank = pl.col(name).is_null()
            return blank if operator == "=" else ~blank
        left, right = _sides(name, kind, value)
        compared: dict[str, Callable[[], pl.Expr]] = {
            "=": lambda: left == right,
            "!=": lambda: left.ne_missing(right),
            "<>": lambda: left.ne_missing(right),
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
        }
        return compared[operator]()

    def _listed(self, name: str, kind: str) -> pl.Expr:
        self._next()  # (
        if self._is("select"):
            return pl.col(name).is_in(self._inner(self._inner_text()).implode())
        found = self._compared(name, kind, "=", self._next())
        values = [found]
        while self._take(","):
            values.append(self._compared(name, kind, "=", self._next()))
        self._next()  # )
        return pl.any_horizontal(values)

    def _inner_text(self) -> str:
        depth, begin = 1, self._at
        while depth:
            sign = self._next()[1]
            depth += (sign == "(") - (sign == ")")
        return " ".join(text for _, text in self._tokens[begin : self._at - 1])

    def _is(self, text: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at][1].lower() == text

    def _take(self, text: str) -> bool:
        hit = self._is(text)
        self._at += hit
        return hit

    def _next(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]


def _sides(name: str, kind: str, value: Token) -> tuple[pl.Expr, pl.Expr]:
    """Both sides of a comparison in one type."""
    form, text = value
    if form == "number":
        number = pl.col(name).cast(pl.Float64, strict=False)
        return number, pl.lit(float(text))
    if form == "time":
        spelt = text if "T" not in text else _moment(text)
        return pl.col(name).str.slice(0, len(spelt)), pl.lit(spelt)
    if form == "word" and text.lower() not in ("true", "false"):
        raise UserError(
            f"A file has no clock for {text.upper()}.",
            next_step="Compare with a date, such as 2026-01-31.",
        )
    plain = unquoted(text) if form == "string" else text
    if kind in ("id", "reference"):
        return pl.col(name).str.slice(0, 15), pl.lit(plain[:15])
    return _lower(name), pl.lit(plain.lower())


def _lower(name: str) -> pl.Expr:
    return pl.col(name).str.to_lowercase()


def _moment(text: str) -> str:
    at = dt.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(dt.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _pattern(like: str) -> str:
    """A regular expression of a LIKE pattern; \\% and \\_ stand for themselves."""
    out = []
    for part in re.findall(r"\\.|.", like, flags=re.DOTALL):
        out.append({"%": ".*", "_": "."}.get(part, re.escape(part.removeprefix("\\"))))
    return f"(?s)^{''.join(out)}$"


def _not_here(name: str, sobject: SObject) -> UserError:
    return UserError(
        f"Conditions on files cannot use {name[:80]!r}: {sobject.name} has no such column.",
        next_step=f"It has {', '.join(list(sobject.fields)[:12])}.",
    )
