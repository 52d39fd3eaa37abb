"""Records as text: files for Bulk 2.0, JSON for REST, files of people read and written.

    bulk_csv      page → bytes     LF, UTF-8, CLEAR as #N/A, null as an empty cell (not sent)
    json_records  page → dicts     CLEAR as None, null left out, booleans and safe numbers typed
    read_table    bytes → page     delimiter and encoding found, every cell text
    people_csv    page → bytes     BOM, guarded against formulas

Source of the bulk rules: "Bulk API 2.0 CSV files" (valid headers, #N/A, line endings).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from core.domain.blanks import BULK_CLEAR, CLEAR
from core.domain.describe import Field
from core.errors import UserError

#: the six delimiters of Bulk 2.0, likeliest first
DELIMITERS = (",", ";", "\t", "|", "^", "`")
SNIFFED_CHARACTERS = 65_536
CELL_MAX = 10_000_000
#: a spreadsheet runs a cell that begins with one of these
_FORMULA_STARTS = r"^[=+\-@\t\r]"
_PLAIN_NUMBER = r"^[+-]?\d+(?:[.,]\d+)?$"
_EXACT_DIGITS = 15
#: both in one: begins so and is no number
_RUNS = re.compile(rf"(?!{_PLAIN_NUMBER}){_FORMULA_STARTS}")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file read: all cells text, blank cells null."""

    frame: pl.DataFrame
    delimiter: str
    encoding: str
    #: what was odd and how it was read, a sentence each
    remarks: tuple[str, ...] = ()


def bulk_csv(frame: pl.DataFrame) -> bytes:
    """The rows as a Bulk 2.0 file with line ending LF and delimiter COMMA.

    Newlines inside values become LF too: a file that mixes them is refused as a whole.
    """
    cells = frame.with_columns(
        pl.when(pl.col(name) == CLEAR).then(pl.lit(BULK_CLEAR)).otherwise(pl.col(name)).alias(name)
        for name in frame.columns
    )
    content = _written(cells)
    if b"\r" not in content:
        return content
    return _written(cells.with_columns(pl.all().str.replace_all("\r\n?", "\n")))


def unsendable_in_bulk(frame: pl.DataFrame) -> pl.Series:
    """Per row whether a real value reads ``#N/A``: Bulk would empty the field instead."""
    if not frame.columns:
        return pl.Series([False]).new_from_index(0, frame.height)
    found = pl.any_horizontal(pl.col(name) == BULK_CLEAR for name in frame.columns)
    return frame.select(found.fill_null(value=False).alias("found"))["found"]


def json_records(frame: pl.DataFrame, fields: Mapping[str, Field]) -> list[dict[str, Any]]:
    """The rows as JSON-ready dicts: CLEAR is None, null is left out.

    Numbers of more than 15 digits travel as text: JSON readers make doubles of numbers.
    """
    kinds = {name: fields[name].type if name in fields else "string" for name in frame.columns}
    return [
        {name: _json_value(value, kinds[name]) for name, value in row.items() if value is not None}
        for row in frame.iter_rows(named=True)
    ]


