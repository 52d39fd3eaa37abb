"""Reads and writes of file sets: what was uploaded, how it is read, and the source it stands for.

A set stands among the registered orgs, read-only and without credentials, so that a plan names it
as its source as it names an org.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from core.db.models import FileSet, RegisteredOrg
from core.errors import NotFoundError, UserError

ENVIRONMENT = "files"


@dataclass(frozen=True, slots=True)
class FileSetRow:
    """One file set with the name of its source."""

    id: UUID
    registered_org_id: UUID
    name: str
    #: 18 characters, the same for later deliveries of a series
    organization_id: str
    wrapped_key: str
    #: kept | read
    status: str
    document: Mapping[str, Any]
    bytes: int
    rows: int
    created_by: str | None
    created_at: dt.datetime


def add(
    session: Session,
    *,
    set_id: UUID,
    name: str,
    organization_id: str,
    values: Mapping[str, Any],
    nothing: str,
) -> UUID:
    """Keeps a new set and its source; the source's id.

    Args:
        nothing: an encrypted empty text, for the credentials that a set has not.
    Raises:
        UserError: an org or set of that name is there.
    """
    taken = select(RegisteredOrg.id).where(func.lower(RegisteredOrg.name) == name.lower())
    if session.scalar(taken) is not None:
        raise UserError(
            f"There is a source named {name} already.",
            state="Nothing was kept.",
            next_step="Give the files another name; a later delivery may end with a number.",
        )
    source = RegisteredOrg(
        name=name,
        domain_name=f"files:{set_id}",
        instance_url=f"files:{set_id}",
        access_token=nothing,
        org_id=organization_id,
        environment=ENVIRONMENT,
        auth_kind=ENVIRONMENT,
        organization_name=name,
        read_only=True,
    )
    session.add(source)
    session.flush()
    session.add(FileSet(id=set_id, registered_org_id=source.id, **values))
    session.flush()
    return source.id


def change(session: Session, set_id: UUID, values: Mapping[str, Any]) -> None:
    """Sets columns of a set."""
    session.execute(update(FileSet).where(FileSet.id == set_id).values(**values))


def file_sets(session: Session) -> tuple[FileSetRow, ...]:
    """All sets, the newest first."""
    found = session.execute(_rows().order_by(FileSet.created_at.desc()))
    return tuple(_row(one, org) for one, org in found)


def file_set(session: Session, set_id: UUID) -> FileSetRow:
    """One set.

    Raises:
        NotFoundError: no such set in the workspace.
    """
    return _one(session, _rows().where(FileSet.id == set_id))


def named(session: Session, name: str) -> FileSetRow:
    """The set of that name, whatever its case; raises as `file_set` does."""
    return _one(session, _rows().where(func.lower(RegisteredOrg.name) == name.strip().lower()))


def of_source(session: Session, org_id: UUID) -> FileSetRow | None:
    """The set that a source stands for; None for an org."""
    found = session.execute(_rows().where(FileSet.registered_org_id == org_id)).first()
    return None if found is None else _row(*found)


def remove(session: Session, row: FileSetRow) -> None:
    """Deletes a set with its source; what refers to the source keeps its own names."""
    session.execute(delete(RegisteredOrg).where(RegisteredOrg.id == row.registered_org_id))


def _rows() -> Any:
    return select(FileSet, RegisteredOrg).join(
        RegisteredOrg, RegisteredOrg.id == FileSet.registered_org_id
    )


def _one(session: Session, statement: Any) -> FileSetRow:
    found = session.execute(statement).first()
    if found is None:
        raise NotFoundError(
            "There are no such files in this workspace.",
            next_step="The page CSV import lists what was uploaded.",
        )
    return _row(*found)


def _row(one: FileSet, org: RegisteredOrg) -> FileSetRow:
    return FileSetRow(
        one.id,
        org.id,
        org.name,
        org.org_id or "",
        one.wrapped_key,
        one.status,
        one.document,
        one.bytes,
        one.rows,
        one.created_by,
        one.created_at,
    )
