"""Query cursors: the rows of a query that did not fit one answer, kept in a file until fetched.

One Arrow file and one JSON file a cursor, below the org's home; they outlive the process, as a
cursor of an org outlives the connection. The rows are a snapshot of the moment of the query.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import choice
from string import ascii_letters, digits
from typing import Any

import pyarrow as pa

from orgsim.soql.errors import QueryError
from orgsim.store.ids import checksum

#: Source: SOAP API Developer Guide, "queryMore()": cursors live two days.
CURSOR_LIFE_S = 2 * 24 * 3600
_PREFIX = "01g"
_RANDOM_CHARS = 12


@dataclass(frozen=True, slots=True)
class Origin:
    """What a cursor continues, enough to compile its plan again.

    Attributes:
        text: The whole query.
        children: The way to the subquery that the rows belong to; empty for the query itself.
        now: The clock of the query, ISO 8601.
        total: Rows of the cursor.
        page_rows: Rows an answer.
    """

    text: str
    version: str
    all_rows: bool
    now: str
    children: tuple[int, ...]
    total: int
    page_rows: int


@dataclass(frozen=True, slots=True)
class CursorFiles:
    """The cursors of one org, in ``folder``."""

    folder: Path

    def keep(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> tuple[str, int]:
        """Write the rows of a new cursor; return its id and their number."""
        self.folder.mkdir(parents=True, exist_ok=True)
        short = _PREFIX + "".join(choice(ascii_letters + digits) for _ in range(_RANDOM_CHARS))
        cursor_id = short + checksum(short)
        total = 0
        with (
            pa.OSFile(str(self._rows(cursor_id)), "wb") as sink,
            pa.ipc.new_file(sink, schema) as out,
        ):
            for batch in batches:
                out.write_batch(batch)
                total += batch.num_rows
        return cursor_id, total

    def describe(self, cursor_id: str, origin: Origin) -> None:
        """Make a kept cursor fetchable."""
        self._origin(cursor_id).write_text(json.dumps(asdict(origin)), encoding="utf-8")

    def origin(self, cursor_id: str) -> Origin:
        """Return what a cursor continues.

        Raises:
            QueryError: INVALID_QUERY_LOCATOR for an unknown, expired or foreign cursor.
        """
        path = self._origin(cursor_id)
        if not cursor_id.isalnum() or not path.is_file() or self._is_old(path):
            raise QueryError("INVALID_QUERY_LOCATOR", "invalid query locator")
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Origin(**{**values, "children": tuple(values["children"])})

    def rows(self, cursor_id: str, start: int, count: int) -> list[Sequence[Any]]:
        """Return up to ``count`` rows of a cursor from ``start`` on."""
        with pa.memory_map(str(self._rows(cursor_id))) as source:
            table = pa.ipc.open_file(source).read_all().slice(start, count)
            return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def drop_expired(self) -> None:
        """Delete the files of cursors that nobody can fetch any more."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if self._is_old(path):
                path.unlink(missing_ok=True)

    def _is_old(self, path: Path) -> bool:
        return time.time() - path.stat().st_mtime > CURSOR_LIFE_S

    def _rows(self, cursor_id: str) -> Path:
        return self.folder / f"{cursor_id}.arrow"

    def _origin(self, cursor_id: str) -> Path:
        return self.folder / f"{cursor_id}.json"
