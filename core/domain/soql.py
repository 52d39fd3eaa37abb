"""SOQL that people write: filters parsed before they are sent, queries taken apart, text quoted.

    checked_filter("Type != 'x'")      the condition, if it is one and nothing else
    parse_select("SELECT … FROM …")    the parts of a query of an imported plan
    quoted("O'Neil")                   a string literal

A filter is a condition: comparisons joined by AND, OR, NOT and parentheses, semi-joins too. Clauses
that would follow it (ORDER BY, LIMIT, FOR UPDATE …), comments and second statements are refused by
place.
Source of the grammar: "SOQL and SOSL Reference", fieldExpression and conditionExpression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from core.domain.describe import SObject
from core.domain.ids import Soql
from core.errors import UserError

NESTING_MAX = 20
#: of a whole query; "SOQL statements: maximum length", 100,000 characters
QUERY_MAX = 100_000

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<time>\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))?)
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*(?::\d+|\$[A-Za-z]\w*)?)
    |(?P<sign><=|>=|!=|<>|=|<|>|\(|\)|,)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "N": "\n", "r": "\r", "R": "\r", "t": "\t", "T": "\t", "b": "\b", "f": "\f"}
_COMPARISONS = frozenset({"=", "!=", "<>", "<", "<=", ">", ">="})
_DATE_WORDS = re.compile(
    r"(YESTERDAY|TODAY|TOMORROW|(LAST|THIS|NEXT)_(WEEK|MONTH|QUARTER|YEAR|90_DAYS|FISCAL_QUARTER|"
    r"FISCAL_YEAR)|(LAST|NEXT)_N_(DAYS|WEEKS|MONTHS|QUARTERS|YEARS|FISCAL_QUARTERS|FISCAL_YEARS)"
    r":\d+|N_(DAYS|WEEKS|MONTHS|QUARTERS|YEARS)_AGO:\d+)\Z",
    re.IGNORECASE,
)
_FUNCTIONS = frozenset(
    "calendar_month calendar_quarter calendar_year day_in_month day_in_week day_in_year day_only "
    "fiscal_month fiscal_quarter fiscal_year hour_in_day week_in_month week_in_year tolabel "
    "converttimezone".split()
)
_CLAUSES = frozenset(
    "order limit offset group having for with using all update where from select union".split()
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed condition."""

    text: Soql
    #: fields and paths it names, outside semi-joins
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """The parts of a query."""

    fields: tuple[str, ...]
    sobject: str
    where: str | None = None
    order_by: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def lower(self) -> str:
        return self.text.lower()


