"""Reads and writes of registered orgs, of their describes, and of one sign-in round trip.

Secrets pass through here as ciphertext only; core.access.connections opens them.
"""

from __future__ import annotations

import datetime as dt
import zlib
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import case, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from core.db.models import (
    DataMigration,
    DescribeCache,
    MigrationPlan,
    NotificationRule,
    OauthState,
    RegisteredOrg,
    Schedule,
)
from core.errors import ConflictError, NotFoundError


@dataclass(frozen=True, slots=True)
class OrgRow:
    """A registered org without its secrets; names as in the table."""

    id: UUID
    workspace_id: UUID
    name: str
    domain_name: str
    instance_url: str
    #: 18-character Organization Id
    org_id: str | None
    user_id: str | None
    user_name: str | None
    organization_name: str | None
    organization_type: str | None
    is_sandbox: bool
    is_practice: bool
    environment: str
    trial_expires_at: dt.datetime | None
    api_version: str | None
    login_url: str | None
    auth_kind: str
    read_only: bool
    protected: bool
    status: str
    status_reason: str | None
    tested_at: dt.datetime | None
    described_at: dt.datetime | None
    api_used: int | None
    api_allowed: int | None
    usage_at: dt.datetime | None
    ledger_suspended_at: dt.datetime | None
    previous_org_id: str | None
    connected_by: str | None
    #: see core.db.describing
    describing: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredSecrets:
    """Ciphertexts of one org."""

    instance_url: str
    access_token: str
    refresh_token: str | None
    credentials: str | None


@dataclass(frozen=True, slots=True)
class StoredDescribe:
    """One kept describe answer."""

    sobject: str
    body: bytes
    etag: str
    last_modified: str
    checked_at: dt.datetime
    field_count: int | None = None


@dataclass(frozen=True, slots=True)
class OrgUsers:
    """Names of what refers to an org."""

    plans: tuple[str, ...]
    schedules: tuple[str, ...]
    notification_rules: tuple[str, ...]
    #: runs that have not ended
    runs: tuple[str, ...]


#: an org counts the calls of a rolling day
USAGE_WINDOW = dt.timedelta(hours=24)

_SIDES = (("source", MigrationPlan.source_org_id), ("target", MigrationPlan.target_org_id))


def org_rows(session: Session, *, with_files: bool = False) -> tuple[OrgRow, ...]:
    """Every org of the workspace, by name; sets of files stand among them when asked for."""
    wanted = select(RegisteredOrg).order_by(func.lower(RegisteredOrg.name))
    if not with_files:
        wanted = wanted.where(RegisteredOrg.environment != "files")
    return tuple(_row(each) for each in session.scalars(wanted))


def org_row(session: Session, org_id: UUID) -> OrgRow:
    """One org of the workspace.

    Raises:
        NotFoundError: no such org here.
    """
    return _row(_get(session, org_id))


def calls_used(session: Session, *, now: dt.datetime) -> dict[UUID, int]:
    """API calls of the last 24 hours by org: what it told last, and those of runs begun since.

    What others called since the org was asked is not in it: a figure of "at least". Orgs that never
    told are left out.
    """
    found = session.execute(
        text(
            "SELECT o.id, CASE WHEN o.usage_at >= :day THEN o.api_used ELSE 0 END + coalesce(("
            " SELECT sum(CASE WHEN m.source_org_id = o.id"
            "  THEN coalesce((m.summary -> 'api_calls' ->> 'source')::bigint, 0) ELSE 0 END"
            " + CASE WHEN m.target_org_id = o.id"
            "  THEN coalesce((m.summary -> 'api_calls' ->> 'target')::bigint, 0) ELSE 0 END)"
            " FROM data_migration m WHERE o.id IN (m.source_org_id, m.target_org_id)"
            " AND m.started_at >= greatest(o.usage_at, :day)), 0)"
            " FROM registered_org o WHERE o.api_used IS NOT NULL"
        ),
        {"day": now - USAGE_WINDOW},
    )
    return {org_id: int(calls) for org_id, calls in found}


def org_named(session: Session, name: str) -> OrgRow | None:
    """The org of that name (case does not matter), or None."""
    statement = select(RegisteredOrg).where(func.lower(RegisteredOrg.name) == name.strip().lower())
    found = session.scalar(statement)
    return None if found is None else _row(found)


def add_org(session: Session, values: dict[str, Any]) -> OrgRow:
    """A new org from column values.

    Raises:
        ConflictError: its name or address is registered already.
    """
    org = RegisteredOrg(**values)
    session.add(org)
    _flush(session, org)
    session.refresh(org)
    return _row(org)


