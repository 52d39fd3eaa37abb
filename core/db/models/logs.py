"""One log table per operation, all of one shape, and one view over every log.

`LogMixin` is the shape; a table is a few lines. `ALL_LOGS` describes the view `all_logs` that the
Logs page reads: one `UNION ALL` arm per `*_log` table (audit and notifications too), each arm
indexed on workspace and time, under the caller's row-level security. A revision makes the view.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUuid
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from core.db.models.base import (
    CURRENT_WORKSPACE_SQL,
    Base,
    Identified,
    JsonObject,
    Timestamped,
    UtcDateTime,
    WorkspaceScoped,
    counter,
    json_object,
)

#: states of a log row; the audit and notification arms of the view translate into them
LOG_STATES = ("pending", "running", "waiting", "succeeded", "partial", "failed", "cancelled")
_STATES_SQL = ", ".join(f"'{state}'" for state in LOG_STATES)


class LogMixin(Identified, WorkspaceScoped, Timestamped):
    """What every operation's log row holds."""

    if TYPE_CHECKING:
        __tablename__: str

    #: the run it belongs to, by the name people quote; unique where one job makes one row
    data_schedule_id: Mapped[str | None] = mapped_column(sort_order=1)
    status: Mapped[str] = mapped_column(server_default="pending", sort_order=2)
    #: who asked: an e-mail name, `terminal:<os user>`, `schedule:<name>`
    requested_by: Mapped[str] = mapped_column(server_default="", sort_order=3)
    #: one sentence for the list
    message: Mapped[str] = mapped_column(server_default="", sort_order=4)
    parameters: Mapped[JsonObject] = mapped_column(
        JSONB(none_as_null=True), server_default=text("'{}'::jsonb"), sort_order=60
    )
    #: nested outcome; changes by one atomic UPDATE of a path
    result: Mapped[JsonObject] = mapped_column(
        JSONB(none_as_null=True), server_default=text("'{}'::jsonb"), sort_order=61
    )
    error_message: Mapped[str | None] = mapped_column(sort_order=62)
    started_at: Mapped[dt.datetime | None] = mapped_column(sort_order=70)
    finished_at: Mapped[dt.datetime | None] = mapped_column(sort_order=71)
    #: removed after the temporary-data days
    temporary: Mapped[bool] = mapped_column(server_default=text("false"), sort_order=72)

    @declared_attr
    def run_id(cls) -> Mapped[UUID | None]:
        """The run; its logs go with it."""
        return mapped_column(
            ForeignKey("data_migration.id", ondelete="CASCADE"), index=True, sort_order=5
        )

    @declared_attr
    def source_org_id(cls) -> Mapped[UUID | None]:
        """The org read, or the only one concerned; history outlives it."""
        return mapped_column(
            ForeignKey("registered_org.id", ondelete="SET NULL"), index=True, sort_order=6
        )

    @declared_attr
    def target_org_id(cls) -> Mapped[UUID | None]:
        """The org written to."""
        return mapped_column(
            ForeignKey("registered_org.id", ondelete="SET NULL"), index=True, sort_order=7
        )

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """State check, time index for the view, one row per job where the table says so."""
        name = cls.__tablename__
        one_per_job: bool = getattr(cls, "ONE_ROW_PER_JOB", True)
        return (
            CheckConstraint(f"status IN ({_STATES_SQL})", name="status"),
            Index(f"ix_{name}_workspace_id_created_at", "workspace_id", "created_at"),
            Index(
                f"{'uq' if one_per_job else 'ix'}_{name}_data_schedule_id",
                "data_schedule_id",
                unique=one_per_job,
            ),
        )


class MigrateDataLog(LogMixin, Base):
    """One data migration as an operation."""

    __tablename__ = "migrate_data_log"

    record_counts: Mapped[JsonObject] = json_object()


class CreateCustomFieldLog(LogMixin, Base):
    """Fields created in an org."""

    __tablename__ = "create_custom_field_log"


class UpdateExtIdValueLog(LogMixin, Base):
    """External id values filled."""

    __tablename__ = "update_ext_id_value_log"


class DeleteCustomFieldLog(LogMixin, Base):
    """Fields deleted from an org."""

    __tablename__ = "delete_custom_field_log"


class PermitObjectsAndFieldsLog(LogMixin, Base):
    """Object and field permissions granted."""

    __tablename__ = "permit_objects_and_fields_log"


class RecordCountLog(LogMixin, Base):
    """Records counted on both sides."""

    __tablename__ = "record_count_log"

    record_counts: Mapped[JsonObject] = json_object()


class FieldDifferenceLog(LogMixin, Base):
    """Fields compared."""

    __tablename__ = "field_difference_log"

    differences: Mapped[JsonObject] = json_object()


class DeployFromFieldDiffLog(LogMixin, Base):
    """Fields deployed from a comparison."""

    __tablename__ = "deploy_from_field_diff_log"


