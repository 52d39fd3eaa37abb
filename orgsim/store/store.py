"""One DuckDB file per org: snapshots for readers, one writer at a time, commits that survive a
kill.

    store.read()   a cursor on its own snapshot (or the writer's cursor inside the writer's thread)
    store.write()  the writer lock and one transaction: commit on success, rollback on any exception

``write`` inside ``write`` of the same thread joins the outer transaction: that is how a composite
call is one transaction. DuckDB has no savepoints, so an inner failure that must undo anything
undoes all of it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from orgsim.schema.model import Schema, SObject
from orgsim.store.columns import columns_of, quoted
from orgsim.store.rows import first_row

_BASE = """
CREATE TABLE IF NOT EXISTS "@document" (name VARCHAR, body VARCHAR);
CREATE TABLE IF NOT EXISTS "@counter" (name VARCHAR, next BIGINT);
CREATE TABLE IF NOT EXISTS "@blob" (sobject VARCHAR, id VARCHAR, field VARCHAR, body BLOB);
CREATE TABLE IF NOT EXISTS "@deleted"
  (sobject VARCHAR, id VARCHAR, moment TIMESTAMP, root VARCHAR, gone BOOLEAN);
CREATE TABLE IF NOT EXISTS "@cleared"
  (root VARCHAR, sobject VARCHAR, id VARCHAR, field VARCHAR, was VARCHAR);
"""


class Transaction:
    """The writer's open transaction. Use ``cursor`` for SQL; ``take`` reserves numbers."""

    def __init__(self, store: Store, cursor: duckdb.DuckDBPyConnection) -> None:
        self.cursor = cursor
        self._store = store
        self._taken: dict[str, int] = {}
        #: Objects whose rows this transaction changed.
        self.touched: set[str] = set()

    def take(self, counter: str, count: int, *, start: int) -> int:
        """Reserves ``count`` numbers and returns the first; an unused counter begins at
        ``start``."""
        first = self._taken.get(counter, self._store.counters.get(counter, start))
        self._taken[counter] = first + count
        return first

    def frame(self, sql: str, parameters: list[Any] | None = None) -> pl.DataFrame:
        """The rows of a query, typed as the store has them."""
        relation = self.cursor.sql(sql, params=parameters or [])
        return pl.DataFrame(relation.to_arrow_table())

    @contextmanager
    def lent(self, **frames: pl.DataFrame) -> Iterator[None]:
        """Makes frames visible to SQL under the given names for the length of the block."""
        for name, frame in frames.items():
            self.cursor.register(name, frame.to_arrow())
        yield
        # After an exception the transaction is lost and the names with it.
        for name in frames:
            self.cursor.unregister(name)

    def settle(self) -> dict[str, int]:
        """Writes the reserved numbers; the store calls it before the commit."""
        for name, value in self._taken.items():
            self.cursor.execute('DELETE FROM "@counter" WHERE name = ?', [name])
            self.cursor.execute('INSERT INTO "@counter" VALUES (?, ?)', [name, value])
        return self._taken


class Store:
    """Opens or creates the file at ``path``. Safe to share between threads."""

    def __init__(self, path: Path, *, threads: int = 2, memory_mb: int = 2000) -> None:
        self.path = path
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": f"{memory_mb}MB",
        }
        self._root = duckdb.connect(str(path), config=settings)
        self._root.execute("SET TimeZone = 'UTC'")
        self._root.execute("SET wal_autocheckpoint = '256MB'")
        self._root.execute("SET preserve_insertion_order = true")
        self._root.execute(_BASE)
        self._writer = self._root.cursor()
        self._lock = threading.RLock()
        self._local = threading.local()
        rows = self._root.execute('SELECT name, next FROM "@counter"').fetchall()
        self.counters: dict[str, int] = dict(rows)
        #: Told after each commit which objects changed.
        self.listeners: list[Callable[[set[str]], None]] = []

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """The one writer's transaction; durable when the block ends without an exception."""
        outer: Transaction | None = getattr(self._local, "transaction", None)
        if outer is not None:
            yield outer
            return
        with self._lock:
            transaction = Transaction(self, self._writer)
            self._writer.execute("BEGIN")
            self._local.transaction = transaction
            try:
                yield transaction
                taken = transaction.settle()
                self._writer.execute("COMMIT")
                self.counters.update(taken)
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            finally:
                self._local.transaction = None
        for listener in self.listeners:
            listener(transaction.touched)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside ``write`` already."""
        return getattr(self._local, "transaction", None) is not None

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor on a snapshot of what is committed; inside ``write`` it sees the open
        transaction."""
        outer: Transaction | None = getattr(self._local, "transaction", None)
        if outer is not None:
            yield outer.cursor
            return
        cursor = self._root.cursor()
        cursor.execute("BEGIN")
        try:
            yield cursor
        finally:
            cursor.execute("ROLLBACK")
            cursor.close()

    def ddl(self, sql: str) -> None:
        """Runs statements that make or change tables, durably."""
        with self.write() as transaction:
            transaction.cursor.execute(sql)

    def document(self, name: str) -> Any:
        """A JSON document kept beside the rows, or None."""
        with self.read() as cursor:
            row = first_row(cursor.execute('SELECT body FROM "@document" WHERE name = ?', [name]))
        return None if row is None else json.loads(row[0])

    def put_document(self, name: str, body: Mapping[str, Any]) -> None:
        """Keeps a JSON document under a name, replacing what was there."""
        with self.write() as transaction:
            transaction.cursor.execute('DELETE FROM "@document" WHERE name = ?', [name])
            transaction.cursor.execute(
                'INSERT INTO "@document" VALUES (?, ?)', [name, json.dumps(body, default=str)]
            )

    def fit(self, schema: Schema) -> None:
        """Makes missing tables and columns so that the store holds what the schema describes."""
        with self.write() as transaction:
            found = transaction.cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns"
            ).fetchall()
            have: dict[str, set[str]] = {}
            for table, column in found:
                have.setdefault(table, set()).add(column)
            for sobject in schema.sobjects.values():
                for statement in _fitting(sobject, have.get(sobject.name)):
                    transaction.cursor.execute(statement)

    def drop_column(self, sobject: str, field: str) -> None:
        """Removes a field's column with its values."""
        self.ddl(f"ALTER TABLE {quoted(sobject)} DROP COLUMN IF EXISTS {quoted(field)}")

    def close(self) -> None:
        """Closes the file after a checkpoint."""
        with self._lock:
            self._root.close()


def _fitting(sobject: SObject, have: set[str] | None) -> Iterator[str]:
    wanted = columns_of(sobject)
    if have is None:
        listed = ", ".join(f"{quoted(name)} {kind}" for name, kind in wanted.items())
        yield f"CREATE TABLE {quoted(sobject.name)} ({listed})"
        return
    for name, kind in wanted.items():
        if name not in have:
            default = " DEFAULT false" if kind == "BOOLEAN" else ""
            yield f"ALTER TABLE {quoted(sobject.name)} ADD COLUMN {quoted(name)} {kind}{default}"


def first_number(organization_id: str, name: str) -> int:
    """Where an org's counter begins: far apart from one org to the next, stable for one org."""
    digest = hashlib.sha256(f"{organization_id}:{name}".encode()).digest()
    return 62**5 + int.from_bytes(digest[:4], "big")
