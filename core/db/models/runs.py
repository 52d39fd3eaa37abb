"""Runs and what they leave behind: steps, chunks, ledger, failures, events, keys of their spool.

data_migration ─┬─< run_step ──< run_chunk
                ├─< object_mapping   frozen copy of the plan's mappings
                ├─< migration_log    totals per object
                ├─< row_failure      rows the org or we refused
                ├─< run_event        the story, in order
                └── run_key          key of the run's spool and before-images
link_set ─┬─< record_link   (the ledger) outlives runs: source id ↔ target id per pair and mapping
           └─< link_baseline when a run that wrote links ended
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import (
    CURRENT_WORKSPACE_SQL,
    Base,
    EncryptedText,
    Identified,
    JsonObject,
    TextList,
    Timestamped,
    WorkspaceScoped,
    counter,
    flag,
    json_object,
)
from core.domain.states import RunState, StepState

_RUN_CASCADE = "data_migration.id"


def _words(states: type[StrEnum]) -> str:
    """The states as SQL literals: what the code may move to is all that the database takes."""
    return ", ".join(f"'{state.value}'" for state in states)


class DataMigration(Identified, WorkspaceScoped, Timestamped, Base):
    """A run: one execution of one version of a plan, known outside by its `data_schedule_id`."""

    __tablename__ = "data_migration"
    __table_args__ = (
        UniqueConstraint("data_schedule_id"),
        CheckConstraint(f"status IN ({_words(RunState)})", name="status"),
        Index("ix_data_migration_status", "status"),
        Index("ix_data_migration_workspace_id_created_at", "workspace_id", "created_at"),
    )

    #: short, readable, unique: what people and scripts quote
    data_schedule_id: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="Pending")
    mode: Mapped[str] = mapped_column(server_default="full")
    source_org_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("registered_org.id", ondelete="SET NULL"), index=True
    )
    target_org_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("registered_org.id", ondelete="SET NULL"), index=True
    )
    #: the plan version that is executed
    data_batch_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("plan_version.id", ondelete="SET NULL"), index=True
    )
    plan_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("migration_plan.id", ondelete="SET NULL"), index=True
    )
    schedule_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("schedule.id", ondelete="SET NULL"), index=True
    )
    #: the run this one retries, undoes or continues
    parent_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey(_RUN_CASCADE, ondelete="SET NULL"), index=True
    )
    scheduled_start_time: Mapped[dt.datetime | None]
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    #: the source org's clock when reading began
    watermark: Mapped[dt.datetime | None]
    requested_by: Mapped[str]
    requested_by_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    #: 18-character Organization Id of the target: the lock is on it, across registrations
    target_organization_id: Mapped[str | None]
    #: the same id while this run writes to the target, else NULL: unique over all workspaces
    lock_organization_id: Mapped[str | None] = mapped_column(unique=True)
    #: fencing: a worker writes only while the token is its own
    lease_token: Mapped[int] = counter()
    lease_until: Mapped[dt.datetime | None]
    options: Mapped[JsonObject] = json_object()
    summary: Mapped[JsonObject] = json_object()
    buckets: Mapped[JsonObject] = json_object()
    #: why it waits (decision, approval, daily limit, another run), while it does
    wait_reason: Mapped[str | None]
    #: what a person asked of a running run: pause | cancel
    requested_state: Mapped[str | None]
    #: marked as temporary: removed after the temporary-data days
    temporary: Mapped[bool] = flag()
    #: never removed by retention
    pinned: Mapped[bool] = flag()


class RunStep(Identified, WorkspaceScoped, Base):
    """One object mapping in one phase of a run; the totals obey one identity."""

    __tablename__ = "run_step"
    __table_args__ = (
        UniqueConstraint("run_id", "mapping_name", "phase"),
        CheckConstraint(f"status IN ({_words(StepState)})", name="status"),
        CheckConstraint(
            "phase IN ('extract','load','second_pass','finally','verify','undo')", name="phase"
        ),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey(_RUN_CASCADE, ondelete="CASCADE"))
    mapping_name: Mapped[str]
    source_object: Mapped[str]
    target_object: Mapped[str]
    operation: Mapped[str]
    phase: Mapped[str]
    wave: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    position: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    status: Mapped[str] = mapped_column(server_default="pending")
    read_rows: Mapped[int] = counter()
    inserted: Mapped[int] = counter()
    updated: Mapped[int] = counter()
    unchanged: Mapped[int] = counter()
    skipped: Mapped[int] = counter()
    blocked: Mapped[int] = counter()
    failed: Mapped[int] = counter()
    not_processed: Mapped[int] = counter()
    lookups_left_blank: Mapped[int] = counter()
    twins: Mapped[int] = counter()
    second_pass: Mapped[int] = counter()
    #: where to go on after a stop
    cursor: Mapped[JsonObject] = json_object()
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]


class RunChunk(Identified, WorkspaceScoped, Base):
    """The rows of one request or one bulk job, and how far it got."""

    __tablename__ = "run_chunk"
    __table_args__ = (
        UniqueConstraint("step_id", "number"),
        Index("ix_run_chunk_run_id_state", "run_id", "state"),
        CheckConstraint(
            "state IN ('planned','job_created','uploaded','closed','results_read','done','lost',"
            "'failed')",
            name="state",
        ),
        CheckConstraint("api IN ('bulk','collections','graph')", name="api"),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey(_RUN_CASCADE, ondelete="CASCADE"))
    step_id: Mapped[UUID] = mapped_column(ForeignKey("run_step.id", ondelete="CASCADE"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="planned")
    api: Mapped[str]
    operation: Mapped[str]
    #: bulk job id, stored before the job is closed
    job_id: Mapped[str | None] = mapped_column(index=True)
    rows: Mapped[int] = counter()
    spool_page: Mapped[str | None]
    #: lease token of the worker that wrote this state
    fence: Mapped[int] = counter()
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    outcome: Mapped[JsonObject] = json_object()
    updated_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class LinkSet(WorkspaceScoped, Base):
    """One mapping's part of the ledger between two orgs; renaming a mapping renames its set."""

    __tablename__ = "link_set"
    __table_args__ = (UniqueConstraint("workspace_id", "org_pair", "mapping_name"),)

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    #: '<source Organization Id>:<target Organization Id>', 18 characters each
    org_pair: Mapped[str]
    mapping_name: Mapped[str]
    #: how `sent_hash` was computed; hashes of another scheme are not compared
    hash_scheme: Mapped[str] = mapped_column(server_default="")
    #: why the links may not be used (the org behind a connection was replaced), while so
    suspended: Mapped[str | None]
    #: the target org's clock when a run of this mapping last ended
    settled_at: Mapped[dt.datetime | None]