def change_org(session: Session, org_id: UUID, values: dict[str, Any]) -> OrgRow:
    """Change columns of an org.

    Raises:
        NotFoundError: no such org here. ConflictError: the new name or address is taken.
    """
    org = _get(session, org_id, lock=True)
    for name, value in values.items():
        setattr(org, name, value)
    _flush(session, org)
    return _row(org)


def hold_orgs(session: Session, *org_ids: UUID) -> None:
    """Keeps orgs from being removed until the transaction ends.

    Raises:
        NotFoundError: one was removed.
    """
    wanted = set(org_ids)
    statement = select(RegisteredOrg.id).where(RegisteredOrg.id.in_(wanted))
    held = session.scalars(statement.with_for_update(read=True, key_share=True)).all()
    if set(held) != wanted:
        raise NotFoundError("An org of this launch was removed.", state="Nothing was launched.")


def rename_in_plans(
    session: Session, org_id: UUID, *, old: str, new: str
) -> tuple[tuple[UUID, str, str], ...]:
    """Let the drafts of an org's plans name it by its new name; which changed: id and name of the
    plan, and the side that named it."""
    changed: list[tuple[UUID, str, str]] = []
    for side, column in _SIDES:
        statement = (
            update(MigrationPlan)
            .where(
                column == org_id,
                MigrationPlan.draft[side].astext == old,
                MigrationPlan.deleted_at.is_(None),
            )
            .values(
                draft=func.jsonb_set(MigrationPlan.draft, [side], func.to_jsonb(new)),
                revision=MigrationPlan.revision + 1,
            )
        )
        made = session.execute(statement.returning(MigrationPlan.id, MigrationPlan.name))
        changed += [(plan_id, name, side) for plan_id, name in made]
    return tuple(changed)


def adopt_plans(session: Session, org_id: UUID, *, name: str) -> int:
    """Point plans at an org that they name and that was not there until now; how many did."""
    count = 0
    for side, column in _SIDES:
        statement = (
            update(MigrationPlan)
            .where(column.is_(None), MigrationPlan.draft[side].astext == name)
            .values({column: org_id})
        )
        count += len(session.execute(statement.returning(MigrationPlan.id)).all())
    return count


def remove_org(session: Session, org_id: UUID) -> None:
    """Delete an org; its field mappings and describes go with it, its history stays.

    Raises:
        ConflictError: a run on it has not ended.
    """
    # who holds the org for a launch is waited for, and seen
    session.execute(select(RegisteredOrg.id).where(RegisteredOrg.id == org_id).with_for_update())
    going = users_of(session, org_id).runs
    if going:
        raise ConflictError(
            f"A run on this org has not ended: {', '.join(going)}.",
            state="It was not removed.",
            next_step="Cancel the run or wait for it; test the org, whose tokens may be revoked.",
        )
    session.execute(delete(RegisteredOrg).where(RegisteredOrg.id == org_id))


def secrets_of(session: Session, org_id: UUID) -> StoredSecrets:
    """Ciphertexts of an org.

    Raises:
        NotFoundError: no such org here.
    """
    org = _get(session, org_id)
    return StoredSecrets(org.instance_url, org.access_token, org.refresh_token, org.credentials)


def identity(session: Session, org_id: UUID) -> tuple[str | None, ...]:
    """Address, org, user and way of signing in, as they were when the org was last connected.

    Raises:
        NotFoundError: no such org here.
    """
    org = _get(session, org_id)
    return (org.instance_url, org.org_id, org.user_id, org.auth_kind, org.api_version)


def lock_token_refresh(session: Session, org_id: UUID) -> None:
    """Let one process at a time renew an org's token, until the transaction ends.

    An advisory lock, not the row's: the new token is written by another transaction meanwhile.
    """
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"token:{org_id}"},
    )


def users_of(session: Session, org_id: UUID) -> OrgUsers:
    """What refers to an org, by name."""
    plan_uses = or_(MigrationPlan.source_org_id == org_id, MigrationPlan.target_org_id == org_id)
    plans = select(MigrationPlan.id).where(plan_uses, MigrationPlan.deleted_at.is_(None))
    run_uses = or_(DataMigration.source_org_id == org_id, DataMigration.target_org_id == org_id)

    def names(column: Any, *where: Any) -> tuple[str, ...]:
        return tuple(session.scalars(select(column).where(*where).order_by(column)))

    return OrgUsers(
        plans=names(MigrationPlan.name, MigrationPlan.id.in_(plans)),
        schedules=names(Schedule.name, Schedule.plan_id.in_(plans)),
        notification_rules=names(
            NotificationRule.name, NotificationRule.registered_org_id == org_id
        ),
        runs=names(
            DataMigration.data_schedule_id,
            run_uses,
            DataMigration.finished_at.is_(None),
        ),
    )


