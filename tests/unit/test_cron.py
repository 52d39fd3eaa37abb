"""Due times of schedules: time zones, clock changes, lines that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.jobs.cron import next_due, next_dues

BERLIN = "Europe/Berlin"  # 2027-03-28 02:00 -> 03:00, 2027-10-31 03:00 -> 02:00


def utc(*parts: int) -> datetime:
    """An instant by its UTC clock."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def walls(cron: str, zone: str, start: datetime, count: int) -> list[str]:
    """The next due times as local clocks show them."""
    dues = next_dues(cron, zone, after=start, count=count)
    return [due.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M %z") for due in dues]


def test_daily_at_0230_fires_once_on_the_day_without_0230() -> None:
    assert walls("30 2 * * *", BERLIN, utc(2027, 3, 27, 12), 2) == [
        "03-28 03:30 +0200",
        "03-29 02:30 +0200",
    ]


def test_daily_at_0230_fires_once_on_the_day_with_two_0230() -> None:
    assert walls("30 2 * * *", BERLIN, utc(2027, 10, 30, 12), 2) == [
        "10-31 02:30 +0200",
        "11-01 02:30 +0100",
    ]


def test_due_time_after_the_jump_is_not_fired_again_by_its_twin() -> None:
    assert walls("30 2,3 * * *", BERLIN, utc(2027, 3, 27, 12), 2) == [
        "03-28 03:30 +0200",
        "03-29 02:30 +0200",
    ]


def test_every_hour_goes_on_through_both_changes() -> None:
    spring = next_dues("0 * * * *", BERLIN, after=utc(2027, 3, 27, 23), count=4)
    autumn = next_dues("0 * * * *", BERLIN, after=utc(2027, 10, 30, 22), count=5)

    assert {later - sooner for sooner, later in pairwise(spring)} == {timedelta(hours=1)}
    assert {later - sooner for sooner, later in pairwise(autumn)} == {timedelta(hours=1)}


def test_quarter_hours_are_lived_through_twice_in_autumn() -> None:
    dues = next_dues("*/15 * * * *", BERLIN, after=utc(2027, 10, 31, 0), count=9)

    assert dues == tuple(utc(2027, 10, 31, 0) + timedelta(minutes=15 * n) for n in range(1, 10))


def test_zones_with_half_hours_are_kept() -> None:
    assert next_due("0 9 * * *", "Asia/Kolkata", after=utc(2027, 1, 1)) == utc(2027, 1, 1, 3, 30)


@pytest.mark.parametrize(
    ("field", "expected"),
    [("0", 6), ("7", 6), ("1", 0), ("sun", 6), ("5", 4), ("SAT", 5)],
)
def test_weekdays_count_from_sunday_as_in_cron(field: str, expected: int) -> None:
    due = next_due(f"0 6 * * {field}", "UTC", after=utc(2027, 1, 1))

    assert due.weekday() == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [("1-5", {0, 1, 2, 3, 4}), ("5-7", {4, 5, 6}), ("6-1", {5, 6, 0}), ("0,3", {6, 2})],
)
def test_ranges_of_weekdays(field: str, expected: set[int]) -> None:
    dues = next_dues(f"0 6 * * {field}", "UTC", after=utc(2027, 1, 1), count=14)

    assert {due.weekday() for due in dues} == expected


@pytest.mark.parametrize(
    "wrong",
    ["", "* * * *", "* * * * * *", "61 * * * *", "x * * * *", "0 0 1 * 1", "0 0 30 2 *"],
)
def test_wrong_lines_are_refused_in_words(wrong: str) -> None:
    with pytest.raises(UserError):
        next_due(wrong, "UTC", after=utc(2027, 1, 1))


def test_wrong_zone_is_named() -> None:
    with pytest.raises(UserError, match=r"Mars/Olympus"):
        next_due("0 0 * * *", "Mars/Olympus", after=utc(2027, 1, 1))


def test_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        next_due("0 0 * * *", "UTC", after=datetime(2027, 1, 1))


@settings(max_examples=150, deadline=None)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"]),
    day=st.integers(0, 700),
)
def test_a_daily_line_fires_once_on_each_local_day(
    hour: int, minute: int, zone: str, day: int
) -> None:
    start = utc(2026, 6, 1) + timedelta(days=day)
    dues = next_dues(f"{minute} {hour} * * *", zone, after=start, count=5)
    days = [due.astimezone(ZoneInfo(zone)).date() for due in dues]

    assert all(later - sooner == timedelta(days=1) for sooner, later in pairwise(days))
