"""Entries per day, status and duration: what the charts of the logs and the reach of a search need.

Every night, and once where none was counted yet, the days that are over are counted into
`log_day`; a chart sums those rows and counts the days since, so that it costs the same however many
entries there are. A filter that the counts do not know (a word, a person, an org, a run) counts the
entries themselves.

    before yesterday, whole days ─▶ log_day            first and last pieces ─▶ the log tables
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import Session

from core.db.logs import LogFilter, LogMoment, condition
from core.db.models import ALL_LOGS, LogDay

#: a word is sought through so many entries at once, the newest; more when somebody asks for it
SEARCHED_ENTRIES = 200_000
#: durations are kept by powers of this many hundredths of a second: 9 % of error at the most
DURATION_STEP = 2**0.25
_LEAST_S = 0.01
#: kinds that are moments
_WITHOUT_DURATION = ("audit", "notification")
_DAY = dt.timedelta(days=1)
#: advisory lock of the first counting: "log_day" read as a number
_FIRST_LOCK = 0x6C6F675F646179

#: day, status, power of `DURATION_STEP` (0: took no time or has not ended)
Figure = tuple[dt.date, str, int]


@dataclass(frozen=True, slots=True)
class DayCount:
    """Entries of one day and status."""

    day: dt.date
    status: str
    entries: int


@dataclass(frozen=True, slots=True)
class DayDuration:
    """How long what ended on a day took, in seconds: half of it at most this, 95 % at most that."""

    day: dt.date
    median_s: float
    p95_s: float


def count_first(session: Session, workspace_id: UUID, *, now: dt.datetime) -> bool:
    """Counts the days of a workspace of which none was counted yet; whether it did.

    After an upgrade from a version that counted none, the first chart would count them all. One
    process at a time does it; the session is the owner's.
    """
    if session.scalar(select(LogDay.day).where(LogDay.workspace_id == workspace_id).limit(1)):
        return False
    if not session.scalar(select(func.pg_try_advisory_xact_lock(_FIRST_LOCK))):
        return False
    recount(session, workspace_id, now=now)
    return True


def recount(session: Session, workspace_id: UUID, *, now: dt.datetime) -> None:
    """Counts every day before yesterday anew; the session is the owner's.

    What was deleted, or ended late, is right again with the next night.
    """
    log = ALL_LOGS.c
    session.execute(delete(LogDay).where(LogDay.workspace_id == workspace_id))
    day, took = _day(), _took()
    date = func.date(func.timezone("UTC", day))
    counted = (
        select(log.workspace_id, date, log.kind, log.status, took, func.count())
        .where(log.workspace_id == workspace_id, log.created_at < _midnight(now.date() - _DAY))
        .group_by(log.workspace_id, day, log.kind, log.status, took)
    )
    names = ("workspace_id", "day", "kind", "status", "took", "entries")
    session.execute(insert(LogDay).from_select(list(names), counted))


def figures(session: Session, workspace_id: UUID, chosen: LogFilter) -> Counter[Figure]:
    """Entries of a filter by day (UTC), status and duration."""
    total: Counter[Figure] = Counter()
    for piece in _pieces(session, chosen):
        counts = (
            _kept(session, piece)
            if isinstance(piece, _Days)
            else _live(session, workspace_id, piece)
        )
        for day, status, took, entries in counts:
            total[(day, status, took)] += entries
    return total


def counted(entries: Iterable[LogMoment]) -> Counter[Figure]:
    """Entries that were read anyway, as `figures` counts them; pure."""
    return Counter(
        (one.created_at.astimezone(dt.UTC).date(), one.status, _power(one)) for one in entries
    )


def per_day(counted: Counter[Figure]) -> list[DayCount]:
    """Entries per day and status, oldest day first; pure."""
    total: Counter[tuple[dt.date, str]] = Counter()
    for (day, status, _), entries in counted.items():
        total[(day, status)] += entries
    return [DayCount(day, status, total[(day, status)]) for day, status in sorted(total)]


def durations(counted: Counter[Figure]) -> list[DayDuration]:
    """How long things took, by day, oldest first; days on which nothing ended are left out; pure.

    >>> day = dt.date(2026, 11, 21)
    >>> half = Counter({(day, "succeeded", 28): 50, (day, "failed", 41): 50})
    >>> [(round(d.median_s, 2), round(d.p95_s, 1)) for d in durations(half)]
    [(1.17, 11.2)]
    """
    by_day: dict[dt.date, Counter[int]] = {}
    for (day, _, took), entries in counted.items():
        if took:
            by_day.setdefault(day, Counter())[took] += entries
    return [
        DayDuration(day, _quantile(by_day[day], 0.5), _quantile(by_day[day], 0.95))
        for day in sorted(by_day)
    ]


def reach(session: Session, chosen: LogFilter) -> dt.datetime | None:
    """Since when a word is sought, so that about `SEARCHED_ENTRIES` are read.

    None where the whole filter holds no more than that, as far as the nights have counted; the two
    days that they have not are taken to be like the newest that they have.
    """
    wanted = _of_filter(select(LogDay.day, func.sum(LogDay.entries)), chosen)
    total = 0
    for day, entries in session.execute(wanted.group_by(LogDay.day).order_by(LogDay.day.desc())):
        total += int(entries) * (1 if total else 3)
        if total > SEARCHED_ENTRIES:
            return _midnight(day) + _DAY
    return None


@dataclass(frozen=True, slots=True)
class _Days:
    """Whole days that were counted."""

    first: dt.date
    #: not among them
    end: dt.date
    chosen: LogFilter


def _pieces(session: Session, chosen: LogFilter) -> Iterator[_Days | LogFilter]:
    """The filter's time in pieces: days that were counted, and what has to be counted now."""
    newest = session.scalar(select(func.max(LogDay.day)))
    if newest is None or chosen.text or chosen.who or chosen.run or chosen.org_id is not None:
        yield chosen
        return
    first = dt.date.min if chosen.since is None else _next_midnight(chosen.since).date()
    end = newest + _DAY
    if chosen.until is not None:
        end = min(end, chosen.until.astimezone(dt.UTC).date())
    if first >= end:
        yield chosen
        return
    if chosen.since is not None:
        yield replace(chosen, until=_midnight(first))
    yield _Days(first, end, chosen)
    yield replace(chosen, since=_midnight(end))