class DuplicateRecordsLog(LogMixin, Base):
    """Likely duplicates searched."""

    __tablename__ = "duplicate_records_log"


class CsvDataLog(LogMixin, Base):
    """CSV files imported or exported."""

    __tablename__ = "csv_data_log"


class ExtraChildRecordsLog(LogMixin, Base):
    """Children in the target that the source does not have."""

    __tablename__ = "extra_child_records_log"


class SyncRecordsLog(LogMixin, Base):
    """Changed records brought over after a migration."""

    __tablename__ = "sync_records_log"


class MetadataDeployLog(LogMixin, Base):
    """Metadata deployed."""

    __tablename__ = "metadata_deploy_log"


class DiffViewerLog(LogMixin, Base):
    """Metadata compared."""

    __tablename__ = "diff_viewer_log"

    differences: Mapped[JsonObject] = json_object()


class MigrationLog(LogMixin, Base):
    """Totals of one object in one run."""

    __tablename__ = "migration_log"
    ONE_ROW_PER_JOB = False

    data_migration_id: Mapped[UUID] = mapped_column(
        ForeignKey("data_migration.id", ondelete="CASCADE"), index=True
    )
    object_name: Mapped[str]
    record_count: Mapped[int] = counter()
    success_count: Mapped[int] = counter()
    failure_count: Mapped[int] = counter()
    details: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))


class SyncLog(LogMixin, Base):
    """One pass of a sync: figures and diagnostics of its mapping."""

    __tablename__ = "sync_log"
    ONE_ROW_PER_JOB = False

    sync_state_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("sync_state.id", ondelete="SET NULL"), index=True
    )
    rows_new: Mapped[int] = counter()
    rows_changed: Mapped[int] = counter()
    rows_deleted: Mapped[int] = counter()
    conflicts: Mapped[int] = counter()


class ErrorLog(LogMixin, Base):
    """Something that went wrong outside a row: page, worker, route, chunk."""

    __tablename__ = "error_log"
    ONE_ROW_PER_JOB = False

    #: error class of core.errors
    kind: Mapped[str]
    #: where it was caught: page, worker, rest, run
    boundary: Mapped[str]
    code: Mapped[str | None]
    fingerprint: Mapped[str] = mapped_column(index=True)
    facts: Mapped[JsonObject] = json_object()


class LogDay(WorkspaceScoped, Base):
    """How many entries of a day that is over, counted each night: what charts read."""

    __tablename__ = "log_day"

    workspace_id: Mapped[UUID] = mapped_column(
        ForeignKey("workspace.id", ondelete="RESTRICT"),
        primary_key=True,
        server_default=text(CURRENT_WORKSPACE_SQL),
    )
    #: of UTC
    day: Mapped[dt.date] = mapped_column(primary_key=True)
    #: as in the view
    kind: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    #: how long they took, as a power (core.db.log_days); 0: no time, or not ended
    took: Mapped[int] = mapped_column(primary_key=True)
    entries: Mapped[int] = counter()


class ErrorNote(WorkspaceScoped, Base):
    """What people know about one kind of error or row failure, by its fingerprint."""

    __tablename__ = "error_note"
    __table_args__ = (CheckConstraint("state IN ('open','known','fixed')", name="state"),)

    workspace_id: Mapped[UUID] = mapped_column(
        ForeignKey("workspace.id", ondelete="RESTRICT"),
        primary_key=True,
        server_default=text(CURRENT_WORKSPACE_SQL),
    )
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="open")
    #: the usual fix, in an admin's words
    note: Mapped[str] = mapped_column(server_default="")
    changed_by: Mapped[str]
    changed_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


#: the tables of one shape; a kind in the view is the table's name without `_log`
LOG_TABLES: tuple[type[LogMixin], ...] = (
    MigrateDataLog,
    CreateCustomFieldLog,
    UpdateExtIdValueLog,
    DeleteCustomFieldLog,
    PermitObjectsAndFieldsLog,
    RecordCountLog,
    FieldDifferenceLog,
    DeployFromFieldDiffLog,
    DuplicateRecordsLog,
    CsvDataLog,
    ExtraChildRecordsLog,
    SyncRecordsLog,
    MetadataDeployLog,
    DiffViewerLog,
    MigrationLog,
    SyncLog,
    ErrorLog,
)

#: the view, kept out of the tables' metadata; its `kind` is the table's name without `_log`
ALL_LOGS = Table(
    "all_logs",
    MetaData(),
    Column("kind", Text),
    Column("id", PgUuid(as_uuid=True)),
    Column("workspace_id", PgUuid(as_uuid=True)),
    Column("created_at", UtcDateTime()),
    Column("finished_at", UtcDateTime()),
    Column("status", Text),
    Column("who", Text),
    Column("message", Text),
    Column("data_schedule_id", Text),
    Column("run_id", PgUuid(as_uuid=True)),
    Column("source_org_id", PgUuid(as_uuid=True)),
    Column("target_org_id", PgUuid(as_uuid=True)),
)
