"""Reads and writes of plans: drafts with a revision number, immutable versions.

A draft changes only by `save_draft`, whose UPDATE names the revision that was read, so that of two
people saving over one another the second is told. A version is cut once per distinct document.
Every function takes the caller's session and flushes at most; the caller commits.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, case, cast, func, select, true, update
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.orm import Session, aliased

from core.db.models import DataMigration, MigrationPlan, PlanVersion, RegisteredOrg, Schedule
from core.errors import ConflictError, NotFoundError, UserError

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One live plan with its orgs' names, without its document."""

    id: UUID
    name: str
    description: str
    source_org_id: UUID | None
    source_org: str | None
    target_org_id: UUID | None
    target_org: str | None
    revision: int
    #: number of the newest version; 0 before the first is cut
    newest_version: int
    #: object mappings of the draft
    objects: int
    #: its suggestions and questions that nobody settled; None where a launch maps by itself, which
    #: only the orgs' describes tell
    to_review: int | None
    created_by: str
    updated_by: str
    updated_at: dt.datetime
    #: of the newest run, dry runs too; None before the first
    last_run_status: str | None
    last_run_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A plan together with the document being edited."""

    row: PlanRow
    document: Document


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One immutable version."""

    id: UUID
    plan_id: UUID
    number: int
    #: name | approval | launch | restore
    cut_for: str
    label: str | None
    created_by: str
    created_at: dt.datetime
    document: Document


def digest_of(document: Document) -> str:
    """SHA-256 of the document with sorted keys: equal documents have equal digests."""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def live_plans(session: Session) -> tuple[PlanRow, ...]:
    """All plans of the workspace that were not removed, newest change first."""
    statement = _plan_rows().order_by(MigrationPlan.updated_at.desc())
    return tuple(_row(mapping) for mapping in session.execute(statement).mappings())


def plan_row(session: Session, *, plan_id: UUID | None = None, name: str | None = None) -> PlanRow:
    """One plan by id or by name, without its document; raises as `plan_draft` does."""
    return _row(_found(session, _plan_rows(), plan_id=plan_id, name=name))


def plan_draft(
    session: Session, *, plan_id: UUID | None = None, name: str | None = None
) -> PlanDraft:
    """One plan by id or by name, with its document.

    Raises:
        NotFoundError: no live plan of this workspace has that id or name.
    """
    statement = _plan_rows().add_columns(MigrationPlan.draft)
    mapping = _found(session, statement, plan_id=plan_id, name=name)
    return PlanDraft(row=_row(mapping), document=dict(mapping["draft"]))


def _found(
    session: Session, statement: Any, *, plan_id: UUID | None, name: str | None
) -> RowMapping:
    condition = MigrationPlan.id == plan_id if plan_id else MigrationPlan.name == name
    mapping: RowMapping | None = session.execute(statement.where(condition)).mappings().first()
    if mapping is None:
        raise NotFoundError(
            f"There is no plan {name or plan_id} in this workspace.",
            next_step="List the plans to see their names.",
            plan=str(name or plan_id),
        )
    return mapping


def insert_plan(
    session: Session,
    *,
    name: str,
    document: Document,
    source_org_id: UUID | None,
    target_org_id: UUID | None,
    by: str,
) -> UUID:
    """Adds a plan whose draft is the document.

    Raises:
        UserError: a live plan of that name exists; nothing was added.
    """
    refuse_taken_name(session, name)
    plan = MigrationPlan(
        name=name,
        draft=document,
        source_org_id=source_org_id,
        target_org_id=target_org_id,
        created_by=by,
        updated_by=by,
    )
    session.add(plan)
    session.flush()
    return plan.id


def refuse_taken_name(session: Session, name: str) -> None:
    """Raises UserError if a live plan has that name."""
    taken = select(MigrationPlan.id).where(
        MigrationPlan.name == name, MigrationPlan.deleted_at.is_(None)
    )
    if session.scalar(taken) is not None:
        raise UserError(
            f"A plan named {name} exists already.",
            state="Nothing was saved.",
            next_step="Choose another name, or open the existing plan.",
            plan=name,
        )


def org_id_by_name(session: Session, name: str) -> UUID | None:
    """The registered org of that name; None if there is none (the preflight says so)."""
    return session.scalar(select(RegisteredOrg.id).where(RegisteredOrg.name == name))