def plans_by_org(session: Session) -> dict[UUID, tuple[str, ...]]:
    """Names of the plans that use each org."""
    found = session.execute(
        select(MigrationPlan.name, MigrationPlan.source_org_id, MigrationPlan.target_org_id)
        .where(MigrationPlan.deleted_at.is_(None))
        .order_by(MigrationPlan.name)
    )
    names: dict[UUID, tuple[str, ...]] = {}
    for name, source, target in found:
        for org_id in {source, target}:
            if org_id is not None:
                names[org_id] = (*names.get(org_id, ()), name)
    return names


def describe_of(
    session: Session, org_id: UUID, sobject: str, *, api_version: str
) -> StoredDescribe | None:
    """What is kept of one object (empty name: the list of objects)."""
    found = session.scalar(
        select(DescribeCache).where(
            DescribeCache.registered_org_id == org_id,
            DescribeCache.sobject == sobject.lower(),
            DescribeCache.api_version == api_version,
        )
    )
    if found is None:
        return None
    return StoredDescribe(
        sobject=sobject,
        body=zlib.decompress(found.body),
        etag=found.etag or "",
        last_modified=found.last_modified or "",
        checked_at=found.checked_at,
        field_count=found.field_count,
    )


def keep_describe(
    session: Session, org_id: UUID, kept: StoredDescribe, *, api_version: str
) -> None:
    """Keep a describe in place of the earlier one; the org's `described_at` moves with the list."""
    key = ("registered_org_id", "sobject", "api_version")
    statement = insert(DescribeCache).values(
        id=uuid7(),
        registered_org_id=org_id,
        sobject=kept.sobject.lower(),
        api_version=api_version,
        body=zlib.compress(kept.body, level=3),
        field_count=kept.field_count,
        etag=kept.etag or None,
        last_modified=kept.last_modified or None,
        checked_at=kept.checked_at,
        fetched_at=kept.checked_at,
    )
    new = statement.excluded
    same = DescribeCache.body == new.body
    changed: dict[str, Any] = {
        name: new[name] for name in ("body", "field_count", "etag", "last_modified", "checked_at")
    }
    changed["fetched_at"] = case((same, DescribeCache.fetched_at), else_=new.fetched_at)
    session.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))
    if not kept.sobject:
        described = update(RegisteredOrg).where(RegisteredOrg.id == org_id)
        session.execute(described.values(described_at=kept.checked_at))


def field_counts(session: Session, org_id: UUID) -> dict[str, int]:
    """Fields per described object, by its name in small letters."""
    found = session.execute(
        select(DescribeCache.sobject, DescribeCache.field_count).where(
            DescribeCache.registered_org_id == org_id, DescribeCache.field_count.is_not(None)
        )
    )
    return {sobject: count for sobject, count in found if count is not None}


def forget_describes(session: Session, org_id: UUID) -> None:
    """Drop every kept describe of an org (another org answers there now)."""
    session.execute(delete(DescribeCache).where(DescribeCache.registered_org_id == org_id))


def lay_oauth_state(session: Session, values: dict[str, Any]) -> None:
    """Keep what a sign-in round trip needs when the browser comes back."""
    session.add(OauthState(**values))
    session.flush()


def take_oauth_state(session: Session, state_hash: str, *, now: dt.datetime) -> OauthState | None:
    """Use a round trip up; None when unknown, used or too old. Two callers: one gets it."""
    return session.scalar(
        update(OauthState)
        .where(
            OauthState.state_hash == state_hash,
            OauthState.used_at.is_(None),
            OauthState.expires_at > now,
        )
        .values(used_at=now)
        .returning(OauthState)
    )


def _get(session: Session, org_id: UUID, *, lock: bool = False) -> RegisteredOrg:
    org = session.get(RegisteredOrg, org_id, with_for_update=lock or None)
    if org is None:
        raise NotFoundError("There is no such org in this workspace.", org_id=org_id)
    return org


def _flush(session: Session, org: RegisteredOrg) -> None:
    name, url = org.name, org.instance_url
    try:
        session.flush()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        constraint = error.orig.diag.constraint_name or ""
        what = f"An org named “{name}”" if constraint.endswith("_id_name") else f"The org at {url}"
        raise ConflictError(
            f"{what} is registered in this workspace already.",
            state="Nothing was changed.",
            next_step="Choose another name, or reconnect the org that is there.",
        ) from error


def _row(org: RegisteredOrg) -> OrgRow:
    return OrgRow(**{field.name: getattr(org, field.name) for field in fields(OrgRow)})
