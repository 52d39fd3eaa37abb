"""Reads a table's CSV once, from the first byte to the last: pages of text, and an id per row.

    bytes ─▶ csv ─▶ pages of 20,000 rows, numbers, dates and truths in the platform's spelling
                    (rows/<object>/…), then ids (ids/<object>/…) once every key was seen

What does not fit its column stays as it is and is listed with its line; a line that is no row, or
whose key cannot be told from another's, is left out and listed. Memory: one page, and 16 bytes a
row for the keys.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import polars as pl

from core.domain.csv import CELL_MAX, told
from core.errors import UserError
from core.files.guessing import ISO_ZONED
from core.files.row_ids import Hashes, ids_of, key_hashes, repeated
from core.files.tables import BadCell, Column, TableSpec
from core.spool import RunSpool, page_name

PAGE_ROWS = 20_000
#: and as many characters, or the row that goes beyond
PAGE_CHARS = 32_000_000
#: a row longer than this is none: a file without line ends would be one row, in memory
ROW_MAX = 2 * CELL_MAX
#: what is odd beyond these is counted and not listed
BAD_LISTED = 1_000
#: the line of the file a row begins on
LINE = "#line"


@dataclass(frozen=True, slots=True)
class ReadTable:
    """How a table was read."""

    object: str
    rows: int
    pages: int
    #: lines that are no rows of the table and were left out
    left_out: int
    #: cells that are not what their column holds
    bad_cells: int


def read_table(
    file: BinaryIO, spec: TableSpec, spool: RunSpool, *, beat: Callable[[int], None]
) -> tuple[ReadTable, list[BadCell]]:
    """Writes the table's pages in place of earlier ones; what was odd, at most `BAD_LISTED`.

    Args:
        beat: told the rows so far once a page; what it raises ends the reading.
    Raises:
        UserError: a key column is unknown, the encoding is another, or the text is no CSV.
    """
    spool.delete(f"rows/{spec.object}")
    spool.delete(f"ids/{spec.object}")
    _check(spec)
    bad = _Bad()
    hashes: list[Hashes] = []
    sizes: list[int] = []
    for page in _pages(file, spec, bad):
        beat(sum(sizes))
        converted = page.with_columns(
            [_converted(column) for column in spec.columns if column.type in _CONVERTED]
        )
        bad.note_cells(page, converted, spec)
        hashes.append(key_hashes(converted.drop(LINE), spec.key))
        sizes.append(page.height)
        spool.write(page_name(f"rows/{spec.object}", len(sizes)), converted)
    left_out = _write_ids(spool, spec, hashes, bad)
    done = ReadTable(
        spec.object, sum(sizes) - left_out, len(sizes), bad.lines + left_out, bad.cells
    )
    return done, bad.listed


class _Bad:
    """What was odd, counted and in part listed."""

    def __init__(self) -> None:
        self.listed: list[BadCell] = []
        self.lines = 0
        self.cells = 0

    def note_line(self, line: int, value: str, reason: str) -> None:
        self.lines += 1
        self._list(BadCell(line, "", value[:200], reason))

    def note_cells(self, before: pl.DataFrame, after: pl.DataFrame, spec: TableSpec) -> None:
        """Cells that a conversion left null although they are filled keep their text."""
        for column in spec.columns:
            if column.type not in _CONVERTED:
                continue
            odd = after.select(LINE, pl.col(column.name)).filter(_is_odd(column))
            self.cells += odd.height
            for line, value in odd.head(BAD_LISTED).iter_rows():
                self._list(BadCell(line, column.name, value[:200], f"is no {_WORDS[column.type]}"))

    def _list(self, one: BadCell) -> None:
        if len(self.listed) < BAD_LISTED:
            self.listed.append(one)


_CONVERTED = frozenset({"int", "double", "boolean", "date", "datetime"})
_WORDS = {
    "int": "whole number",
    "double": "number",
    "boolean": "yes or no",
    "date": "date of that format",
    "datetime": "time of that format",
}
#: what a converted cell looks like
_SPELT = {
    "int": r"^-?\d+$",
    "double": r"^-?\d+(\.\d+)?$",
    "boolean": r"^(true|false)$",
    "date": r"^\d{4}-\d\d-\d\d$",
    "datetime": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
}


def _is_odd(column: Column) -> pl.Expr:
    return pl.col(column.name).is_not_null() & ~pl.col(column.name).str.contains(
        _SPELT[column.type]
    )


def _converted(column: Column) -> pl.Expr:
    """The platform's spelling of a cell; a cell that does not fit stays as it is."""
    cell = pl.col(column.name).str.strip_chars()
    if column.type in ("int", "double"):
        made = _number(cell, column.format)
    elif column.type == "boolean":
        low = cell.str.to_lowercase()
        made = (
            pl.when(low.is_in(["true", "yes", "y", "ja", "1"]))
            .then(pl.lit("true"))
            .when(low.is_in(["false", "no", "n", "nein", "0"]))
            .then(pl.lit("false"))
        )
    elif column.type == "date":
        day = cell.str.to_date(column.format or "%Y-%m-%d", strict=False, exact=True)
        made = day.dt.strftime("%Y-%m-%d")
    else:
        made = _moment(cell, column.format)
    return pl.coalesce(made, cell).alias(column.name)


