"""The functions of the subset: what each takes and the DuckDB expression that it becomes.

Source of names and meanings: Help, "Formula Operators and Functions". Deliberately absent: REGEX
with look-around, VLOOKUP, GEOLOCATION, HYPERLINK, IMAGE, $Permission, $Setup, $Api and everything
not listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from orgsim.formula.errors import FormulaError
from orgsim.formula.values import Value, ValueType

Arguments: TypeAlias = tuple[Value, ...]

_TEXTUAL = (ValueType.TEXT, ValueType.PICKLIST)
_MOMENTS = (ValueType.DATE, ValueType.DATETIME)


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how many arguments it takes and how it is written in SQL."""

    least: int
    most: int | None
    build: Callable[[Arguments], Value]


def is_blank(value: Value) -> str:
    """Return the SQL condition that a value is blank."""
    if value.type in (*_TEXTUAL, ValueType.MULTIPICKLIST):
        return f"(coalesce(trim({value.sql}), '') = '')"
    return f"({value.sql} IS NULL)"


def _text(sql: str) -> Value:
    return Value(sql, ValueType.TEXT)


def _number(sql: str) -> Value:
    return Value(sql, ValueType.NUMBER)


def _truth(sql: str) -> Value:
    return Value(sql, ValueType.BOOLEAN)


def _all(args: Arguments) -> Value:
    return _truth("(" + " AND ".join(a.truth("function AND()") for a in args) + ")")


def _any(args: Arguments) -> Value:
    return _truth("(" + " OR ".join(a.truth("function OR()") for a in args) + ")")


def _not(args: Arguments) -> Value:
    return _truth(f"(NOT {args[0].truth('function NOT()')})")


def _if(args: Arguments) -> Value:
    then, otherwise = args[1], args[2]
    kind = then.type if then.type is not ValueType.NULL else otherwise.type
    otherwise.want("function IF()", kind)
    return Value(f"(CASE WHEN {args[0].truth('function IF()')} THEN {then.sql}"
                 f" ELSE {otherwise.sql} END)", kind)  # fmt: skip


def _case(args: Arguments) -> Value:
    if len(args) % 2:
        raise FormulaError("Incorrect number of parameters for function CASE()")
    subject, otherwise = args[0], args[-1]
    pairs = [(args[i], args[i + 1]) for i in range(1, len(args) - 1, 2)]
    branches = " ".join(f"WHEN {subject.sql} IS NOT DISTINCT FROM {when.sql} THEN {then.sql}"
                        for when, then in pairs)  # fmt: skip
    return Value(f"(CASE {branches} ELSE {otherwise.sql} END)", pairs[0][1].type)


def _blank_value(args: Arguments) -> Value:
    return Value(f"(CASE WHEN {is_blank(args[0])} THEN {args[1].sql} ELSE {args[0].sql} END)",
                 args[0].type)  # fmt: skip


def _is_picklist_value(args: Arguments) -> Value:
    subject = args[0].want("function ISPICKVAL()", ValueType.PICKLIST)
    return _truth(f"(coalesce({subject}, '') = {args[1].text('function ISPICKVAL()')})")


def _includes(args: Arguments) -> Value:
    subject = args[0].want("function INCLUDES()", ValueType.MULTIPICKLIST)
    return _truth(f"coalesce(list_contains(string_split({subject}, ';'),"
                  f" {args[1].text('function INCLUDES()')}), false)")  # fmt: skip


def _contains(args: Arguments) -> Value:
    return _truth(f"contains({_searched(args[0], 'CONTAINS')}, {args[1].text('CONTAINS')})")


def _begins(args: Arguments) -> Value:
    return _truth(f"starts_with({_searched(args[0], 'BEGINS')}, {args[1].text('BEGINS')})")


def _searched(value: Value, place: str) -> str:
    return f"coalesce({value.want(place, *_TEXTUAL)}, '')"


def _find(args: Arguments) -> Value:
    what, where = args[0].text("FIND"), args[1].text("FIND")
    if len(args) == 2:
        return _number(f"strpos({where}, {what})")
    start = f"cast({args[2].number('FIND')} AS INTEGER)"
    rest = f"strpos(substr({where}, {start}), {what})"
    return _number(f"(CASE WHEN {rest} = 0 THEN 0 ELSE {rest} + {start} - 1 END)")


def _as_text(args: Arguments) -> Value:
    value = args[0]
    if value.type is ValueType.NUMBER:
        return _text(f"regexp_replace(cast(cast({value.sql} AS DECIMAL(38, 9)) AS VARCHAR),"
                     " '\\.?0+$', '')")  # fmt: skip
    if value.type is ValueType.DATETIME:
        return _text(f"strftime({value.sql}, '%Y-%m-%d %H:%M:%SZ')")
    if value.type in (ValueType.DATE, ValueType.TIME, *_TEXTUAL):
        return _text(f"cast({value.sql} AS VARCHAR)")
    raise FormulaError(f"Incorrect parameter type for function TEXT(). Received {value.type}")


def _date(args: Arguments) -> Value:
    parts = ", ".join(f"cast({a.number('DATE')} AS BIGINT)" for a in args)
    return Value(f"try(make_date({parts}))", ValueType.DATE)


def _date_value(args: Arguments) -> Value:
    sql = args[0].want("DATEVALUE", ValueType.TEXT, *_MOMENTS)
    return Value(f"try_cast({sql} AS DATE)", ValueType.DATE)


def _datetime_value(args: Arguments) -> Value:
    sql = args[0].want("DATETIMEVALUE", ValueType.TEXT, *_MOMENTS)
    return Value(f"try_cast({sql} AS TIMESTAMP)", ValueType.DATETIME)