def save_draft(
    session: Session, plan_id: UUID, document: Document, *, revision: int, by: str
) -> int:
    """Replaces the draft if it still has that revision; returns the new revision.

    Raises:
        ConflictError: somebody saved in between; nothing was overwritten.
    """
    statement = (
        update(MigrationPlan)
        .where(
            MigrationPlan.id == plan_id,
            MigrationPlan.revision == revision,
            MigrationPlan.deleted_at.is_(None),
        )
        .values(draft=document, revision=revision + 1, updated_by=by, updated_at=func.now())
        .returning(MigrationPlan.revision)
    )
    saved = session.scalar(statement)
    if saved is None:
        current = plan_draft(session, plan_id=plan_id)
        raise ConflictError(
            f"{current.row.updated_by} saved this plan after you opened it.",
            state=f"Your change was not saved; the plan is at revision {current.row.revision}.",
            next_step="Look at their change and make yours again.",
            plan=current.row.name,
            revision=current.row.revision,
        )
    return saved


def rename_plan(session: Session, plan_id: UUID, *, name: str, by: str) -> None:
    """Gives the plan another name, in the list and in its document."""
    session.execute(
        update(MigrationPlan)
        .where(MigrationPlan.id == plan_id)
        .values(
            name=name,
            draft=func.jsonb_set(MigrationPlan.draft, ["name"], func.to_jsonb(name)),
            revision=MigrationPlan.revision + 1,
            updated_by=by,
        )
    )


def point_at_orgs(
    session: Session, plan_id: UUID, *, source_org_id: UUID | None, target_org_id: UUID | None
) -> None:
    """Sets which registered orgs the plan reads from and writes to."""
    session.execute(
        update(MigrationPlan)
        .where(MigrationPlan.id == plan_id)
        .values(source_org_id=source_org_id, target_org_id=target_org_id)
    )


def hold_plan(session: Session, plan_id: UUID) -> None:
    """Keeps a plan from being deleted until the transaction ends.

    Raises:
        NotFoundError: it is deleted.
    """
    there = select(MigrationPlan.id).where(
        MigrationPlan.id == plan_id, MigrationPlan.deleted_at.is_(None)
    )
    if session.scalar(there.with_for_update(read=True)) is None:
        raise NotFoundError(
            "This plan was deleted.", state="Nothing was done with it.", plan=str(plan_id)
        )


def remove_plan(session: Session, plan_id: UUID, *, at: dt.datetime, by: str) -> None:
    """Takes the plan out of the lists; versions and runs that refer to it stay.

    Raises:
        ConflictError: a schedule or an unfinished run uses it; nothing was removed.
    """
    # who holds the plan for a launch or a schedule is waited for, and seen
    session.execute(select(MigrationPlan.id).where(MigrationPlan.id == plan_id).with_for_update())
    users = plan_users(session, plan_id)
    if users:
        raise ConflictError(
            f"The plan is in use by {', '.join(users)}.",
            state="Nothing was deleted.",
            next_step="End the run or remove the schedule first.",
        )
    session.execute(
        update(MigrationPlan)
        .where(MigrationPlan.id == plan_id)
        .values(deleted_at=at, updated_by=by)
    )


def plan_users(session: Session, plan_id: UUID) -> tuple[str, ...]:
    """Names of schedules and ids of unfinished runs that use the plan."""
    schedules = select(Schedule.name).where(Schedule.plan_id == plan_id)
    runs = select(DataMigration.data_schedule_id).where(
        DataMigration.plan_id == plan_id, DataMigration.finished_at.is_(None)
    )
    named = [f"schedule {name}" for name in session.scalars(schedules)]
    return tuple(named + [f"run {run}" for run in session.scalars(runs)])


def runs_writing_into(session: Session, organization_id: str) -> tuple[str, ...]:
    """Ids of the runs that hold an org for their writes, whoever launched them."""
    statement = select(DataMigration.data_schedule_id).where(
        DataMigration.lock_organization_id == organization_id
    )
    return tuple(session.scalars(statement))


