"""When a schedule is due: cron lines in a time zone, also on the days when clocks change.

A line with fixed hours means the wall clock: on the day on which 02:30 does not exist it fires
once, as much later as the clocks jumped (03:30); on the day on which 02:30 comes twice, at the
first. A line with ``*`` hours means elapsed time: every such minute that is lived through.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from core.domain import rhythm
from core.domain.rhythm import WEEKDAYS
from core.errors import UserError

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: a line that never comes (30 February) is found out after this many years
HORIZON = timedelta(days=5 * 366)


def next_due(cron: str, time_zone: str, *, after: datetime) -> datetime:
    """The first due time later than `after` (both aware; the answer is in UTC).

    Raises:
        UserError: the line or the zone is not understood, or the line never comes.
    """
    if after.tzinfo is None:
        raise ValueError(f"naive datetime {after!r}; use aware UTC")
    zone, trigger = _zone(time_zone), _trigger(cron)
    if cron.split()[1].startswith("*"):
        return _next_elapsed(trigger, zone, after)
    wall = after.astimezone(zone).replace(tzinfo=None)
    while True:
        wall = _next_wall(trigger, wall)
        # fold=0: the first of two; a time that does not exist lands as much later as clocks jump
        due = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if due > after:
            return due


def next_dues(cron: str, time_zone: str, *, after: datetime, count: int) -> tuple[datetime, ...]:
    """The next `count` due times, for a preview."""
    dues: list[datetime] = []
    for _ in range(count):
        dues.append(next_due(cron, time_zone, after=dues[-1] if dues else after))
    return tuple(dues)


def _next_elapsed(trigger: CronTrigger, zone: ZoneInfo, after: datetime) -> datetime:
    """Walk in the offset that holds now; start over with the new one where it changes."""
    start = after
    while True:
        local = start.astimezone(zone)
        offset = local.utcoffset() or timedelta()
        wall = _next_wall(trigger, local.replace(tzinfo=None))
        due = (wall - offset).replace(tzinfo=UTC)
        if due.astimezone(zone).utcoffset() == offset:
            return due
        change = _first_after_change(zone, start, due, offset=offset)
        if _matches(trigger, change.astimezone(zone).replace(tzinfo=None)):
            return change
        start = change


def _first_after_change(
    zone: ZoneInfo, low: datetime, high: datetime, *, offset: timedelta
) -> datetime:
    """The minute within (low, high] from which another offset holds."""
    low, high = low.astimezone(UTC), high.astimezone(UTC)
    while high - low > timedelta(minutes=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high.replace(second=0, microsecond=0)


def _matches(trigger: CronTrigger, wall: datetime) -> bool:
    return _next_wall(trigger, wall - timedelta(seconds=1)) == wall


def _next_wall(trigger: CronTrigger, wall: datetime) -> datetime:
    """The next wall-clock time of the line, strictly later than `wall`."""
    # The trigger runs in UTC here: it sees a wall clock that never jumps.
    start = (wall + timedelta(microseconds=1)).replace(tzinfo=UTC)
    found: datetime | None = trigger.get_next_fire_time(None, start)
    if found is None or found - start > HORIZON:
        raise UserError("This schedule never comes.", next_step="Check its day and month.")
    return found.replace(tzinfo=None)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UserError(
            f"There is no time zone {name!r}.", next_step="Use a name such as Europe/Berlin."
        ) from None


def _trigger(cron: str) -> CronTrigger:
    parts = cron.split()
    if len(parts) != 5:
        raise UserError(
            f"{cron!r} has {len(parts)} fields; a schedule has five.",
            next_step="Write minute hour day month weekday, such as 30 2 * * 1-5.",
        )
    minute, hour, day, month, weekday = parts
    if day != "*" and weekday != "*":
        # cron takes either, the trigger both: rather than surprise, refuse.
        raise UserError(
            f"{cron!r} names a day of the month and a weekday.", next_step="Use only one of them."
        )
    try:
        rhythm.told(cron)  # APScheduler overlooks what stands behind a word, as in last_sun
        return CronTrigger(
            minute=minute,
            hour=hour,
            day=day,
            month=month,
            day_of_week=_weekdays(weekday),
            timezone=UTC,
        )
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{cron!r} is not understood: {error}.",
            next_step="Write minute hour day month weekday, such as 30 2 * * 1-5.",
        ) from error


def _weekdays(field: str) -> str:
    """cron counts weekdays from Sunday = 0 (7 too), APScheduler from Monday: names are safe. Steps
    count from Sunday as well, and a range may wrap over it."""
    if field == "*":
        return field
    return ",".join(_DAYS[value] for value in rhythm.expanded(field, 0, 7, names=WEEKDAYS).values)
