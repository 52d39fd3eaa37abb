"""Reads and writes of the files that operations wrote: which there are, and their keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.db.models import KeptFile
from core.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class KeptFileRow:
    """One file; its id is that of the log entry of the launch that wrote it."""

    id: UUID
    #: the operation
    kind: str
    file_name: str
    wrapped_key: str
    #: 0 while it is being written
    pieces: int
    bytes: int
    #: without the header; 0 where it is no table
    rows: int
    sha256: str
    created_by: str
    created_at: dt.datetime


def begin(session: Session, file_id: UUID, values: Mapping[str, Any]) -> None:
    """A file that is about to be written, in place of one that was given up."""
    session.execute(delete(KeptFile).where(KeptFile.id == file_id))
    session.add(KeptFile(id=file_id, **values))


def finish(session: Session, file_id: UUID, values: Mapping[str, Any]) -> None:
    """Writes its figures; from now on it can be fetched."""
    session.execute(update(KeptFile).where(KeptFile.id == file_id).values(**values))


def kept_file(session: Session, file_id: UUID) -> KeptFileRow:
    """One whole file.

    Raises:
        NotFoundError: there is none, it is still written, or its time is over.
    """
    row = session.get(KeptFile, file_id)
    if row is None or not row.pieces:
        raise NotFoundError(
            "There is no such file in this workspace.",
            next_step="It may still be written, or its time may be over: launch it again.",
        )
    return _row(row)


def kept_files(session: Session, *, limit: int) -> tuple[KeptFileRow, ...]:
    """Whole files, the newest first."""
    wanted = select(KeptFile).where(KeptFile.pieces > 0).order_by(KeptFile.created_at.desc())
    return tuple(_row(row) for row in session.scalars(wanted.limit(limit)))


def _row(row: KeptFile) -> KeptFileRow:
    return KeptFileRow(**{each.name: getattr(row, each.name) for each in fields(KeptFileRow)})
