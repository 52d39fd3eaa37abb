"""Records as frames of text: Bulk CSV and REST rows in one shape.

    CSV bytes ─▶ whole_records (cut at record ends) ─▶ frame      every column Utf8, null for blank,
    REST rows ─────────────────────────────────────▶ frame      column names as the query wrote them

Numbers keep the digits that the org sent; REST date-times get the ``Z`` that Bulk writes.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import polars as pl

from core.salesforce import faults

#: REST says ``2026-01-01T00:00:00.000+0000`` where Bulk says ``2026-01-01T00:00:00.000Z``
_REST_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+0000$")
#: doubles cannot hold an 18-digit currency: numbers stay text
EXACT_JSON = json.JSONDecoder(parse_float=str, parse_int=str)


def whole_records(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes cut where records end: every piece holds whole CSV records.

    A newline ends a record when an even number of quotes stands before it. NUL bytes, which orgs
    let through in old text, are dropped.
    """
    rest = b""
    for block in blocks:
        buffer = rest + block.replace(b"\x00", b"") if rest else block.replace(b"\x00", b"")
        end = _record_end(buffer)
        if end:
            yield buffer[:end]
        rest = buffer[end:]
    if rest.strip(b"\r\n"):
        yield rest


def csv_header(piece: bytes) -> list[str]:
    """Column names of a CSV that begins in ``piece``."""
    end = piece.find(b"\n")
    line = piece if end < 0 else piece[:end]
    return next(csv.reader([line.decode("utf-8-sig").rstrip("\r")]), [])


def csv_frame(
    records: bytes,
    columns: Sequence[str],
    *,
    skip_header: bool = False,
    only: Sequence[str] | None = None,
) -> pl.DataFrame:
    """A frame of CSV records; all Utf8, null for an empty cell.

    Args:
        only: the columns to keep, whatever their case; what is left out costs next to nothing.

    Raises:
        BugError: the bytes are no such CSV (other number of columns, not UTF-8).
    """
    kept = None if only is None else _present(columns, only)
    if not records or (skip_header and records.find(b"\n") in (-1, len(records) - 1)):
        return empty_frame(columns if kept is None else [columns[at] for at in kept])
    schema = dict.fromkeys(columns, pl.String)
    try:
        return pl.read_csv(
            records,
            has_header=False,
            skip_lines=int(skip_header),
            schema=schema if len(schema) == len(columns) else None,
            columns=kept,
            infer_schema=False,
            null_values=[""],
            extra_columns="raise",
        )
    except pl.exceptions.PolarsError as exc:
        raise faults.unreadable(f"a CSV of {len(columns)} columns was expected") from exc


def csv_frames(
    blocks: Iterable[bytes], *, max_rows: int = 50_000, only: Sequence[str] | None = None
) -> Iterator[pl.DataFrame]:
    """Frames of at most ``max_rows`` of a CSV with header, streamed; none where it has no rows.

    ``only`` as in `csv_frame`.
    """
    columns: list[str] | None = None
    for piece in whole_records(blocks):
        first = columns is None
        columns = csv_header(piece) if columns is None else columns
        frame = csv_frame(piece, columns, skip_header=first, only=only)
        yield from sliced(frame, max_rows)


def sliced(frame: pl.DataFrame, max_rows: int) -> Iterator[pl.DataFrame]:
    """The frame in parts of at most ``max_rows``; nothing for an empty one."""
    for start in range(0, frame.height, max_rows):
        yield frame.slice(start, max_rows)


def empty_frame(columns: Sequence[str]) -> pl.DataFrame:
    """No rows, the given columns, all Utf8."""
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def rest_frame(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pl.DataFrame:
    """A frame of REST query rows (parsed by ``EXACT_JSON``); ``columns`` are dotted paths.

    Names match whatever their case; compound values (addresses, locations) come as JSON text.
    """
    if not columns and records:
        columns = [name for name in records[0] if name != "attributes"]
    values = _values_of(records)
    data = {column: list(map(_cell, values(column.lower()))) for column in columns}
    return pl.DataFrame(data, schema=dict.fromkeys(columns, pl.String))


def _values_of(records: Sequence[Mapping[str, Any]]) -> Callable[[str], Iterable[Any]]:
    """What gives the values of a dotted path in small letters.

    The records of an answer have the same names: these are put into small letters once, and only
    what lies inside a parent is looked at row by row.
    """
    alike = all(record.keys() == records[0].keys() for record in records)
    rows = records if alike else [_lowered(record) for record in records]
    names = {name.lower(): name for name in rows[0] if name != "attributes"} if rows else {}

    def values(path: str) -> Iterable[Any]:
        head, _, inside = path.partition(".")
        if not alike:
            return (_at(row, tuple(path.split("."))) for row in rows)
        if head not in names:
            return repeat(None, len(rows))
        found = (row[names[head]] for row in rows)
        low = (_lowered(value) if _is_record(value) else value for value in found)
        return (_at(value, tuple(inside.split("."))) for value in low) if inside else low

    return values


def csv_bytes(frame: pl.DataFrame) -> bytes:
    """CSV with header for an upload: UTF-8, LF, filled cells quoted, nothing where blank.

    Newlines inside values become LF, since the file must hold the one line ending that its job
    declared (Bulk API 2.0, "ClientInputError : LineEnding is invalid on user data").
    """
    content = _written(frame)
    if b"\r" in content:
        content = _written(frame.with_columns(pl.col(pl.String).str.replace_all("\r\n?", "\n")))
    return content


def _written(frame: pl.DataFrame) -> bytes:
    # in a file of one column a blank would be an empty line, which is no record
    cells = frame.fill_null("") if frame.width == 1 else frame
    sink = io.BytesIO()
    # to look what needs quotes takes a third more than to quote whatever is no number
    cells.write_csv(sink, quote_style="non_numeric")
    return sink.getvalue()


def _present(columns: Sequence[str], only: Sequence[str]) -> list[int]:
    wanted = {name.lower() for name in only}
    return [at for at, name in enumerate(columns) if name.lower() in wanted]


def _record_end(buffer: bytes) -> int:
    """Index after the last newline that ends a record; 0 when there is none."""
    import numpy as np  # with the first page: the first request of a terminal need not wait for it

    # it counts quotes ten times faster than bytes.count, and exports quote every cell
    quotes_before_end = int(np.count_nonzero(np.frombuffer(buffer, dtype=np.uint8) == ord('"')))
    end = len(buffer)
    while (newline := buffer.rfind(b"\n", 0, end)) >= 0:
        quotes_before_end -= buffer.count(b'"', newline, end)
        if quotes_before_end % 2 == 0:
            return newline + 1
        end = newline
    return 0


def _lowered(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.lower(): _lowered(value)
        if isinstance(value, dict) and "attributes" in value
        else value
        for name, value in record.items()
        if name != "attributes"
    }


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and "attributes" in value


def _at(row: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = row
    for step in path:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def _cell(value: Any) -> str | None:
    if isinstance(value, str):
        if value.endswith("+0000") and _REST_TIME.match(value):
            return value[:-5] + "Z"
        return value or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