def _number(cell: pl.Expr, form: str) -> pl.Expr:
    if form == "comma":
        plain = cell.str.replace_all(r"[.\s]", "").str.replace(",", ".", literal=True)
    else:
        plain = cell.str.replace_all(r"[,\s]", "")
    plain = plain.str.strip_prefix("+")
    return pl.when(plain.str.contains(_SPELT["double"])).then(plain)


def _moment(cell: pl.Expr, form: str) -> pl.Expr:
    if form == ISO_ZONED or not form:
        zoned = cell.str.replace(r"Z$", "+00:00")
        time = zoned.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", strict=False, time_unit="ms")
    else:
        # a time without a zone is taken as UTC
        time = cell.str.to_datetime(form, strict=False, time_unit="ms")
    return time.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")


def _check(spec: TableSpec) -> None:
    known = {column.name.lower() for column in spec.columns}
    named = [*spec.key, *(link.column for link in spec.links)]
    unknown = [name for name in named if name.lower() not in known]
    if unknown:
        raise UserError(
            f"{spec.file_name} has no column {unknown[0]}.",
            state="Nothing was read.",
            next_step=f"It has {', '.join(column.name for column in spec.columns[:12])}.",
        )


def _pages(file: BinaryIO, spec: TableSpec, bad: _Bad) -> Iterator[pl.DataFrame]:
    rows: list[Sequence[str | None]] = []
    size = 0
    for line, row in _rows(file, spec, bad):
        rows.append((*row, line))  # type: ignore[arg-type]  # the line is the one number in it
        size += sum(map(len, row))
        if len(rows) == PAGE_ROWS or size >= PAGE_CHARS:
            yield _frame(rows, spec)
            rows, size = [], 0
    if rows:
        yield _frame(rows, spec)


def _frame(rows: Sequence[Sequence[str | None]], spec: TableSpec) -> pl.DataFrame:
    schema = {**dict.fromkeys((c.name for c in spec.columns), pl.String), LINE: pl.Int64}
    cells = list(zip(*rows, strict=True))
    frame = pl.DataFrame(
        [
            pl.Series(name, values, dtype=kind)
            for (name, kind), values in zip(schema.items(), cells, strict=True)
        ]
    )
    blank = pl.col(pl.String)
    return frame.with_columns(pl.when(blank != "").then(blank).name.keep())


