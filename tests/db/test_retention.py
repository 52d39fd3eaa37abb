"""What the daily sweep deletes, what it keeps, and that it says so."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import polars as pl
import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from core.bootstrap import Orgbridge
from core.db.models import (
    AuditLog,
    Base,
    DataMigration,
    DescribeCache,
    KeptFile,
    MigrationPlan,
    NotificationLog,
    OauthState,
    RecordCountLog,
    RunKey,
    SignInAttempt,
    UserSession,
)
from core.domain.roles import Actor, Role
from core.domain.workspace_settings import WorkspaceSettings
from core.errors import NotAllowedError, NotFoundError, UserError
from core.files.archive import keep_pieces
from core.jobs.retention import keep_house
from core.services import settings
from tests.db.planting import plant, workspace


@pytest.fixture
def here(bridge: Orgbridge) -> UUID:
    """A workspace with a row in every table, all of them just made."""
    with bridge.owner_session() as session:
        workspace_id = workspace(session, "A")
        plant(session, workspace_id)
        session.execute(sa.update(UserSession).values(expires_at=bridge.clock()))
        session.execute(sa.update(SignInAttempt).values(at=bridge.clock()))
        session.execute(sa.update(OauthState).values(expires_at=bridge.clock()))
    return workspace_id


def aged(bridge: Orgbridge, days: float) -> dt.datetime:
    return bridge.clock() - dt.timedelta(days=days)


def run_of(
    bridge: Orgbridge, workspace_id: UUID, name: str, *, days: float | None, **more: object
) -> UUID:
    """A run that ended so many days ago (None: has not ended)."""
    ended = None if days is None else aged(bridge, days)
    with bridge.session(workspace_id) as session:
        run = DataMigration(
            data_schedule_id=name,
            requested_by="x",
            started_at=ended or aged(bridge, 5_000),
            finished_at=ended,
            created_at=ended or aged(bridge, 5_000),
            **more,
        )
        session.add(run)
        session.flush()
        return run.id


def runs_in(bridge: Orgbridge, workspace_id: UUID) -> set[str]:
    with bridge.session(workspace_id) as session:
        return set(session.scalars(sa.select(DataMigration.data_schedule_id)))


def test_fresh_rows_stay(bridge: Orgbridge, here: UUID) -> None:
    """Nothing of a workspace whose rows are new is touched, in any table."""

    def counts() -> dict[str, int | None]:
        with bridge.owner_session() as session:
            return {
                table.name: session.scalar(sa.select(sa.func.count()).select_from(table))
                for table in Base.metadata.sorted_tables
                if table.name != "log_day"  # counted anew with every sweep
            }

    with bridge.owner_session() as session:
        session.execute(sa.update(MigrationPlan).values(deleted_at=None))
    before = counts()

    removed = keep_house(bridge)

    assert (removed, counts()) == ({}, before)


def test_files_of_operations_go_with_their_pages(bridge: Orgbridge, here: UUID) -> None:
    """After the time of temporary data the key, the row and the pages are gone."""
    ids = (uuid7(), uuid7())
    with bridge.session(here) as session:
        for file_id, days in zip(ids, (29, 31), strict=True):
            key = bridge.spool.new_wrapped_key()
            keep_pieces(bridge.spool.run(file_id, key), [b"Id\n1\n"])
            row = KeptFile(id=file_id, kind="export_logs", file_name="x.csv", wrapped_key=key)
            row.created_at = aged(bridge, days)
            session.add(row)

    assert keep_house(bridge) == {"kept_file": 1}

    key = bridge.spool.new_wrapped_key()
    assert [bridge.spool.run(one, key).is_empty() for one in ids] == [False, True]


def test_old_runs_go_and_what_people_need_stays(bridge: Orgbridge, here: UUID) -> None:
    """Pinned runs and runs that have not ended stay however old they are."""
    run_of(bridge, here, "older than two years", days=731)
    run_of(bridge, here, "younger", days=729)
    run_of(bridge, here, "pinned", days=4_000, pinned=True)
    run_of(bridge, here, "never ended", days=None)
    run_of(bridge, here, "temporary and old", days=31, temporary=True)
    run_of(bridge, here, "temporary and young", days=29, temporary=True)
    with bridge.session(here) as session:
        old = session.scalars(
            sa.select(DataMigration.id).where(
                DataMigration.data_schedule_id == "older than two years"
            )
        ).one()
        session.add(RecordCountLog(data_schedule_id="of the old run", run_id=old))

    removed = keep_house(bridge)

    left = runs_in(bridge, here)
    assert {"younger", "pinned", "never ended", "temporary and young"} <= left
    assert {"older than two years", "temporary and old"}.isdisjoint(left)
    assert removed["data_migration"] == 2
    with bridge.session(here) as session:
        logs = session.scalars(sa.select(RecordCountLog.data_schedule_id)).all()
        trail = session.execute(sa.select(AuditLog.actor, AuditLog.before)).all()
    assert "of the old run" not in logs
    assert ("schedule:retention", {"rows": {"data_migration": 2}}) in [tuple(r) for r in trail]


def test_logs_without_a_run_go_by_their_own_age(bridge: Orgbridge, here: UUID) -> None:
    with bridge.session(here) as session:
        for name, days, temporary in (
            ("old", 731, False),
            ("young", 729, False),
            ("temporary", 31, True),
            ("temporary, young", 29, True),
        ):
            session.add(
                RecordCountLog(
                    data_schedule_id=name, created_at=aged(bridge, days), temporary=temporary
                )
            )

    keep_house(bridge)

    with bridge.session(here) as session:
        left = set(session.scalars(sa.select(RecordCountLog.data_schedule_id)))
    assert {"young", "temporary, young"} <= left
    assert {"old", "temporary"}.isdisjoint(left)


def test_pages_and_their_key_go_before_the_run(bridge: Orgbridge, here: UUID) -> None:
    """After the before-image days undo is over: files and key are gone, the run's logs stay."""
    run_id = run_of(bridge, here, "month old", days=31)
    wrapped = bridge.spool.new_wrapped_key()
    with bridge.session(here) as session:
        session.add(RunKey(run_id=run_id, wrapped_key=wrapped))
    pages = bridge.spool.run(run_id, wrapped)
    pages.write("src/account/000001", pl.DataFrame({"Id": ["001"]}))

    keep_house(bridge)

    with bridge.session(here) as session:
        assert session.scalar(sa.select(RunKey).where(RunKey.run_id == run_id)) is None
    assert "month old" in runs_in(bridge, here)
    with pytest.raises(NotFoundError):
        pages.read("src/account/000001")