def _add_months(args: Arguments) -> Value:
    subject = args[0].want("ADDMONTHS", *_MOMENTS)
    months = f"cast({args[1].number('ADDMONTHS')} AS INTEGER)"
    moved = f"({subject} + to_months({months}))"
    kind = ValueType.DATE if args[0].type is ValueType.DATE else ValueType.DATETIME
    # The last day of a month moves to the last day of the other month.
    moved = f"(CASE WHEN last_day({subject}) = {subject} THEN last_day({moved}) ELSE {moved} END)"
    return Value(f"cast({moved} AS {'DATE' if kind is ValueType.DATE else 'TIMESTAMP'})", kind)


def _part(name: str, sql: str) -> Function:
    def build(args: Arguments) -> Value:
        return _number(sql.format(args[0].want(f"function {name}()", ValueType.DATE)))

    return Function(1, 1, build)


def _plain(kind: ValueType, name: str, sql: str, *, takes: str) -> Function:
    """Return a function whose SQL only needs its arguments put in; ``takes`` is e.g. ``"tn"``."""

    def build(args: Arguments) -> Value:
        place = f"function {name}()"
        values = [
            arg.text(place) if letter == "t" else arg.number(place)
            for arg, letter in zip(args, takes, strict=True)
        ]
        return Value(sql.format(*values), kind)

    return Function(len(takes), len(takes), build)


def _extreme(name: str) -> Function:
    def build(args: Arguments) -> Value:
        call = "greatest" if name == "MAX" else "least"
        return _number(f"{call}({', '.join(a.number(name) for a in args)})")

    return Function(1, None, build)


FUNCTIONS: dict[str, Function] = {
    "AND": Function(1, None, _all),
    "OR": Function(1, None, _any),
    "NOT": Function(1, 1, _not),
    "IF": Function(3, 3, _if),
    "CASE": Function(4, None, _case),
    "ISBLANK": Function(1, 1, lambda args: _truth(is_blank(args[0]))),
    "ISNULL": Function(1, 1, lambda args: _truth(f"({args[0].sql} IS NULL)")),
    "BLANKVALUE": Function(2, 2, _blank_value),
    "NULLVALUE": Function(2, 2, _blank_value),
    "ISPICKVAL": Function(2, 2, _is_picklist_value),
    "INCLUDES": Function(2, 2, _includes),
    "CONTAINS": Function(2, 2, _contains),
    "BEGINS": Function(2, 2, _begins),
    "FIND": Function(2, 3, _find),
    "TEXT": Function(1, 1, _as_text),
    "DATE": Function(3, 3, _date),
    "DATEVALUE": Function(1, 1, _date_value),
    "DATETIMEVALUE": Function(1, 1, _datetime_value),
    "ADDMONTHS": Function(2, 2, _add_months),
    "TODAY": Function(
        0, 0, lambda _: Value("cast(getvariable('sim_now') AS DATE)", ValueType.DATE)
    ),
    "NOW": Function(0, 0, lambda _: Value("getvariable('sim_now')", ValueType.DATETIME)),
    "BR": Function(0, 0, lambda _: _text("chr(10)")),
    "YEAR": _part("YEAR", "year({})"),
    "MONTH": _part("MONTH", "month({})"),
    "DAY": _part("DAY", "day({})"),
    "WEEKDAY": _part("WEEKDAY", "(dayofweek({}) + 1)"),
    "LEN": _plain(ValueType.NUMBER, "LEN", "length({})", takes="t"),
    "LEFT": _plain(ValueType.TEXT, "LEFT", "left({}, cast({} AS BIGINT))", takes="tn"),
    "RIGHT": _plain(ValueType.TEXT, "RIGHT", "right({}, cast({} AS BIGINT))", takes="tn"),
    "MID": _plain(
        ValueType.TEXT, "MID", "substr({}, cast({} AS BIGINT), cast({} AS BIGINT))", takes="tnn"
    ),
    "TRIM": _plain(ValueType.TEXT, "TRIM", "trim({})", takes="t"),
    "UPPER": _plain(ValueType.TEXT, "UPPER", "upper({})", takes="t"),
    "LOWER": _plain(ValueType.TEXT, "LOWER", "lower({})", takes="t"),
    "SUBSTITUTE": _plain(ValueType.TEXT, "SUBSTITUTE", "replace({}, {}, {})", takes="ttt"),
    "REGEX": _plain(ValueType.BOOLEAN, "REGEX", "regexp_full_match({}, {})", takes="tt"),
    "VALUE": _plain(ValueType.NUMBER, "VALUE", "try_cast({} AS DOUBLE)", takes="t"),
    "ISNUMBER": _plain(
        ValueType.BOOLEAN, "ISNUMBER", "(try_cast({} AS DOUBLE) IS NOT NULL)", takes="t"
    ),
    "ABS": _plain(ValueType.NUMBER, "ABS", "abs({})", takes="n"),
    "CEILING": _plain(ValueType.NUMBER, "CEILING", "ceil({})", takes="n"),
    "FLOOR": _plain(ValueType.NUMBER, "FLOOR", "floor({})", takes="n"),
    "ROUND": _plain(ValueType.NUMBER, "ROUND", "round({}, cast({} AS INTEGER))", takes="nn"),
    "SQRT": _plain(ValueType.NUMBER, "SQRT", "sqrt({})", takes="n"),
    "MOD": _plain(ValueType.NUMBER, "MOD", "({} % {})", takes="nn"),
    "MAX": _extreme("MAX"),
    "MIN": _extreme("MIN"),
}
