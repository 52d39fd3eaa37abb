"""Deleting what its time has passed, as the tables' owner; one run per transaction.

temporary runs, logs, describes  temporary_days
files that operations wrote      temporary_days
runs with all that hangs on them run_log_days (never less than a year; pinned ones stay)
keys of spool and before-images  before_image_days (undo ends with them)
delivered notices                notification_days
ended sessions, old attempts     session_days
audit_log                        never; the database refuses
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from core.db.models import (
    LOG_TABLES,
    DataMigration,
    DescribeCache,
    IdempotencyKey,
    KeptFile,
    MigrationPlan,
    NotificationLog,
    OauthState,
    RunKey,
    SignInAttempt,
    UserSession,
)
from core.domain.workspace_settings import WorkspaceSettings

#: round trips through a login page are of no use after this
OAUTH_STATE_LIFE = dt.timedelta(days=1)

OpenSession = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Swept:
    """What was deleted in one workspace."""

    #: rows by table, those that went with a run not counted
    rows: dict[str, int]
    #: runs and launches whose pages nobody can open any more; their files may go
    runs_without_pages: tuple[UUID, ...]


def sweep(
    open_session: OpenSession,
    workspace_id: UUID,
    settings: WorkspaceSettings,
    *,
    now: dt.datetime,
) -> Swept:
    """Delete what a workspace's settings say; repeatable, and resumable at any point."""
    rows: Counter[str] = Counter()
    gone = _expired_runs(open_session, workspace_id, settings, now=now)
    for run_id in gone:
        with open_session() as session:
            rows += _removed(session, delete(DataMigration).where(DataMigration.id == run_id))
    with open_session() as session:
        keyless = _expired_keys(session, workspace_id, settings, now=now)
        for statement in _statements(workspace_id, settings, now):
            rows += _removed(session, statement)
        files = _expired_files(session, workspace_id, settings, now=now)
        if files:
            rows += _removed(session, delete(KeptFile).where(KeptFile.id.in_(files)))
        if keyless:
            rows += _removed(session, delete(RunKey).where(RunKey.run_id.in_(keyless)))
    return Swept(dict(rows), (*gone, *keyless, *files))


def sweep_shared(open_session: OpenSession, *, days: int, now: dt.datetime) -> dict[str, int]:
    """Delete what belongs to no workspace alone: ended sessions, attempts, round trips."""
    rows: Counter[str] = Counter()
    limit = now - dt.timedelta(days=days)
    ended = or_(UserSession.expires_at < limit, UserSession.revoked_at < limit)
    with open_session() as session:
        rows += _removed(session, delete(UserSession).where(ended))
        rows += _removed(session, delete(SignInAttempt).where(SignInAttempt.at < limit))
        old = OauthState.expires_at < now - OAUTH_STATE_LIFE
        rows += _removed(session, delete(OauthState).where(old))
    return dict(rows)


def _expired_runs(
    open_session: OpenSession,
    workspace_id: UUID,
    settings: WorkspaceSettings,
    *,
    now: dt.datetime,
) -> tuple[UUID, ...]:
    ended = func.coalesce(DataMigration.finished_at, DataMigration.created_at)
    # a run that began and has not ended is somebody's work, however old
    idle = or_(DataMigration.finished_at.is_not(None), DataMigration.started_at.is_(None))
    old = ended < now - dt.timedelta(days=settings.run_log_days)
    temporary = and_(
        DataMigration.temporary, ended < now - dt.timedelta(days=settings.temporary_days)
    )
    with open_session() as session:
        found = session.scalars(
            select(DataMigration.id).where(
                DataMigration.workspace_id == workspace_id,
                DataMigration.pinned.is_(False),
                idle,
                or_(old, temporary),
            )
        )
        return tuple(found)


def _expired_keys(
    session: Session, workspace_id: UUID, settings: WorkspaceSettings, *, now: dt.datetime
) -> tuple[UUID, ...]:
    limit = now - dt.timedelta(days=settings.before_image_days)
    found = session.scalars(
        select(RunKey.run_id)
        .join(DataMigration, DataMigration.id == RunKey.run_id)
        .where(
            RunKey.workspace_id == workspace_id,
            DataMigration.pinned.is_(False),
            DataMigration.finished_at < limit,
        )
    )
    return tuple(found)


def _expired_files(
    session: Session, workspace_id: UUID, settings: WorkspaceSettings, *, now: dt.datetime
) -> tuple[UUID, ...]:
    limit = now - dt.timedelta(days=settings.temporary_days)
    old = KeptFile.created_at < limit
    return tuple(
        session.scalars(select(KeptFile.id).where(KeptFile.workspace_id == workspace_id, old))
    )


def _statements(workspace_id: UUID, settings: WorkspaceSettings, now: dt.datetime) -> list[Delete]:
    def before(days: int) -> dt.datetime:
        return now - dt.timedelta(days=days)

    used = exists().where(DataMigration.plan_id == MigrationPlan.id)
    statements = [
        _of(NotificationLog, workspace_id).where(
            NotificationLog.created_at < before(settings.notification_days)
        ),
        _of(IdempotencyKey, workspace_id).where(
            IdempotencyKey.created_at < before(settings.temporary_days)
        ),
        # not confirmed by its org for so long: it is asked for again when somebody needs it
        _of(DescribeCache, workspace_id).where(
            DescribeCache.checked_at < before(settings.temporary_days)
        ),
        _of(MigrationPlan, workspace_id).where(
            MigrationPlan.deleted_at < before(settings.run_log_days), ~used
        ),
    ]
    for table in LOG_TABLES:
        old: ColumnElement[bool] = table.created_at < before(settings.run_log_days)
        temporary = and_(table.temporary, table.created_at < before(settings.temporary_days))
        # a log of a run goes with its run, which may be pinned
        alone = table.run_id.is_(None)
        statements.append(_of(table, workspace_id).where(or_(and_(old, alone), temporary)))
    return statements


def _of(model: Any, workspace_id: UUID) -> Delete:
    return delete(model).where(model.workspace_id == workspace_id)


def _removed(session: Session, statement: Delete) -> Counter[str]:
    done = session.connection().execute(statement)
    name = str(statement.table)
    return Counter({name: done.rowcount} if done.rowcount else {})
