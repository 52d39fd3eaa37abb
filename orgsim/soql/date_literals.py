"""The span of days that a date literal (LAST_MONTH, N_DAYS_AGO:3 …) stands for.

Weeks begin on Sunday (locale en_US), fiscal years are calendar years and days are UTC days: the
practice org's users all live in the time zone GMT.
Source: SOQL and SOSL Reference, "Date Formats and Date Literals in WHERE".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import TypeAlias

Span: TypeAlias = tuple[date, date]  # first day, day after the last

_DAYS_IN_90_DAYS = 90
_COUNTED = re.compile(r"(?P<which>LAST|NEXT)_N_(?P<unit>[A-Z_]+):(?P<n>\d+)")
_AGO = re.compile(r"N_(?P<unit>[A-Z_]+)_AGO:(?P<n>\d+)")
_NAMED = re.compile(r"(?P<which>LAST|THIS|NEXT)_(?P<unit>[A-Z_]+)")


def span(literal: str, today: date) -> Span | None:
    """Return the days of ``literal`` seen from ``today``, or None if there is no such literal."""
    word = literal.upper()
    fixed = {"YESTERDAY": -1, "TODAY": 0, "TOMORROW": 1}
    if word in fixed:
        return _day(today, fixed[word])
    if word == "LAST_90_DAYS":
        return today - timedelta(days=_DAYS_IN_90_DAYS), today + timedelta(days=1)
    if word == "NEXT_90_DAYS":
        return _next_days(today, _DAYS_IN_90_DAYS)
    for pattern, read in ((_COUNTED, _counted), (_AGO, _ago), (_NAMED, _named)):
        match = pattern.fullmatch(word)
        if match is not None:
            return read(match, today)
    return None


def _counted(match: re.Match[str], today: date) -> Span | None:
    count, unit, forward = int(match["n"]), match["unit"], match["which"] == "NEXT"
    if unit == "DAYS":
        if forward:
            return _next_days(today, count)
        return today - timedelta(days=count), today + timedelta(days=1)
    start_of = _units().get(unit.removesuffix("S"))
    if start_of is None:
        return None
    if forward:
        return start_of(today, 1), start_of(today, count + 1)
    return start_of(today, -count), start_of(today, 0)


def _ago(match: re.Match[str], today: date) -> Span | None:
    count, unit = int(match["n"]), match["unit"]
    if unit == "DAYS":
        return _day(today, -count)
    start_of = _units().get(unit.removesuffix("S"))
    return None if start_of is None else (start_of(today, -count), start_of(today, 1 - count))


def _named(match: re.Match[str], today: date) -> Span | None:
    start_of = _units().get(match["unit"])
    if start_of is None:
        return None
    step = {"LAST": -1, "THIS": 0, "NEXT": 1}[match["which"]]
    return start_of(today, step), start_of(today, step + 1)


def _units() -> dict[str, Callable[[date, int], date]]:
    """Return, for each unit, the first day of the unit ``n`` units after today's."""
    return {
        "WEEK": _week,
        "MONTH": _month,
        "QUARTER": lambda day, n: _month(_month(day, -((day.month - 1) % 3)), 3 * n),
        "YEAR": lambda day, n: date(day.year + n, 1, 1),
        "FISCAL_QUARTER": lambda day, n: _month(_month(day, -((day.month - 1) % 3)), 3 * n),
        "FISCAL_YEAR": lambda day, n: date(day.year + n, 1, 1),
    }


def _day(today: date, step: int) -> Span:
    first = today + timedelta(days=step)
    return first, first + timedelta(days=1)


def _next_days(today: date, count: int) -> Span:
    return today + timedelta(days=1), today + timedelta(days=count + 1)


def _week(day: date, n: int) -> date:
    sunday = day - timedelta(days=(day.weekday() + 1) % 7)
    return sunday + timedelta(weeks=n)


def _month(day: date, n: int) -> date:
    months = day.year * 12 + day.month - 1 + n
    return date(months // 12, months % 12 + 1, 1)
