"""What every table shares: ids, time, workspace, naming.

A row's id is a UUIDv7 made here: ids sort by creation and a caller knows an id before the insert.
`WorkspaceScoped` gives the column that row-level security filters on; its server default is the
workspace of the transaction, so that an insert need not repeat it. Nothing here opens a connection.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import BigInteger, Dialect, ForeignKey, MetaData, Text, TypeDecorator, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PgUuid
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from uuid_utils.compat import uuid7

#: stable constraint names, so that a later revision can drop them by name
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: the workspace of the running transaction; NULL when none is set. After SET LOCAL the setting is
#: '' on the same connection, not NULL (PostgreSQL 18.4, seen 2026-11-21), hence the nullif.
CURRENT_WORKSPACE_SQL = "nullif(current_setting('app.workspace_id', true), '')::uuid"

BigInt = Annotated[int, mapped_column(BigInteger)]
JsonObject = dict[str, Any]
#: ciphertext of core.access.secrets; the mark is what rotation goes by
EncryptedText = Annotated[str, mapped_column(Text, info={"encrypted": True})]
TextList = Annotated[list[str], mapped_column(ARRAY(Text), server_default=text("'{}'"))]


class UtcDateTime(TypeDecorator[dt.datetime]):
    """timestamptz that refuses naive datetimes at the border and answers in UTC."""

    impl = TIMESTAMP(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is not None and value.utcoffset() is None:
            raise ValueError(f"naive datetime {value!r} at the database border; use aware UTC")
        return value

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        return None if value is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """Declarative root of all tables; head equals this metadata is a test."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it as a plain class attribute
        UUID: PgUuid(as_uuid=True),
        dt.datetime: UtcDateTime(),
        JsonObject: JSONB(none_as_null=True),
        list[Any]: JSONB(none_as_null=True),
        str: Text(),
    }


class Identified:
    """A UUIDv7 primary key."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-20)


class Timestamped:
    """When the row was made and last changed, by the database's clock."""

    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), sort_order=80)
    updated_at: Mapped[dt.datetime] = mapped_column(
        server_default=func.now(), onupdate=func.now(), sort_order=81
    )


class WorkspaceScoped:
    """A row that only its workspace sees: row-level security compares this column."""

    @declared_attr
    def workspace_id(cls) -> Mapped[UUID]:  # declared_attr passes the class
        return mapped_column(
            ForeignKey("workspace.id", ondelete="RESTRICT"),
            server_default=text(CURRENT_WORKSPACE_SQL),
            sort_order=-10,
        )


def json_object() -> Any:
    """A JSONB column that starts as ``{}`` and is never NULL."""
    return mapped_column(JSONB(none_as_null=True), server_default=text("'{}'::jsonb"))


def flag(default: bool = False) -> Any:
    """A boolean column, never NULL."""
    return mapped_column(server_default=text("true" if default else "false"))


def counter() -> Any:
    """A bigint count of rows, starting at 0, never NULL."""
    return mapped_column(BigInteger, server_default=text("0"))
