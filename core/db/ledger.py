"""The ledger: which target record a source record became, and the hash of what was last sent.

One `link_set` per workspace, org pair and mapping; links in it are unique by source id. Whole sets
are read and written by COPY as the tables' owner (PostgreSQL has no COPY into tables under
row-level security), always inside the caller's transaction, so that links and chunk states are one
commit.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import BugError

#: columns of a frame of links as `write_links` takes them and `links` gives them
LINK_SCHEMA = {
    "source_id": pl.String,
    "target_id": pl.String,
    "origin": pl.String,
    "sent_hash": pl.Int64,
}
#: the same as they are read, with what a run asks of them
_READ_SCHEMA = {
    **LINK_SCHEMA,
    "origin": pl.Categorical,
    "found_hash": pl.Int64,
    "read_hash": pl.Int64,
    "baseline": pl.Categorical,
}
#: text of links that is held before it becomes a frame
_READ_BYTES = 4_000_000
_COPY_COLUMNS = (
    "link_set_id, source_id, workspace_id, target_id, origin, run_id, sent_hash, read_hash"
)


@dataclass(frozen=True, slots=True)
class LinkSetRow:
    """One mapping's part of the ledger."""

    id: int
    hash_scheme: str
    suspended: str | None
    #: the target's clock when a run last ended, ISO to the millisecond; None before the first
    settled_at: str | None


def link_set(session: Session, workspace_id: UUID, *, org_pair: str, mapping: str) -> LinkSetRow:
    """The set of that mapping, made at first need."""
    keys = {"workspace": workspace_id, "pair": org_pair, "mapping": mapping}
    session.execute(
        text(
            "INSERT INTO link_set (workspace_id, org_pair, mapping_name)"
            " VALUES (:workspace, :pair, :mapping) ON CONFLICT DO NOTHING"
        ),
        keys,
    )
    row = session.execute(
        text(
            "SELECT id, hash_scheme, suspended,"
            " to_char(settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS') AS settled_at"
            " FROM link_set WHERE workspace_id = :workspace AND org_pair = :pair"
            " AND mapping_name = :mapping"
        ),
        keys,
    ).one()
    return LinkSetRow(row.id, row.hash_scheme, row.suspended, row.settled_at)


def begin(session: Session, set_id: int, *, run_id: UUID, hash_scheme: str) -> None:
    """Notes that a run is about to write links of this set."""
    values = {"id": set_id, "run": run_id, "scheme": hash_scheme}
    session.execute(text(_BEGIN), values)
    session.execute(
        text("UPDATE link_set SET hash_scheme = :scheme WHERE id = :id AND hash_scheme = ''"),
        values,
    )


def settle(session: Session, set_id: int, *, run_id: UUID, at: str) -> None:
    """Notes what time the target's clock showed when a run had written its last of this set."""
    values = {"at": at + "Z", "id": set_id, "run": run_id}
    session.execute(
        text("UPDATE link_baseline SET settled_at = :at WHERE link_set_id = :id AND run_id = :run"),
        values,
    )
    session.execute(text("UPDATE link_set SET settled_at = :at WHERE id = :id"), values)


def adopt_scheme(session: Session, set_id: int, *, hash_scheme: str) -> None:
    """Notes that a run ended that has made the set's hashes as this scheme says."""
    session.execute(
        text("UPDATE link_set SET hash_scheme = :scheme WHERE id = :id"),
        {"scheme": hash_scheme, "id": set_id},
    )


_BEGIN = (
    "INSERT INTO link_baseline (link_set_id, run_id, workspace_id)"
    " SELECT id, :run, workspace_id FROM link_set WHERE id = :id ON CONFLICT DO NOTHING"
)
#: How a time is said: ISO to the millisecond.
_SAID = "to_char({at} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"
#: A write after the baseline is somebody else's. Of a run that never ended: every write. Of the run
#: that asks, and of links that were brought from elsewhere: none. Runs are few and links many, so
#: that a run's time is put into words once.
_LINKS = (
    "COPY (WITH b AS MATERIALIZED (SELECT run_id, "
    + _SAID.format(at="coalesce(settled_at, 'epoch')")
    + " AS said FROM link_baseline WHERE link_set_id = {set_id}),"
    " s AS MATERIALIZED (SELECT "
    + _SAID.format(at="settled_at")
    + " AS said FROM link_set WHERE id = {set_id})"
    " SELECT l.source_id, l.target_id, l.origin, l.sent_hash, l.found_hash, l.read_hash,"
    " CASE WHEN l.target_modstamp IS NOT NULL THEN "
    + _SAID.format(at="l.target_modstamp")
    + " WHEN l.run_id IS NULL OR l.run_id = '{run}' THEN NULL"
    " WHEN b.run_id IS NULL THEN s.said ELSE b.said END"
    " FROM record_link l CROSS JOIN s LEFT JOIN b ON b.run_id = l.run_id"
    " WHERE l.link_set_id = {set_id}) TO STDOUT (FORMAT csv)"
)


