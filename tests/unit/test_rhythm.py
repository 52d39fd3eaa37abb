"""Cron lines in words: each line that a schedule takes has some, and they say the same."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import rhythm
from core.errors import UserError
from core.jobs import cron

AFTER = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("10-50/20 * * * *", "Every 20 minutes from minute 10 to 50"),
        ("0,30 * * * *", "Every hour at minutes 0 and 30"),
        ("5-10 3 * * *", "Every minute from 5 to 10 of the hour between 03:00 and 03:59"),
        ("5 * * * *", "Every hour at minute 5"),
        ("15 * * * 0", "Every hour at minute 15, every Sunday"),
        ("0 */2 * * *", "Every 2 hours at minute 0"),
        ("0 8-18 * * 1-5", "Every hour from 08:00 to 18:00, Monday to Friday"),
        ("*/20 8-17 * * 1-5", "Every 20 minutes between 08:00 and 17:59, Monday to Friday"),
        ("*/20 1,5,9 * * *", "Every 20 minutes in the hours 1, 5 and 9"),
        ("30 2 * * *", "Every day at 02:30"),
        ("0 9,17 * * *", "Every day at 09:00 and 17:00"),
        ("0 2 * * 0-6", "Every day at 02:00"),
        ("0 2 * * 7", "Every Sunday at 02:00"),
        ("0 2 * * mon", "Every Monday at 02:00"),
        ("0 2 * * sun,sat", "Every Saturday and Sunday at 02:00"),
        ("0 2 * * fri-mon", "Every Monday, Friday, Saturday and Sunday at 02:00"),
        ("0 2 1 * *", "On day 1 of every month at 02:00"),
        ("0 2 1,15 * *", "On days 1 and 15 of every month at 02:00"),
        ("0 2 1-7 1 *", "On days 1 to 7 of January at 02:00"),
        ("0 2 */2 * *", "On days 1, 3, 5 … 31 of every month at 02:00"),
        ("0 2 last * *", "On the last day of every month at 02:00"),
        ("0 2 * jan-mar *", "Every day in January to March at 02:00"),
    ],
)
def test_a_line_reads_as_people_say_it(line: str, words: str) -> None:
    assert rhythm.told(line) == words


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    """Fields of every form: any, a value, a range, each with or without a step, and lists."""
    value = st.integers(low, high).map(str)
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(
        lambda ends: f"{min(ends)}-{max(ends)}"
    )
    step = st.integers(1, 6).map("/{}".format)
    part = st.one_of(value, span, st.tuples(span | st.just("*"), step).map("".join))
    return st.one_of(st.just("*"), part, st.lists(part, min_size=2, max_size=3).map(",".join))


LINES = st.one_of(
    st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), st.just("*")),
    st.tuples(fields(0, 59), fields(0, 23), st.just("*"), fields(1, 12), fields(0, 7)),
).map(" ".join)


@given(LINES)
def test_every_line_that_fires_has_words(line: str) -> None:
    try:
        cron.next_due(line, "UTC", after=AFTER)
    except UserError as problem:
        assert "never comes" in str(problem) or "not understood" in str(problem), line
        return

    assert line not in rhythm.told(line)
    assert "*" not in rhythm.told(line)


@pytest.mark.parametrize("line", ["0 2 last_sun * *", "0 2 * dec-feb *", "x * * * *", "0 2 * * 5L"])
def test_what_is_no_rhythm_is_refused_in_words(line: str) -> None:
    with pytest.raises(UserError, match="not understood"):
        cron.next_due(line, "UTC", after=AFTER)


def test_steps_of_weekdays_count_from_sunday_as_cron_does() -> None:
    dues = cron.next_dues("0 2 * * */2", "UTC", after=AFTER, count=4)

    assert [f"{due:%a}" for due in dues] == ["Sun", "Tue", "Thu", "Sat"]
