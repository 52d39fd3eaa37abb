"""A cron line as people say it: "Monday to Friday at 06:00", "every 20 minutes from 8 to 18".

Every form that `core.jobs.cron` lets through has words: single values, lists, ranges, steps, names
of months and weekdays, the last day of a month.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
#: as cron counts them
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
#: the last day of a month, whichever it is
LAST = "last"
#: more times of a day than these are told by their hours and minutes
TIMES_TOLD = 4
LAST_MINUTE, LAST_HOUR, LAST_DAY = 59, 23, 31
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields, expanded."""

    values: tuple[int, ...]
    #: every value that there is
    is_any: bool
    #: of a field that is one stepped range
    step: int | None = None
    is_last_day: bool = False

    @property
    def is_span(self) -> bool:
        """Whether it is three values or more in a row."""
        first, last = self.values[0], self.values[-1]
        return len(self.values) > 2 and last - first + 1 == len(self.values)


def told(line: str) -> str:
    """The words of a cron line of five fields.

    >>> told("30 2 * * *"), told("0 6 * * 1-5"), told("*/15 * * * *")
    ('Every day at 02:30', 'Monday to Friday at 06:00', 'Every 15 minutes')
    >>> told("* * * * *"), told("0 9,17 * * mon,wed"), told("0 2 last */3 *")
    ... # doctest: +NORMALIZE_WHITESPACE
    ('Every minute', 'Every Monday and Wednesday at 09:00 and 17:00',
     'On the last day of January, April, July and October at 02:00')

    Raises:
        ValueError: the line is none that a schedule takes.
    """
    minute_text, hour_text, day_text, month_text, weekday_text = line.split()
    minutes = expanded(minute_text, 0, LAST_MINUTE)
    hours = expanded(hour_text, 0, LAST_HOUR)
    day = expanded(day_text, 1, LAST_DAY)
    month = expanded(month_text, 1, len(MONTHS), names=MONTHS)
    weekday = expanded(weekday_text, 0, 7, names=WEEKDAYS)
    days = _days(day, month, weekday)
    times = _times(minutes, hours)
    if times.startswith("at "):
        return f"{days or 'Every day'} {times}"
    said = f"{times}, {days[:1].lower() + days[1:] if _is_lowered(days) else days}"
    said = said if days else times
    return said[:1].upper() + said[1:]


def expanded(text: str, low: int, high: int, *, names: Sequence[str] = ()) -> Field:
    """The values of one field in order; a range may run over the end of its week.

    >>> expanded("10-50/20", 0, 59).values, expanded("fri-mon", 0, 7, names=WEEKDAYS).values
    ((10, 30, 50), (0, 1, 5, 6))

    Raises:
        ValueError: not understood.
    """
    if text.lower() == LAST:
        return Field((), is_any=False, is_last_day=True)
    numbers = {name[:3].lower(): number for number, name in enumerate(names, start=low)}
    top = len(WEEKDAYS) - 1 if names is WEEKDAYS else high
    values: set[int] = set()
    parts = text.lower().split(",")
    step = None
    for part in parts:
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{text!r} is not understood")
        step = int(found["step"]) if found["step"] else None
        first = low if found["first"] == "*" else _number(found["first"], numbers)
        if found["last"]:
            last = _number(found["last"], numbers)
        else:
            last = top if found["first"] == "*" or step else first
        if names is WEEKDAYS and last < first:
            last += len(WEEKDAYS)
        values |= set(range(first, last + 1, step or 1))
    if names is WEEKDAYS:
        values = {value % len(WEEKDAYS) for value in values}
    if not values:
        raise ValueError(f"{text!r} names nothing")
    ordered = tuple(sorted(values))
    is_any = len(ordered) == top - low + 1
    return Field(ordered, is_any=is_any, step=step if len(parts) == 1 and not is_any else None)


def _number(word: str, numbers: dict[str, int]) -> int:
    return int(word) if word.isdigit() else numbers[word[:3]] if word[:3] in numbers else _no(word)


def _no(word: str) -> int:
    raise ValueError(f"{word!r} is not understood")


def _times(minutes: Field, hours: Field) -> str:
    """ "at 02:30", or how often within which hours."""
    if not hours.is_any and len(minutes.values) * len(hours.values) <= TIMES_TOLD:
        each = [f"{hour:02d}:{minute:02d}" for hour in hours.values for minute in minutes.values]
        return f"at {_list(each)}"
    if len(minutes.values) == 1:
        return _hourly(minutes.values[0], hours)
    often = _often(minutes)
    return often if hours.is_any else f"{often} {_within(hours)}"


def _hourly(minute: int, hours: Field) -> str:
    if hours.is_any:
        return f"every hour at minute {minute}"
    if hours.step and hours.values[0] == 0 and hours.values[-1] + hours.step > LAST_HOUR:
        return f"every {hours.step} hours at minute {minute}"
    if hours.is_span:
        first, last = (f"{hour:02d}:{minute:02d}" for hour in (hours.values[0], hours.values[-1]))
        return f"every hour from {first} to {last}"
    return f"at {_list([f'{hour:02d}:{minute:02d}' for hour in hours.values])}"


def _often(minutes: Field) -> str:
    first, last = minutes.values[0], minutes.values[-1]
    if minutes.is_any:
        return "every minute"
    if minutes.step:
        is_whole = first == 0 and last + minutes.step > LAST_MINUTE
        span = "" if is_whole else f" from minute {first} to {last}"
        return f"every {minutes.step} minutes{span}"
    if minutes.is_span:
        return f"every minute from {first} to {last} of the hour"
    return f"every hour at minutes {_list([str(value) for value in minutes.values])}"


def _within(hours: Field) -> str:
    first, last = hours.values[0], hours.values[-1]
    if len(hours.values) == 1 or hours.is_span:
        return f"between {first:02d}:00 and {last:02d}:59"
    return f"in the hours {_list([str(value) for value in hours.values])}"


def _days(day: Field, month: Field, weekday: Field) -> str:
    """On which days; nothing for every day of the year."""
    months = "" if month.is_any else _spans(month, [MONTHS[value - 1] for value in month.values])
    if day.is_last_day:
        return f"On the last day of {months or 'every month'}"
    if not day.is_any:
        return f"On {_days_of_month(day)} of {months or 'every month'}"
    if weekday.is_any:
        return f"Every day in {months}" if months else ""
    # weeks start on Monday: Saturday and Sunday stand beside each other
    ordered = sorted(weekday.values, key=lambda value: (value - 1) % len(WEEKDAYS))
    in_a_row = [(value - 1) % len(WEEKDAYS) for value in ordered]
    names = [WEEKDAYS[value] for value in ordered]
    if len(names) > 2 and in_a_row[-1] - in_a_row[0] + 1 == len(names):
        told_days = f"{names[0]} to {names[-1]}"
    else:
        told_days = f"Every {_list(names)}"
    return f"{told_days} in {months}" if months else told_days


def _days_of_month(day: Field) -> str:
    if day.step and len(day.values) > TIMES_TOLD and day.values[0] == 1:
        return f"days 1, {1 + day.step}, {1 + 2 * day.step} … {day.values[-1]}"
    if len(day.values) == 1:
        return f"day {day.values[0]}"
    return f"days {_spans(day, [str(value) for value in day.values])}"


def _spans(field: Field, names: Sequence[str]) -> str:
    return f"{names[0]} to {names[-1]}" if field.is_span else _list(names)


def _list(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _is_lowered(days: str) -> bool:
    """Whether the words lose their capital inside a sentence; names of weekdays keep it."""
    return days.startswith(("Every ", "On "))
