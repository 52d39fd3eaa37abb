"""Charts of the logs: past days counted at night, the rest as it is; both say the same."""

from __future__ import annotations

import datetime as dt
import threading
import time
from uuid import UUID

import pytest
import sqlalchemy as sa

from core.bootstrap import Orgbridge
from core.db import log_days
from core.db import logs as log_rows
from core.db.models import LogDay, RecordCountLog, SyncLog
from core.domain.roles import Actor, Role
from core.jobs import schedule
from core.jobs.retention import count_days, keep_house
from core.services import logs
from core.services.logs import LogFilter

#: as far as the fixture's entries go back
DAYS = 9


@pytest.fixture
def actor(bridge: Orgbridge) -> Actor:
    """A workspace with entries of nine days, every seven hours, that took 1 to 9 seconds."""
    actor = Actor(bridge.workspace_id(), None, "ann", Role.ANALYST)
    with bridge.session(actor.workspace_id) as session:
        for number in range(DAYS * 24 // 7):
            begun = bridge.clock() - dt.timedelta(hours=7 * number)
            entry = {
                "created_at": begun,
                "finished_at": begun + dt.timedelta(seconds=1 + number % 9),
                "status": "failed" if number % 5 == 0 else "succeeded",
                "message": f"entry {number}",
                "requested_by": "ann" if number % 2 else "bob",
            }
            session.add_all([RecordCountLog(**entry), SyncLog(**entry, rows_new=1)])
    return actor


def midnight(bridge: Orgbridge, back: int) -> dt.datetime:
    day = bridge.clock().date() - dt.timedelta(days=back)
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def filters(bridge: Orgbridge) -> list[LogFilter]:
    now, hours = bridge.clock(), dt.timedelta(hours=5)
    return [
        LogFilter(),
        LogFilter(since=midnight(bridge, 6)),
        LogFilter(since=midnight(bridge, 6) + hours, until=midnight(bridge, 3) + hours),
        LogFilter(since=now - hours),
        LogFilter(until=midnight(bridge, 4) - hours),
        LogFilter(since=midnight(bridge, 5) + hours, until=midnight(bridge, 5) + 3 * hours),
        LogFilter(kinds=("sync",), statuses=("failed",)),
        LogFilter(who="bob"),
        LogFilter(text="entry 1", since=midnight(bridge, 6)),
    ]


def test_counted_days_change_no_chart(bridge: Orgbridge, actor: Actor) -> None:
    """Whatever the filter's edges, with and without what the night counted."""
    asked = filters(bridge)
    before = [logs.per_day(bridge, actor, chosen) for chosen in asked]
    assert all(days for days, _ in before)

    assert keep_house(bridge) == {}

    with bridge.session(actor.workspace_id) as session:
        assert session.scalar(sa.select(sa.func.max(LogDay.day))) < bridge.clock().date()
        assert session.scalar(sa.select(sa.func.count()).select_from(LogDay)) > DAYS
    assert [logs.per_day(bridge, actor, chosen) for chosen in asked] == before
    days, took = before[0]
    assert sum(day.entries for day in days) == 2 * (DAYS * 24 // 7)
    assert all(0.9 <= one.median_s <= one.p95_s <= 9.9 for one in took)


def test_the_night_counts_anew_what_was_deleted(bridge: Orgbridge, actor: Actor) -> None:
    keep_house(bridge)
    with bridge.session(actor.workspace_id) as session:
        session.execute(sa.delete(SyncLog))

    keep_house(bridge)

    days, _ = logs.per_day(bridge, actor, LogFilter())
    assert sum(day.entries for day in days) == DAYS * 24 // 7


def test_a_word_is_sought_in_the_newest_entries_first(
    bridge: Orgbridge, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far back as the counted days allow; a filter without a word, or with few, stays."""
    word = LogFilter(text="entry")
    assert logs.searched(bridge, actor, word) == word
    keep_house(bridge)
    assert logs.searched(bridge, actor, word) == word

    monkeypatch.setattr(log_days, "SEARCHED_ENTRIES", 30)

    near = logs.searched(bridge, actor, word)
    assert near.since is not None
    assert midnight(bridge, DAYS) < near.since <= midnight(bridge, 1)
    assert near.since.time() == dt.time()
    assert logs.searched(bridge, actor, LogFilter()) == LogFilter()
    later = LogFilter(text="entry", since=bridge.clock())
    assert logs.searched(bridge, actor, later) == later


def test_a_page_of_a_word_brings_the_figures_of_its_charts(
    bridge: Orgbridge, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as the charts would count; of a word that many entries hold it brings none."""
    for chosen in (
        LogFilter(text="entry 1"),
        LogFilter(text="ENTRY", since=midnight(bridge, 3)),
        LogFilter(text="entry 2", kinds=("sync",), who="bob"),
        LogFilter(text="no such"),
    ):
        page = logs.logs(bridge, actor, chosen, page_rows=3)
        assert page.per_day == logs.per_day(bridge, actor, chosen)
        assert page.per_day is not None
        assert sum(day.entries for day in page.per_day[0]) == page.total
    assert logs.logs(bridge, actor, LogFilter()).per_day is None

    monkeypatch.setattr(log_rows, "COUNT_UP_TO", 5)
    many = logs.logs(bridge, actor, LogFilter(text="entry"), page_rows=3)
    assert (many.per_day, len(many.rows), many.total, many.is_at_least) == (None, 3, 5, True)


def test_days_are_counted_once_at_the_start_after_an_upgrade(
    bridge: Orgbridge, actor: Actor
) -> None:
    """The scheduler's thread does it, and only where none was counted yet."""

    def kept() -> int:
        with bridge.session(actor.workspace_id) as session:
            return session.scalar(sa.select(sa.func.sum(LogDay.entries))) or 0

    asked = filters(bridge)
    before = [logs.per_day(bridge, actor, chosen) for chosen in asked]
    assert kept() == 0

    with schedule.start(bridge):
        deadline = time.monotonic() + 120
        while not kept() and time.monotonic() < deadline:
            threading.Event().wait(0.02)

    assert kept() > DAYS
    assert [logs.per_day(bridge, actor, chosen) for chosen in asked] == before
    assert count_days(bridge) == 0


def test_counts_stay_in_their_workspace(bridge: Orgbridge, actor: Actor) -> None:
    with bridge.owner_session() as session:
        other: UUID = session.execute(
            sa.text("INSERT INTO workspace (id, name) VALUES (gen_random_uuid(), 'B') RETURNING id")
        ).scalar_one()
    keep_house(bridge)

    stranger = Actor(other, None, "eve", Role.ANALYST)
    assert logs.per_day(bridge, stranger, LogFilter()) == ((), ())