def quoted(text: str) -> str:
    r"""The text as a SOQL string literal.

    >>> quoted("O'Neil")
    "'O\\'Neil'"
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    for plain, escape in (
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\t", "\\t"),
        ("\b", "\\b"),
        ("\f", "\\f"),
    ):
        escaped = escaped.replace(plain, escape)
    return f"'{escaped}'"


def unquoted(literal: str) -> str:
    """The text of a SOQL string literal: the inverse of `quoted`."""
    return re.sub(
        r"\\(.)", lambda m: _ESCAPES.get(m.group(1), m.group(1)), literal[1:-1], flags=re.DOTALL
    )


def checked_filter(text: str, *, sobject: SObject | None = None, place: str = "where") -> Filter:
    """The condition of a filter, spelt with single spaces.

    Args:
        sobject: whose fields it may name; None: names are not looked up.
        place: where the filter stands, for the message.
    Raises:
        UserError: it is no condition, has a clause or statement behind it, or names a field that
            the object does not have.
    """
    parser = _Parser(text, place)
    parser.condition(0)
    parser.end()
    fields = tuple(dict.fromkeys(parser.fields))
    if sobject is not None:
        for path in fields:
            _check_path(path, sobject, place)
    return Filter(Soql(parser.spelt()), fields)


def parse_select(text: str, *, place: str = "query") -> Select:
    """The parts of ``SELECT fields FROM object [WHERE …] [ORDER BY …] [LIMIT n]``.

    Field names may carry the suffix ``$Object`` by which SFDMU names the target of a polymorphic
    lookup.

    Raises:
        UserError: it is no such query.
    """
    return _Parser(text, place).select()


def condition_tokens(text: str, *, place: str = "where") -> tuple[tuple[str, str], ...]:
    """Kind (string, time, number, word, sign) and text of every token of a condition.

    Raises:
        UserError: it is no condition.
    """
    parser = _Parser(text, place)
    parser.condition(0)
    parser.end()
    return tuple((token.kind, token.text) for token in parser.tokens)


def in_list(values: Iterable[str]) -> Soql:
    """``('a', 'b')``: values quoted, for an IN."""
    return Soql("(" + ", ".join(quoted(value) for value in values) + ")")


def all_of(conditions: Sequence[str]) -> Soql:
    """The conditions joined with AND, each in parentheses; empty text of none."""
    wanted = [condition for condition in conditions if condition]
    if len(wanted) == 1:
        return Soql(wanted[0])
    return Soql(" AND ".join(f"({condition})" for condition in wanted))


class _Parser:
    """Recursive descent over the tokens of one filter or query."""

    def __init__(self, text: str, place: str) -> None:
        self._place = place
        self._text = text
        self._tokens = list(self._scan(text))
        self._at = 0
        self.fields: list[str] = []

    def select(self) -> Select:
        self._word("select")
        names = [self._name()]
        while self._take(","):
            names.append(self._name())
        self._word("from")
        sobject = self._name()
        where = self._clause_text("where", lambda: self.condition(0))
        order = self._clause_text("order", self._order)
        limit = int(self._next("number").text) if self._take("limit") else None
        self.end()
        return Select(tuple(names), sobject, where, order, limit)

    def condition(self, depth: int) -> None:
        if depth > NESTING_MAX:
            raise self._refusal("is nested too deeply", self._peek())
        joiner: str | None = None
        self._operand(depth)
        while (token := self._peek()) is not None and token.lower in ("and", "or"):
            if joiner not in (None, token.lower):
                raise self._refusal("mixes AND and OR: put parentheses around one of them", token)
            joiner = token.lower
            self._at += 1
            self._operand(depth)

    def end(self) -> None:
        token = self._peek()
        if token is None:
            return
        if token.lower in _CLAUSES:
            raise self._refusal(f"has a clause behind it ({token.text.upper()})", token)
        raise self._refusal(f"goes on with '{token.text[:40]}'", token)

    def spelt(self) -> str:
        """The tokens again, one space between words, none inside parentheses."""
        return _spelt(self._tokens)

    @property
    def tokens(self) -> Sequence[_Token]:
        """All of them, in order."""
        return self._tokens

    def _operand(self, depth: int) -> None:
        if self._take("not"):
            self._operand(depth + 1)
        elif self._take("("):
            self.condition(depth + 1)
            self._sign(")")
        else:
            self._comparison(depth)

    def _comparison(self, depth: int) -> None:
        self._field()
        token = self._peek()
        if token is None:
            raise self._refusal("ends where a comparison should be", None)
        if token.text in _COMPARISONS or token.lower == "like":
            self._at += 1
            self._value()
        elif token.lower in ("in", "includes", "excludes"):
            self._at += 1
            self._list(depth)
        elif token.lower == "not":
            self._at += 1
            self._word("in")
            self._list(depth)
        else:
            raise self._refusal(f"has '{token.text[:40]}' where a comparison should be", token)

    def _field(self) -> None:
        token = self._next("word")
        if token.lower in _FUNCTIONS and self._take("("):
            self._field()
            self._sign(")")
        elif (
            token.lower in _CLAUSES
            or token.lower in ("and", "or", "not", "null")
            or set(token.text) & {":", "$"}
        ):
            raise self._refusal(f"has {token.text.upper()} where a field should be", token)
        else:
            self.fields.append(token.text)

    def _value(self) -> None:
        token = self._peek()
        if token is None:
            raise self._refusal("ends where a value should be", None)
        is_word = token.kind == "word" and (
            token.lower in ("null", "true", "false")
            or _DATE_WORDS.match(token.text) is not None
            or re.match(r"[A-Z]{3}\d+\Z", token.text) is not None
        )
        if token.kind not in ("string", "number", "time") and not is_word:
            raise self._refusal(
                f"has '{token.text[:40]}' where a value should be (text needs single quotes)", token
            )
        self._at += 1

    def _list(self, depth: int) -> None:
        self._sign("(")
        token = self._peek()
        if token is not None and token.lower == "select":
            self._semi_join(depth)
        else:
            self._value()
            while self._take(","):
                self._value()
        self._sign(")")

    def _semi_join(self, depth: int) -> None:
        outer = self.fields
        self.fields = []
        self._word("select")
        self._name()
        self._word("from")
        self._name()
        if self._take("where"):
            self.condition(depth + 1)
        self.fields = outer

    def _order(self) -> None:
        self._word("by")
        while True:
            self._field()
            _ = self._take("asc") or self._take("desc")
            if self._take("nulls") and not (self._take("first") or self._take("last")):
                raise self._refusal("has NULLS without FIRST or LAST", self._peek())
            if not self._take(","):
                return

    def _clause_text(self, word: str, parse: Callable[[], None]) -> str | None:
        if not self._take(word):
            return None
        begin = self._at
        parse()
        text = _spelt(self._tokens[begin : self._at])
        return text[len("by ") :] if word == "order" else text

    def _name(self) -> str:
        token = self._next("word")
        if token.lower in ("from", "where", "select") or ":" in token.text:
            raise self._refusal(f"has {token.text.upper()} where a name should be", token)
        if token.lower == "fields" and self._take("("):
            inner = self._next("word").text
            self._sign(")")
            return f"FIELDS({inner.upper()})"
        return token.text

    def _scan(self, text: str) -> Iterable[_Token]:
        if len(text) > QUERY_MAX:
            raise self._refusal(f"is longer than {QUERY_MAX:,} characters", None)
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                bad = _Token("bad", text[at : at + 20], at)
                what = "has an open string" if text[at] == "'" else f"has '{text[at : at + 2]}'"
                raise self._refusal(what, bad)
            if found.lastgroup != "space":
                yield _Token(str(found.lastgroup), found.group(), at)
            at = found.end()

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self, kind: str) -> _Token:
        token = self._peek()
        if token is None or token.kind != kind:
            wanted = {"word": "a name", "number": "a number"}[kind]
            raise self._refusal(
                f"has '{token.text[:40]}' where {wanted} should be"
                if token
                else f"ends where {wanted} should be",
                token,
            )
        self._at += 1
        return token

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is not None and token.lower == text and token.kind in ("word", "sign"):
            self._at += 1
            return True
        return False

    def _word(self, word: str) -> None:
        if not self._take(word):
            token = self._peek()
            shown = f"'{token.text[:40]}'" if token else "nothing"
            raise self._refusal(f"has {shown} where {word.upper()} should be", token)

    def _sign(self, sign: str) -> None:
        if not self._take(sign):
            token = self._peek()
            shown = f"'{token.text[:40]}'" if token else "nothing"
            raise self._refusal(f"has {shown} where '{sign}' should be", token)

    def _refusal(self, what: str, token: _Token | None) -> UserError:
        at = token.at if token is not None else len(self._text)
        kind = "query" if self._place.startswith("query") else "filter"
        return UserError(
            f"{self._place}: the {kind} {what}, at character {at + 1}.",
            next_step="A filter is a condition such as Type = 'Customer' AND CreatedDate = "
            "LAST_N_DAYS:30.",
            place=self._place,
            at=at,
        )


def _spelt(tokens: Sequence[_Token]) -> str:
    out = ""
    previous = ""
    for token in tokens:
        is_call = token.text == "(" and previous in _FUNCTIONS
        tight = not out or out.endswith("(") or token.text in (")", ",") or is_call
        out += token.text if tight else f" {token.text}"
        previous = token.lower
    return out


def _check_path(path: str, sobject: SObject, place: str) -> None:
    head, _, rest = path.partition(".")
    if not rest and head not in sobject.fields:
        raise UserError(
            f"{place}: {sobject.name} has no field '{head}', named in the filter.",
            next_step=sobject.advice(head),
            place=place,
            field=head,
        )
    if (
        rest
        and head.lower() not in sobject.by_relationship
        and head.lower() != (sobject.name.lower())
    ):
        raise UserError(
            f"{place}: {sobject.name} has no relationship '{head}' for '{path}' in the filter.",
            next_step="Use the relationship's name, such as Account.Name or Parent__r.Code__c.",
            place=place,
            field=path,
        )