class LinkBaseline(WorkspaceScoped, Base):
    """When a run that wrote links of a set ended: what others did to their records came later.

    Outlives its run: links of a deleted one are still compared by it.
    """

    __tablename__ = "link_baseline"

    link_set_id: Mapped[int] = mapped_column(
        ForeignKey("link_set.id", ondelete="CASCADE"), primary_key=True
    )
    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    #: by the target's clock; NULL until the run has ended
    settled_at: Mapped[dt.datetime | None]


class RecordLink(Base):
    """The ledger: one source record and the target record it became.

    Narrow, with one index and no foreign keys: a million of these may be written in one run, and a
    foreign key is checked by a trigger per row.
    """

    __tablename__ = "record_link"
    __table_args__ = (
        CheckConstraint("origin IN ('inserted','updated','matched','adopted')", name="origin"),
    )

    link_set_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    #: 18 characters; compared byte by byte, as Salesforce ids are
    source_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(server_default=text(CURRENT_WORKSPACE_SQL))
    target_id: Mapped[str]
    origin: Mapped[str]
    #: the run that last wrote or matched it; the run itself may be gone
    run_id: Mapped[UUID | None]
    #: sum of the field hashes of the row as last sent, resolved target ids included
    sent_hash: Mapped[int | None] = mapped_column(BigInteger)
    #: hash of the row as it was read back after the target's automation; NULL while it is as sent
    found_hash: Mapped[int | None] = mapped_column(BigInteger)
    #: digest of the row as it was read when it was sent: what is read alike is as sent; NULL tells
    #: nothing
    read_hash: Mapped[int | None] = mapped_column(BigInteger)
    #: a write after this is somebody else's; NULL: after the end of run `run_id`
    target_modstamp: Mapped[dt.datetime | None]