def cut_version(
    session: Session, plan_id: UUID, document: Document, *, cut_for: str, label: str | None, by: str
) -> VersionRow:
    """The version that holds exactly this document, made if there is none yet.

    A label given to an existing version of equal content makes a new one all the same, since a
    version is never changed.
    """
    session.execute(select(MigrationPlan.id).where(MigrationPlan.id == plan_id).with_for_update())
    digest = digest_of(document)
    newest = session.scalars(
        select(PlanVersion)
        .where(PlanVersion.plan_id == plan_id)
        .order_by(PlanVersion.number.desc())
        .limit(1)
    ).first()
    if newest is not None and newest.digest == digest and label in (None, newest.label):
        return _version_row(newest)
    version = PlanVersion(
        plan_id=plan_id,
        number=(newest.number if newest else 0) + 1,
        document=document,
        digest=digest,
        cut_for=cut_for,
        label=label,
        created_by=by,
    )
    session.add(version)
    session.flush()
    session.refresh(version)
    return _version_row(version)


def versions(session: Session, plan_id: UUID) -> tuple[VersionRow, ...]:
    """All versions of a plan, newest first."""
    statement = (
        select(PlanVersion)
        .where(PlanVersion.plan_id == plan_id)
        .order_by(PlanVersion.number.desc())
    )
    return tuple(_version_row(version) for version in session.scalars(statement))


def plan_version(session: Session, plan_id: UUID, number: int) -> VersionRow:
    """One version by its number.

    Raises:
        NotFoundError: the plan has no such version.
    """
    statement = select(PlanVersion).where(
        PlanVersion.plan_id == plan_id, PlanVersion.number == number
    )
    version = session.scalars(statement).first()
    if version is None:
        raise NotFoundError(
            f"The plan has no version {number}.",
            next_step="Choose one from its history.",
            version=number,
        )
    return _version_row(version)


def version_by_id(session: Session, version_id: UUID) -> VersionRow:
    """The version that a run's ``data_batch_id`` points at.

    Raises:
        NotFoundError: no such version in this workspace.
    """
    version = session.get(PlanVersion, version_id)
    if version is None:
        raise NotFoundError(f"There is no plan version {version_id} in this workspace.")
    return _version_row(version)


def _plan_rows() -> Any:
    """SELECT of PlanRow's columns over live plans."""
    source, target = aliased(RegisteredOrg), aliased(RegisteredOrg)
    newest = (
        select(func.coalesce(func.max(PlanVersion.number), 0))
        .where(PlanVersion.plan_id == MigrationPlan.id)
        .scalar_subquery()
    )
    last = (
        select(DataMigration.status, DataMigration.created_at)
        .where(DataMigration.plan_id == MigrationPlan.id)
        .order_by(DataMigration.created_at.desc())
        .limit(1)
        .lateral()
    )
    return (
        select(
            MigrationPlan.id,
            MigrationPlan.name,
            MigrationPlan.description,
            MigrationPlan.source_org_id,
            source.name.label("source_org"),
            MigrationPlan.target_org_id,
            target.name.label("target_org"),
            MigrationPlan.revision,
            newest.label("newest_version"),
            func.jsonb_array_length(MigrationPlan.draft["objects"]).label("objects"),
            case((_maps_by_itself(), None), else_=func.jsonb_array_length(_open_reviews())).label(
                "to_review"
            ),
            MigrationPlan.created_by,
            MigrationPlan.updated_by,
            MigrationPlan.updated_at,
            last.c.status.label("last_run_status"),
            last.c.created_at.label("last_run_at"),
        )
        .select_from(MigrationPlan)
        .outerjoin(last, true())
        .outerjoin(source, source.id == MigrationPlan.source_org_id)
        .outerjoin(target, target.id == MigrationPlan.target_org_id)
        .where(MigrationPlan.deleted_at.is_(None))
    )


def _open_reviews() -> Any:
    """Review states of a draft that wait for somebody, as a JSON array."""
    path = '$.objects[*].fields.*.review ? (@ == "suggested" || @ == "needs_clarification")'
    return func.jsonb_path_query_array(MigrationPlan.draft, cast(path, JSONPATH))


def _maps_by_itself() -> Any:
    """Whether a launch would add fields to any object of a draft."""
    path = "$.objects[*] ? (!(exists (@.auto_map)) || @.auto_map == true)"
    return func.jsonb_path_exists(MigrationPlan.draft, cast(path, JSONPATH))


def _row(mapping: RowMapping) -> PlanRow:
    return PlanRow(**{name: mapping[name] for name in PlanRow.__dataclass_fields__})


def _version_row(version: PlanVersion) -> VersionRow:
    return VersionRow(
        id=version.id,
        plan_id=version.plan_id,
        number=version.number,
        cut_for=version.cut_for,
        label=version.label,
        created_by=version.created_by,
        created_at=version.created_at,
        document=dict(version.document),
    )
