"""Numbers and times as people read them; the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

MISSING = "—"
#: from what to what, in tables and captions
ARROW = "→"
DAYS_A_WEEK = 7
#: letters of a run's name that a table has room for
RUN_NAME_SHOWN = 23


def count(rows: int | None) -> str:
    """A whole number with thousands separated; zero is "0", unknown a dash.

    >>> count(12480), count(0), count(None)
    ('12,480', '0', '—')
    """
    return MISSING if rows is None else f"{rows:,}"


def short_count(rows: int | None) -> str:
    """A number for a big metric; tables never abbreviate.

    >>> short_count(1240000), short_count(9999)
    ('1.24 M', '9,999')
    """
    if rows is None:
        return MISSING
    return f"{rows / 1e6:.2f} M" if rows >= 1_000_000 else count(rows)


def size(number: int) -> str:
    """Bytes as people read them.

    >>> size(13), size(20_480), size(3_250_000)
    ('13 bytes', '20.5 kB', '3.2 MB')
    """
    if number < 1000:
        return plural(number, "byte")
    return f"{number / 1e3:,.1f} kB" if number < 1_000_000 else f"{number / 1e6:,.1f} MB"


def share(part: int, whole: int) -> float:
    """Part of a whole in per cent, 0–100; nothing of nothing is 0."""
    return 100 * part / whole if whole else 0.0


def percent(part: int, whole: int) -> str:
    """A share in words that never rounds a failure away.

    >>> percent(1, 100000), percent(0, 5), percent(3, 4), percent(99999, 100000)
    ('< 0.1 %', '0 %', '75 %', '> 99.9 %')
    """
    figure = share(part, whole)
    if 0 < figure < 0.1:
        return "< 0.1 %"
    if 99.9 < figure < 100:
        return "> 99.9 %"
    return f"{figure:.1f}".removesuffix(".0") + " %"


def duration(seconds: float | None) -> str:
    """A length of time.

    >>> duration(760), duration(0.4), duration(7300), duration(None)
    ('12m 40s', '< 1 s', '2h 01m', '—')
    """
    if seconds is None:
        return MISSING
    if seconds < 1:
        return "< 1 s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest} s"


def zone() -> tzinfo:
    """The visitor's time zone as their browser says it, or UTC."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def when(moment: datetime | None, *, now: datetime | None = None) -> str:
    """A moment in the visitor's zone: "14:02" today, "Yesterday 02:00", else with the date."""
    if moment is None:
        return MISSING
    here = moment.astimezone(zone())
    today = (now or datetime.now(UTC)).astimezone(zone()).date()
    if here.date() == today:
        return f"{here:%H:%M}"
    if here.date() == today - timedelta(days=1):
        return f"Yesterday {here:%H:%M}"
    return f"{here.day} {here:%b %Y %H:%M}"


def ago(moment: datetime | None, *, now: datetime | None = None) -> str:
    """How long since a moment, in one unit."""
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{int(seconds // size_s)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"


def ahead(moment: datetime) -> str:
    """A time to come in a word or two: the hour today, with the weekday within a week, else the
    day."""
    there = moment.astimezone(zone())
    days = (there.date() - datetime.now(zone()).date()).days
    if days < 1:
        return f"{there:%H:%M}"
    return f"{there:%a %H:%M}" if days < DAYS_A_WEEK else f"{there.day} {there:%b}"


def absolute(moment: datetime | None) -> str:
    """A moment in full with its zone, for tooltips."""
    return MISSING if moment is None else f"{moment.astimezone(zone()):%d %b %Y %H:%M:%S %Z}"


def plural(number: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "object"), plural(12480, "row")
    ('1 object', '12,480 rows')
    """
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")


def person(name: str | None) -> str:
    """Who, in running text: the name before the @; tables and CSV show it whole.

    >>> person("mira@acme.example"), person("schedule:nightly"), person(None)
    ('mira', 'schedule:nightly', '—')
    """
    return name.split("@", 1)[0] if name else MISSING


def short_run(name: str) -> str:
    """A run's name shortened in the middle, for tables beside its plan; the end tells it from
    others. Its page and the CSV show it whole.

    >>> short_run("northwind-customers-products-and-invoice-1121-ad2nk"), short_run("a-1121-ad2nk")
    ('northwind-cu…1121-ad2nk', 'a-1121-ad2nk')
    """
    if len(name) <= RUN_NAME_SHOWN:
        return name
    end = "-".join(name.rsplit("-", 2)[1:])
    return f"{name[: max(1, RUN_NAME_SHOWN - 1 - len(end))]}…{end}"


def short_id(record_id: str | None) -> str:
    """A record id shortened in the middle, for cards; tables and CSV show it whole.

    >>> short_id("0015g00000ABCD2AAF")
    '0015g0…2AAF'
    """
    if not record_id:
        return MISSING
    return record_id if len(record_id) < 14 else f"{record_id[:6]}…{record_id[-4:]}"
