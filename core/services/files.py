"""CSV files as people bring them: kept, looked at, read, made the source of a plan.

    keep ─▶ tables guessed ─▶ describe_tables (corrected) ─▶ read_files (an operation) ─▶ plan_of

What was read never changes: a later delivery is a set of its own, whose rows have the ids that the
same keys had before as long as its name says that it belongs to the series (``customers``,
``customers 2``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from core.access import audit, roles
from core.db import file_sets as rows
from core.db import orgs as org_rows
from core.db.file_sets import FileSetRow
from core.domain.csv import people_csv
from core.domain.hashing import text_hash
from core.domain.roles import Role
from core.errors import ConflictError, UserError
from core.files import archive
from core.files.archive import KeptUpload
from core.files.guessing import Guess, guess_table
from core.files.row_ids import ids_of
from core.files.tables import BadCell, TableSpec

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor
    from core.spool import RunSpool

__all__ = ["FileSetRow", "Guess", "TableSpec"]

NAME_MAX = 120
_NUMBER = re.compile(r"[\s_-]*\d+$")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way in."""

    file_name: str
    #: its bytes in pieces of any size
    blocks: Iterable[bytes]


def keep(bridge: Orgbridge, actor: Actor, *, name: str, uploads: Sequence[Upload]) -> FileSetRow:
    """Seals the files and guesses how their tables are written; nothing is read in full yet.

    Raises:
        UserError: no name, no files, too large, a zip that is a bomb, a table without header.
            Nothing was kept.
    """
    roles.require(actor, Role.ANALYST, to="import files")
    plain = _name(name)
    if not uploads:
        raise UserError("There is no file.", state="Nothing was kept.")
    set_id, key = uuid7(), bridge.spool.new_wrapped_key()
    spool = bridge.spool.run(set_id, key)
    try:
        kept = _sealed(spool, uploads)
        tables = [guess.spec for guess in _guesses(spool, kept)]
        document = {
            "uploads": [asdict(one) for one in kept],
            "tables": [table.model_dump(mode="json") for table in tables],
        }
        size = sum(one.size for one in kept)
        values = {"wrapped_key": key, "document": document, "bytes": size}
        with bridge.session(actor.workspace_id) as session:
            rows.add(
                session,
                set_id=set_id,
                name=plain,
                organization_id=_series_id(actor.workspace_id, plain),
                values={**values, "created_by": actor.name},
                nothing=bridge.vault.encrypt(""),
            )
            after = {"files": [one.file_name for one in kept], "bytes": size}
            _audit(session, actor, "files.keep", (set_id, plain), after=after)
            return rows.file_set(session, set_id)
    except BaseException:
        spool.delete_all()
        raise