class RowFailure(Identified, WorkspaceScoped, Base):
    """One row that did not arrive as asked, and why."""

    __tablename__ = "row_failure"
    __table_args__ = (
        CheckConstraint("kind IN ('blocked','failed','not_processed','left_blank')", name="kind"),
        Index("ix_row_failure_run_id_step_id_code", "run_id", "step_id", "code"),
        Index("ix_row_failure_fingerprint", "workspace_id", "fingerprint"),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey(_RUN_CASCADE, ondelete="CASCADE"))
    step_id: Mapped[UUID] = mapped_column(ForeignKey("run_step.id", ondelete="CASCADE"), index=True)
    chunk_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("run_chunk.id", ondelete="SET NULL"), index=True
    )
    source_id: Mapped[str | None]
    target_id: Mapped[str | None]
    kind: Mapped[str]
    code: Mapped[str]
    message: Mapped[str]
    fields: Mapped[TextList]
    #: the values that were sent, for the CSV and the retry
    sent: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    #: hash of object, code and normalised message: groups equal failures across runs
    fingerprint: Mapped[str]
    resolved_by_run: Mapped[UUID | None] = mapped_column(
        ForeignKey(_RUN_CASCADE, ondelete="SET NULL")
    )
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class RunEvent(Identified, WorkspaceScoped, Base):
    """One line of a run's story; ids sort by time."""

    __tablename__ = "run_event"
    __table_args__ = (Index("ix_run_event_run_id_id", "run_id", "id"),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey(_RUN_CASCADE, ondelete="CASCADE"))
    at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    level: Mapped[str] = mapped_column(server_default="info")
    step: Mapped[str | None]
    message: Mapped[str]
    data: Mapped[JsonObject] = json_object()


class RunKey(WorkspaceScoped, Base):
    """The run's spool key, itself encrypted; deleting it makes the pages unreadable."""

    __tablename__ = "run_key"

    run_id: Mapped[UUID] = mapped_column(
        ForeignKey(_RUN_CASCADE, ondelete="CASCADE"), primary_key=True
    )
    wrapped_key: Mapped[EncryptedText]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class ObjectMapping(Identified, WorkspaceScoped, Timestamped, Base):
    """The frozen copy of one object mapping as the run used it."""

    __tablename__ = "object_mapping"
    __table_args__ = (UniqueConstraint("data_migration_id", "mapping_name"),)

    data_migration_id: Mapped[UUID] = mapped_column(ForeignKey(_RUN_CASCADE, ondelete="CASCADE"))
    mapping_name: Mapped[str]
    source_object: Mapped[str]
    target_object: Mapped[str]
    field_mappings: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))


class IdempotencyKey(WorkspaceScoped, Base):
    """A click or request that was answered already: the same key gets the same answer."""

    __tablename__ = "idempotency_key"

    workspace_id: Mapped[UUID] = mapped_column(
        ForeignKey("workspace.id", ondelete="RESTRICT"),
        primary_key=True,
        server_default=text(CURRENT_WORKSPACE_SQL),
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    #: hash of the request: the same key with another request is a conflict
    request_hash: Mapped[str]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey(_RUN_CASCADE, ondelete="CASCADE"))
    response: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), index=True)