def read_table(
    content: bytes, *, delimiter: str | None = None, encoding: str | None = None
) -> Table:
    """The table of a CSV file, in any of the six delimiters and the usual encodings.

    Raises:
        UserError: empty, not text, a header that repeats or is blank, or rows longer than the
            header; the message names the line.
    """
    found_encoding = encoding or encoding_of(content)
    try:
        text = content.decode(found_encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise UserError(
            f"The file is not readable as {found_encoding}.",
            next_step="Save it as UTF-8, or name its encoding.",
        ) from error
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise UserError("The file is empty.", next_step="It needs a header line.")
    found = delimiter or delimiter_of(text)
    return _table(text, found, found_encoding)


def people_csv(frame: pl.DataFrame, *, bom: bool = True) -> bytes:
    """The rows for a spreadsheet: UTF-8 with BOM, CRLF, cells that would run get an apostrophe."""
    guarded = frame.select(
        _guarded(pl.col(name)).alias(name) if dtype == pl.String else pl.col(name)
        for name, dtype in frame.schema.items()
    )
    text = guarded.write_csv(line_terminator="\r\n", quote_style="necessary")
    return (codecs.BOM_UTF8 if bom else b"") + text.encode()


def people_lines(rows: Iterable[Iterable[str]]) -> bytes:
    """Lines of texts for a spreadsheet, without a mark: CRLF, cells that would run defused.

    >>> people_lines([["=1+1", "-5", "a,b"]])
    b'\'=1+1,-5,"a,b"\\r\\n'
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([f"'{cell}" if _RUNS.match(cell) else cell for cell in row])
    return out.getvalue().encode()


def guarded_cell(text: str) -> str:
    """One cell as `people_csv` writes it.

    >>> guarded_cell("=1+1"), guarded_cell("-5"), guarded_cell("ok")
    ("'=1+1", '-5', 'ok')
    """
    return str(pl.select(_guarded(pl.lit(text))).item())


def _written(cells: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    # a blank in the only column must be quoted: an empty line is no record
    blank = '""' if cells.width == 1 else ""
    cells.write_csv(sink, line_terminator="\n", null_value=blank)
    return sink.getvalue()


def _guarded(cells: pl.Expr) -> pl.Expr:
    runs = cells.str.contains(_FORMULA_STARTS) & ~cells.str.contains(_PLAIN_NUMBER)
    return pl.when(runs).then(pl.concat_str(pl.lit("'"), cells)).otherwise(cells)


def _json_value(value: str, kind: str) -> Any:
    if value == CLEAR:
        return None
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind in ("int", "long", "double", "currency", "percent"):
        return _json_number(value)
    return value


def _json_number(text: str) -> Any:
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    if len(digits) > _EXACT_DIGITS:
        return text
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def encoding_of(content: bytes) -> str:
    """The likeliest encoding of a text's bytes, by its mark and by what it holds."""
    marks = (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    )
    for mark, name in marks:
        if content.startswith(mark):
            return name
    head = content[:4000]
    if head.count(b"\x00") > len(head) // 4:
        return "utf-16-le" if head[1::2].count(b"\x00") > head[::2].count(b"\x00") else "utf-16-be"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        # every byte is a character in it, so it never fails: the last resort, as spreadsheets write
        return "cp1252" if _is_cp1252(content) else "latin-1"
    return "utf-8"


def _is_cp1252(content: bytes) -> bool:
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True


def delimiter_of(text: str) -> str:
    """The delimiter that splits the first rows into the most equal columns."""
    sample = text[:SNIFFED_CHARACTERS]
    scores = {delimiter: _score(sample, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > (0, 0) else ","


def _score(sample: str, delimiter: str) -> tuple[int, int]:
    rows = [row for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row][:50]
    if len(sample) == SNIFFED_CHARACTERS:
        rows = rows[:-1] or rows
    width = len(rows[0]) if rows else 1
    if width < 2:
        return (0, 0)
    equal = sum(1 for row in rows if len(row) == width)
    return (equal * 100 // len(rows), width)


def told(error: csv.Error) -> str:
    """What is wrong with a line, in words of people.

    >>> told(csv.Error("field larger than field limit (10000000)"))
    'a cell is longer than 10,000,000 characters'
    """
    is_long = str(error).startswith("field larger than")
    return f"a cell is longer than {CELL_MAX:,} characters" if is_long else str(error)


def _table(text: str, delimiter: str, encoding: str) -> Table:
    csv.field_size_limit(CELL_MAX)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UserError(f"Line {reader.line_num} of the file is no CSV: {told(error)}.") from error
    header = [name.strip() for name in rows[0][1]]
    check_header(header)
    remarks = []
    columns: list[list[str | None]] = [[] for _ in header]
    for line, row in rows[1:]:
        if any(cell.strip() for cell in row[len(header) :]):
            raise UserError(
                f"Line {line} of the file has {len(row)} cells, its header {len(header)}.",
                next_step="Quote cells that hold the delimiter, or name another delimiter.",
                line=line,
            )
        if len(row) < len(header):
            remarks.append(f"Line {line} has {len(row)} of {len(header)} cells; the rest is blank.")
        for number, column in enumerate(columns):
            column.append((row[number] or None) if number < len(row) else None)
    frame = pl.DataFrame(
        {
            name: pl.Series(values, dtype=pl.String)
            for name, values in zip(header, columns, strict=True)
        }
    )
    return Table(frame, delimiter, encoding, tuple(remarks[:20]))


def check_header(header: Sequence[str]) -> None:
    """Passes when every column has a name of its own.

    Raises:
        UserError: the message names the column.
    """
    seen: set[str] = set()
    for number, name in enumerate(header, start=1):
        if not name:
            raise UserError(
                f"Column {number} of the file has no name.",
                next_step="Give every column a name in the first line.",
            )
        if name.lower() in seen:
            raise UserError(
                f"The column '{name[:80]}' appears twice in the header.",
                next_step="Rename or remove one of them.",
            )
        seen.add(name.lower())