def _rows(file: BinaryIO, spec: TableSpec, bad: _Bad) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows with the line they begin on; those that do not fit the header are left out."""
    csv.field_size_limit(CELL_MAX)
    text = io.TextIOWrapper(file, encoding=spec.encoding, newline="")
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=spec.delimiter)
    width = len(spec.columns)
    begin = line = 0
    try:
        for number, row in enumerate(reader):
            line, begin = begin + 1, reader.line_num
            lines.next_row()
            if not number:
                _check_header(row, spec)
            elif len(row) == width:
                yield line, row
            elif not row or not any(cell.strip() for cell in row):
                continue
            elif len(row) > width and any(cell.strip() for cell in row[width:]):
                reason = f"has {len(row)} cells where the header has {width}"
                bad.note_line(line, spec.delimiter.join(row), reason)
            else:
                yield line, [*row[:width], *[""] * (width - len(row))]
        _check_last_quote(lines.of_row, line, spec)
    except csv.Error as error:
        raise UserError(
            f"{spec.file_name}: line {max(reader.line_num, begin + 1)} is no CSV: {told(error)}.",
            state="Nothing of it was taken.",
            next_step="Check its quotes, or name another delimiter.",
        ) from error
    except (UnicodeDecodeError, LookupError) as error:
        raise UserError(
            f"{spec.file_name} is not readable as {spec.encoding} from about line "
            f"{reader.line_num + 1} on.",
            state="Nothing of it was taken.",
            next_step="Name its encoding, such as cp1252, or save it as UTF-8.",
        ) from error


class _Lines:
    """Lines of a file, and those that the last row was made of.

    Raises:
        csv.Error: the lines of one row are longer than `ROW_MAX` together.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.of_row: list[str] = []
        self._of_next: list[str] = []
        self._room = ROW_MAX

    def __iter__(self) -> Iterator[str]:
        for line in iter(lambda: self._text.readline(ROW_MAX + 1), ""):
            self._room -= len(line)
            if self._room < 0:
                raise csv.Error(f"a row is longer than {ROW_MAX:,} characters")
            self._of_next.append(line)
            yield line

    def next_row(self) -> None:
        """The lines read since make a row."""
        self.of_row, self._of_next = self._of_next, []
        self._room = ROW_MAX


def _check_last_quote(raw: list[str], line: int, spec: TableSpec) -> None:
    """A quote that is never closed makes one cell of all that follows, up to the end of the file:
    the reader says so in its strict mode only, which refuses too much else."""
    try:
        for _ in csv.reader(raw, delimiter=spec.delimiter, strict=True):
            pass
    except csv.Error as error:
        if str(error) == "unexpected end of data":
            raise UserError(
                f"{spec.file_name}: a quote that opens in the row of line {line} is never closed; "
                "all lines behind it would be one cell.",
                state="Nothing of it was taken.",
                next_step="Close it, or double it if it belongs to the text.",
            ) from error


def _check_header(row: Sequence[str], spec: TableSpec) -> None:
    labels = [cell.strip().removeprefix("\ufeff").strip()[:250] for cell in row]
    if labels != [column.label for column in spec.columns]:
        raise UserError(
            f"{spec.file_name}: its header is not that of the columns.",
            state="Nothing of it was taken.",
            next_step="Look at the delimiter and the encoding, or upload the file again.",
        )


def _write_ids(spool: RunSpool, spec: TableSpec, pages: list[Hashes], bad: _Bad) -> int:
    """Ids beside the pages, null for rows that are left out; how many these are."""
    if not pages:
        return 0
    hashes, clash = repeated(np.concatenate(pages))
    start = 0
    for number, page in enumerate(pages, 1):
        part = slice(start, start + len(page))
        ids = pl.DataFrame({"Id": ids_of(hashes[part], spec.object), "clash": clash[part]})
        kept = ids.select(pl.when(~pl.col("clash")).then("Id").alias("Id"))
        spool.write(page_name(f"ids/{spec.object}", number), kept)
        start += len(page)
    for at in np.flatnonzero(clash)[:BAD_LISTED]:
        bad.listed.append(
            BadCell(int(at) + 2, "", "", "its key cannot be told from another row's; left out")
        )
    return int(clash.sum())