def test_ended_sessions_attempts_and_notices_go(bridge: Orgbridge, here: UUID) -> None:
    with bridge.owner_session() as session:
        session.execute(sa.update(UserSession).values(expires_at=aged(bridge, 31)))
        session.execute(sa.update(SignInAttempt).values(at=aged(bridge, 31)))
        session.execute(sa.update(NotificationLog).values(created_at=aged(bridge, 91)))
        session.execute(sa.update(DescribeCache).values(checked_at=aged(bridge, 31)))

    removed = keep_house(bridge)

    assert removed == {
        "user_session": 1,
        "sign_in_attempt": 1,
        "notification_log": 1,
        "describe_cache": 1,
    }


def test_figures_are_settable_within_bounds(bridge: Orgbridge, here: UUID) -> None:
    """A year of run logs is the least; who may not set them, does not; each change is audited."""
    admin = Actor(here, None, "ada", Role.ADMIN)
    run_of(bridge, here, "13 months", days=400)
    with pytest.raises(UserError, match="out of bounds"):
        settings.change_settings(bridge, admin, run_log_days=364)
    with pytest.raises(UserError, match="no setting"):
        settings.change_settings(bridge, admin, run_logs=400)
    with pytest.raises(UserError, match="takes a whole number"):
        settings.change_settings(bridge, admin, run_log_days=True)
    with pytest.raises(UserError, match="not a time zone"):
        settings.change_settings(bridge, admin, time_zone="Mars/Base")
    with pytest.raises(NotAllowedError):
        settings.change_settings(bridge, Actor(here, None, "bo", Role.APPROVER), max_rows=1)
    assert settings.settings(bridge, admin) == WorkspaceSettings()

    settings.change_settings(bridge, admin, run_log_days=365, time_zone="Europe/Vienna")
    keep_house(bridge)

    assert settings.settings(bridge, admin).run_log_days == 365
    assert "13 months" not in runs_in(bridge, here)
    with bridge.session(here) as session:
        changes = session.execute(
            sa.select(AuditLog.before, AuditLog.after).where(AuditLog.action == "settings.changed")
        ).all()
    assert [tuple(each) for each in changes] == [
        (
            {"run_log_days": 730, "time_zone": "UTC"},
            {"run_log_days": 365, "time_zone": "Europe/Vienna"},
        )
    ]