def links(session: Session, set_id: int, *, run_id: UUID) -> pl.DataFrame:
    """`link_parts` in one frame; empty for no links. Memory: about 90 bytes a link."""
    empty = pl.DataFrame(schema=_READ_SCHEMA)
    return pl.concat([empty, *link_parts(session, set_id, run_id=run_id)])


def link_parts(session: Session, set_id: int, *, run_id: UUID) -> Iterator[pl.DataFrame]:
    """Every link of a set as a run sees it, in no order, in frames of some ten thousand.

    Shape: `LINK_SCHEMA`, ``found_hash``, and ``baseline``: a write to the target after it (ISO to
    the millisecond, the target's clock) is somebody else's; null where none is. Origin and baseline
    are Categorical: they have few values.
    """
    statement = _LINKS.format(set_id=int(set_id), run=UUID(str(run_id)))
    with _cursor(session) as cursor, cursor.copy(statement) as copy:
        yield from _parsed(copy)


def _parsed(lines: Iterable[bytes | bytearray | memoryview]) -> Iterator[pl.DataFrame]:
    """Frames of a COPY in CSV; the server sends whole lines."""
    sink = io.BytesIO()
    for line in lines:
        sink.write(line)
        if sink.tell() >= _READ_BYTES:
            yield pl.read_csv(sink.getvalue(), has_header=False, schema=_READ_SCHEMA)
            sink = io.BytesIO()
    if sink.tell():
        yield pl.read_csv(sink.getvalue(), has_header=False, schema=_READ_SCHEMA)


def write_links(
    session: Session, frame: pl.DataFrame, *, set_id: int, workspace_id: UUID, run_id: UUID
) -> None:
    """Adds links and replaces those whose source id is there already.

    Shape: ``LINK_SCHEMA``, perhaps ``read_hash``, source ids unique. A replaced link keeps the
    origin ``inserted``: that a record is ours does not change by updating it. Cost: one COPY; a
    second statement where links exist.
    """
    if frame.is_empty():
        return
    rows = _as_copied(frame, set_id=set_id, workspace_id=workspace_id, run_id=run_id)
    with _cursor(session) as cursor:
        cursor.execute(
            "CREATE TEMP TABLE IF NOT EXISTS incoming_link (LIKE record_link INCLUDING DEFAULTS)"
            " ON COMMIT DELETE ROWS"
        )
        _copy_in(cursor, f"incoming_link ({_COPY_COLUMNS})", rows)
        cursor.execute(_MERGE)
        cursor.execute("TRUNCATE incoming_link")


def add_links(
    session: Session, frame: pl.DataFrame, *, set_id: int, workspace_id: UUID, run_id: UUID
) -> None:
    """Adds links that are surely new: one COPY straight into the table, a third of the cost of
    `write_links`; falls back to that when one is there after all."""
    if frame.is_empty():
        return
    rows = _as_copied(frame, set_id=set_id, workspace_id=workspace_id, run_id=run_id)
    with _cursor(session) as cursor:
        cursor.execute("SAVEPOINT new_links")
        try:
            _copy_in(cursor, f"record_link ({_COPY_COLUMNS})", rows)
        except psycopg.errors.UniqueViolation:
            cursor.execute("ROLLBACK TO SAVEPOINT new_links")
            write_links(session, frame, set_id=set_id, workspace_id=workspace_id, run_id=run_id)
        cursor.execute("RELEASE SAVEPOINT new_links")


def _as_copied(
    frame: pl.DataFrame, *, set_id: int, workspace_id: UUID, run_id: UUID
) -> pl.DataFrame:
    """Links in the columns of `_COPY_COLUMNS`."""
    return frame.select(
        pl.lit(set_id).alias("link_set_id"),
        "source_id",
        pl.lit(str(workspace_id)).alias("workspace_id"),
        "target_id",
        "origin",
        pl.lit(str(run_id)).alias("run_id"),
        "sent_hash",
        "read_hash" if "read_hash" in frame.columns else pl.lit(None, pl.Int64).alias("read_hash"),
    )


