"""Files that are kept: sets that plans read rows from, and files that operations wrote."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.base import (
    Base,
    EncryptedText,
    Identified,
    JsonObject,
    Timestamped,
    WorkspaceScoped,
    counter,
    json_object,
)


class FileSet(Identified, WorkspaceScoped, Timestamped, Base):
    """Uploaded CSVs, sealed on the spool under this id, and how their tables are read.

    The set stands among the registered orgs as the source that plans name.
    """

    __tablename__ = "file_set"
    __table_args__ = (CheckConstraint("status IN ('kept','read')", name="status"),)

    registered_org_id: Mapped[UUID] = mapped_column(
        ForeignKey("registered_org.id", ondelete="CASCADE"), unique=True
    )
    #: key of the pages, itself encrypted
    wrapped_key: Mapped[EncryptedText]
    #: kept: the bytes lie there · read: its pages do, too
    status: Mapped[str] = mapped_column(server_default="kept")
    #: uploads, tables as they are read, figures of the reading, odd cells
    document: Mapped[JsonObject] = json_object()
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    rows: Mapped[int] = counter()
    created_by: Mapped[str | None]


class KeptFile(Identified, WorkspaceScoped, Timestamped, Base):
    """A file that an operation wrote, sealed on the spool under the id of its log entry."""

    __tablename__ = "kept_file"

    #: the operation that wrote it
    kind: Mapped[str]
    file_name: Mapped[str]
    #: key of the pages, itself encrypted; with this row it is gone
    wrapped_key: Mapped[EncryptedText]
    pieces: Mapped[int] = mapped_column(server_default=text("0"))
    bytes: Mapped[int] = counter()
    rows: Mapped[int] = counter()
    sha256: Mapped[str] = mapped_column(server_default="")
    created_by: Mapped[str] = mapped_column(server_default="")