def _kept(session: Session, days: _Days) -> Iterable[tuple[dt.date, str, int, int]]:
    columns = (LogDay.day, LogDay.status, LogDay.took)
    wanted = _of_filter(select(*columns, func.sum(LogDay.entries)), days.chosen)
    wanted = wanted.where(LogDay.day >= days.first, LogDay.day < days.end).group_by(*columns)
    return ((day, status, took, int(n)) for day, status, took, n in session.execute(wanted))


def _live(
    session: Session, workspace_id: UUID, chosen: LogFilter
) -> Iterable[tuple[dt.date, str, int, int]]:
    if chosen.since is not None and chosen.until is not None and chosen.since >= chosen.until:
        return ()
    columns = (_day(), ALL_LOGS.c.status, _took())
    wanted = select(*columns, func.count()).where(condition(session, workspace_id, chosen))
    found = session.execute(wanted.group_by(*columns))
    return ((midnight.date(), status, took, n) for midnight, status, took, n in found)


def _of_filter(wanted: Any, chosen: LogFilter) -> Any:
    if chosen.kinds:
        wanted = wanted.where(LogDay.kind.in_(chosen.kinds))
    if chosen.statuses:
        wanted = wanted.where(LogDay.status.in_(chosen.statuses))
    return wanted


def _day() -> ColumnElement[dt.datetime]:
    """Midnight before an entry: a third of the cost of its date, by EXPLAIN ANALYZE."""
    return func.date_bin(
        literal_column("interval '1 day'"),
        ALL_LOGS.c.created_at,
        literal_column("timestamptz '2000-01-01 00:00Z'"),
    )


def _took() -> ColumnElement[int]:
    log = ALL_LOGS.c
    seconds = func.date_part("epoch", log.finished_at - log.created_at)
    # constants in the text, so that selecting and grouping are the same expression
    power = func.floor(
        func.ln(func.greatest(seconds / literal_column(f"{_LEAST_S}"), literal_column("1.0")))
        / literal_column(f"{math.log(DURATION_STEP):.12f}")
    )
    takes_none = or_(log.finished_at.is_(None), log.kind.in_(_WITHOUT_DURATION))
    return case((takes_none, literal_column("0")), else_=literal_column("1") + cast(power, Integer))


def _power(one: LogMoment) -> int:
    """`_took` of one entry."""
    if one.finished_at is None or one.kind in _WITHOUT_DURATION:
        return 0
    seconds = (one.finished_at - one.created_at).total_seconds()
    return 1 + math.floor(math.log(max(seconds / _LEAST_S, 1.0)) / math.log(DURATION_STEP))


def _quantile(counts: Counter[int], share: float) -> float:
    """The duration that so many of the entries do not exceed."""
    wanted = math.ceil(share * counts.total())
    for took in sorted(counts):
        wanted -= counts[took]
        if wanted <= 0:
            break
    return float(_LEAST_S * DURATION_STEP ** (took - 0.5))


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _next_midnight(moment: dt.datetime) -> dt.datetime:
    begun = _midnight(moment.astimezone(dt.UTC).date())
    return begun if begun == moment else begun + _DAY
