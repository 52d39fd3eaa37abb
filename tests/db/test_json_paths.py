"""JSONB paths change by one atomic UPDATE."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import select
from uuid_utils.compat import uuid7

from core.bootstrap import Orgbridge
from core.db.json_paths import add_to_path, put_path
from core.db.models import RecordCountLog
from core.errors import NotFoundError

WRITERS = 50


@pytest.fixture
def log_id(bridge: Orgbridge) -> UUID:
    """A log row whose result is empty."""
    with bridge.session(bridge.workspace_id()) as session:
        row = RecordCountLog(data_schedule_id="count-1")
        session.add(row)
        session.flush()
        return row.id


def result_of(bridge: Orgbridge, log_id: UUID) -> object:
    with bridge.session(bridge.workspace_id()) as session:
        return session.scalar(select(RecordCountLog.result).where(RecordCountLog.id == log_id))


def test_fifty_writers_at_once_lose_nothing(bridge: Orgbridge, log_id: UUID) -> None:
    """Each writes a key of its own below one path and adds to one shared number."""
    workspace_id = bridge.workspace_id()
    here = RecordCountLog.id == log_id

    def write(number: int) -> None:
        with bridge.session(workspace_id) as session:
            put_path(
                session,
                RecordCountLog.result,
                ["orgs", "00D", f"object {number}"],
                value={"rows": number},
                where=here,
            )
            add_to_path(session, RecordCountLog.result, ["totals", "rows"], amount=1, where=here)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))

    assert result_of(bridge, log_id) == {
        "orgs": {"00D": {f"object {n}": {"rows": n} for n in range(WRITERS)}},
        "totals": {"rows": WRITERS},
    }


def test_path_keeps_its_neighbours_and_takes_odd_names(bridge: Orgbridge, log_id: UUID) -> None:
    """Names with quotes, commas, braces and dots are plain names."""
    here = RecordCountLog.id == log_id
    odd = ['a"b', "c,d", "{e}", "f.g", "ü 🙂"]
    with bridge.session(bridge.workspace_id()) as session:
        put_path(session, RecordCountLog.result, ["kept"], value=[1, None], where=here)
        for name in odd:
            put_path(session, RecordCountLog.result, ["odd", name], value=name, where=here)
        put_path(session, RecordCountLog.result, ["odd", "f.g"], value=None, where=here)

    expected = {"kept": [1, None], "odd": {name: name for name in odd} | {"f.g": None}}
    assert result_of(bridge, log_id) == expected


def test_missing_row_is_told(bridge: Orgbridge) -> None:
    """A path of a row that is gone is not silently dropped."""
    with pytest.raises(NotFoundError), bridge.session(bridge.workspace_id()) as session:
        put_path(
            session,
            RecordCountLog.result,
            ["x"],
            value=1,
            where=RecordCountLog.id == uuid7(),
        )