def file_sets(bridge: Orgbridge, actor: Actor) -> tuple[FileSetRow, ...]:
    """All sets, the newest first."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return rows.file_sets(session)


def file_set(bridge: Orgbridge, actor: Actor, name: str) -> FileSetRow:
    """One set by name.

    Raises:
        NotFoundError: there is none.
    """
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return rows.named(session, name)


def tables(row: FileSetRow) -> tuple[TableSpec, ...]:
    """How the tables of a set are read."""
    return tuple(TableSpec.model_validate(one) for one in row.document["tables"])


def odd_cells(row: FileSetRow) -> tuple[BadCell, ...]:
    """Cells and lines that did not fit, as far as they are listed; none before it was read."""
    return tuple(BadCell(**one) for one in row.document.get("bad", ()))


def heads(bridge: Orgbridge, actor: Actor, row: FileSetRow) -> tuple[Guess, ...]:
    """The first rows of every table, as its guess would read them now.

    Cost: the first 400 kB of each.
    """
    roles.require(actor, Role.VIEWER)
    kept = tuple(KeptUpload(**one) for one in row.document["uploads"])
    return _guesses(bridge.spool.run(row.id, row.wrapped_key), kept)


def describe_tables(
    bridge: Orgbridge, actor: Actor, set_id: UUID, given: Sequence[TableSpec | dict[str, Any]]
) -> FileSetRow:
    """Says how the tables are read, in place of what was guessed.

    Raises:
        UserError: a name is none, a key or link names a column that is not there.
        ConflictError: the set has been read. Nothing was changed.
    """
    roles.require(actor, Role.ANALYST, to="import files")
    wanted = [_valid(one) for one in given]
    _check_together(wanted)
    with bridge.session(actor.workspace_id) as session:
        row = rows.file_set(session, set_id)
        if row.status == "read":
            raise ConflictError(
                f"The files {row.name} have been read already.",
                state="Nothing was changed.",
                next_step="Upload them again under another name to read them otherwise.",
            )
        document = {**row.document, "tables": [one.model_dump(mode="json") for one in wanted]}
        rows.change(session, set_id, {"document": document})
        after = {"tables": [one.object for one in wanted]}
        _audit(session, actor, "files.describe", (set_id, row.name), after=after)
        return rows.file_set(session, set_id)


def remove(bridge: Orgbridge, actor: Actor, name: str) -> None:
    """Deletes a set with its bytes; runs that read from it stay.

    Raises:
        ConflictError: a plan or an unfinished run reads from it. Nothing was deleted.
    """
    roles.require(actor, Role.ANALYST, to="delete files")
    with bridge.session(actor.workspace_id) as session:
        row = rows.named(session, name)
        used = org_rows.users_of(session, row.registered_org_id)
        if used.plans or used.runs:
            raise ConflictError(
                f"{', '.join((*used.plans, *used.runs)[:5])} reads from the files {row.name}.",
                state="Nothing was deleted.",
                next_step="Delete the plan, or give it another source, first.",
            )
        rows.remove(session, row)
        _audit(session, actor, "files.remove", (row.id, row.name), after={"bytes": row.bytes})
    bridge.forget_org(actor.workspace_id, row.registered_org_id)
    bridge.spool.delete_run(row.id)


def odd_cells_csv(row: FileSetRow) -> bytes:
    """The odd cells and lines for a spreadsheet."""
    import polars as pl

    found = [asdict(one) for one in odd_cells(row)]
    schema = {"line": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String}
    return people_csv(pl.DataFrame(found, schema=schema))


def _sealed(spool: RunSpool, uploads: Sequence[Upload]) -> tuple[KeptUpload, ...]:
    kept: list[KeptUpload] = []
    for number, upload in enumerate(uploads):
        room = archive.UPLOAD_BYTES_MAX - sum(one.size for one in kept)
        file_name = archive.plain_name(upload.file_name)
        kept.append(archive.keep_upload(spool, number, file_name, blocks=upload.blocks, room=room))
    return tuple(kept)


def _guesses(spool: RunSpool, kept: tuple[KeptUpload, ...]) -> tuple[Guess, ...]:
    found: list[Guess] = []
    for number, part in enumerate(archive.parts_of(spool, kept)):
        taken = [guess.spec.object for guess in found]
        with archive.open_part(spool, kept, part) as file:
            found.append(guess_table(file, part.file_name, part=number, taken=taken))
    return tuple(found)


def _valid(given: TableSpec | dict[str, Any]) -> TableSpec:
    if isinstance(given, TableSpec):
        return given
    try:
        return TableSpec.model_validate(given)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{given.get('file_name', 'Table')}: {place}: "
            f"{first['msg'].removeprefix('Value error, ')}.",
            state="Nothing was changed.",
        ) from wrong


def _check_together(tables: Sequence[TableSpec]) -> None:
    """Names are single; keys and links name what is there."""
    by_name = {table.object.lower(): table for table in tables}
    if len(by_name) != len(tables) or not tables:
        raise UserError(
            "Two tables have one name." if tables else "There is no table.",
            state="Nothing was changed.",
            next_step="Give every table a name of its own.",
        )
    for table in tables:
        named = [*table.key, *(link.column for link in table.links)]
        unknown = [name for name in named if table.column(name) is None]
        if unknown:
            raise UserError(
                f"{table.file_name} has no column {unknown[0]}.", state="Nothing was changed."
            )
        for link in table.links:
            parent = by_name.get(link.object.lower())
            if parent is not None and [k.lower() for k in parent.key] != [link.by.lower()]:
                known = " and ".join(parent.key) or "all of its columns"
                raise UserError(
                    f"{table.object}.{link.column} names rows of {parent.object} by {link.by}, but "
                    f"those are known by {known}.",
                    state="Nothing was changed.",
                    next_step=f"Make {link.by} the key of {parent.object}.",
                )


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name or len(name) > NAME_MAX or not name.isprintable():
        raise UserError(
            f"Files need a name of at most {NAME_MAX} characters.", state="Nothing was kept."
        )
    return name


def _series_id(workspace_id: UUID, name: str) -> str:
    """18 characters that later deliveries of a series share: the name without its last number."""
    series = _NUMBER.sub("", name.lower()) or name.lower()
    hashed = np.array([text_hash(f"{workspace_id}:{series}")], dtype=np.int64)
    return str(ids_of(hashed, "files")[0])


def _audit(
    session: Any, actor: Actor, action: str, which: tuple[UUID, str], *, after: dict[str, Any]
) -> None:
    audit.record(
        session,
        actor,
        action,
        subject_kind="files",
        subject_id=which[0],
        subject_name=which[1],
        after=after,
    )