def add_known(
    session: Session, frame: pl.DataFrame, *, set_id: int, workspace_id: UUID, run_id: UUID
) -> None:
    """Adds links of records that were recognised and not written; those that are there stay."""
    if frame.is_empty():
        return
    session.execute(
        text(
            "INSERT INTO record_link (link_set_id, source_id, workspace_id, target_id, origin,"
            " run_id) SELECT :set, s, :workspace, t, 'matched', :run FROM"
            " unnest(CAST(:sources AS text[]), CAST(:targets AS text[])) AS f (s, t)"
            " ON CONFLICT DO NOTHING"
        ),
        {
            "set": set_id,
            "workspace": workspace_id,
            "run": run_id,
            "sources": frame.get_column("source_id").to_list(),
            "targets": frame.get_column("target_id").to_list(),
        },
    )


def never_ours(session: Session, set_id: int, source_ids: list[str]) -> None:
    """Notes that what the records of these links hold is others', whenever they wrote it; until we
    write to them."""
    session.execute(
        text(
            "UPDATE record_link SET target_modstamp = 'epoch'"
            " WHERE link_set_id = :id AND source_id = ANY(:ids)"
        ),
        {"id": set_id, "ids": source_ids},
    )


def forget_links(session: Session, set_id: int, source_ids: list[str]) -> None:
    """Removes links, as undo and a target row that is gone for good ask for."""
    session.execute(
        text("DELETE FROM record_link WHERE link_set_id = :id AND source_id = ANY(:ids)"),
        {"id": set_id, "ids": source_ids},
    )


def note_found(session: Session, set_id: int, found: pl.DataFrame) -> None:
    """Keeps the hashes of rows that read back otherwise than sent: ``source_id``,
    ``found_hash``."""
    if found.is_empty():
        return
    session.execute(
        text(
            "UPDATE record_link l SET found_hash = f.hash FROM"
            " unnest(CAST(:ids AS text[]), CAST(:hashes AS bigint[])) AS f (id, hash)"
            " WHERE l.link_set_id = :set AND l.source_id = f.id"
        ),
        {
            "set": set_id,
            "ids": found.get_column("source_id").to_list(),
            "hashes": found.get_column("found_hash").to_list(),
        },
    )


def note_reads(session: Session, set_id: int, reads: pl.DataFrame) -> None:
    """Keeps by what rows that are as sent are known when they are read again: ``source_id``,
    ``read_hash``. Cost: one COPY and one update of these links."""
    if reads.is_empty():
        return
    with _cursor(session) as cursor:
        cursor.execute(
            'CREATE TEMP TABLE IF NOT EXISTS incoming_read (source_id text COLLATE "C",'
            " read_hash bigint) ON COMMIT DELETE ROWS"
        )
        _copy_in(cursor, "incoming_read (source_id, read_hash)", reads)
        cursor.execute(
            "UPDATE record_link l SET read_hash = i.read_hash FROM incoming_read i"
            " WHERE l.link_set_id = %s AND l.source_id = i.source_id",
            (set_id,),
        )
        cursor.execute("TRUNCATE incoming_read")


def unsettle(session: Session, set_id: int, source_ids: list[str]) -> None:
    """Drops the hashes of links whose record is not as sent, so that the next run looks again."""
    session.execute(
        text(
            "UPDATE record_link SET sent_hash = NULL"
            " WHERE link_set_id = :id AND source_id = ANY(:ids)"
        ),
        {"id": set_id, "ids": source_ids},
    )


_MERGE = (
    f"INSERT INTO record_link ({_COPY_COLUMNS}) SELECT {_COPY_COLUMNS} FROM incoming_link"
    " ON CONFLICT (link_set_id, source_id) DO UPDATE SET target_id = EXCLUDED.target_id,"
    " origin = CASE WHEN record_link.target_id = EXCLUDED.target_id"
    " AND record_link.origin IN ('inserted', 'adopted')"
    " THEN record_link.origin ELSE EXCLUDED.origin END,"
    " run_id = EXCLUDED.run_id, sent_hash = EXCLUDED.sent_hash,"
    " read_hash = EXCLUDED.read_hash, found_hash = NULL,"
    " target_modstamp = NULL"
)


def _cursor(session: Session) -> psycopg.Cursor[Any]:
    raw = session.connection().connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise BugError("The ledger is written through psycopg only.")
    return raw.cursor()


def _copy_in(cursor: psycopg.Cursor[Any], into: str, rows: pl.DataFrame) -> None:
    sink = io.BytesIO()
    rows.write_csv(sink, include_header=False)
    with cursor.copy(f"COPY {into} FROM STDIN (FORMAT csv)") as copy:
        copy.write(sink.getbuffer())
