"""How a CSV is written, guessed from its first rows: encoding, delimiter, numbers, dates.

A guess is a proposal that people see and may change. What can be read in two ways says so.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from core.domain.csv import CELL_MAX, check_header, delimiter_of, encoding_of, told
from core.errors import UserError
from core.files.tables import Column, ColumnType, TableSpec, api_name

#: bytes of a file that are looked at
HEAD_BYTES = 400_000
HEAD_ROWS = 1_000
SHOWN_ROWS = 10
_TEXT_LENGTH = 255
#: a table without a head longer than this is one column of text, not a CSV
COLUMNS_MAX = 800

_POINT = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?$")
_POINT_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$")
_COMMA = re.compile(r"[+-]?(?:0|[1-9]\d{0,14}|[1-9]\d{0,2}(?:\.\d{3})+)(?:,\d{1,15})?$")
_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}$")
_WHOLE = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})$")
_TRUTHS = frozenset({"true", "false", "yes", "no", "y", "n", "ja", "nein"})
#: pattern → format of dates; the first whose pattern and numbers fit all values
_DATES: tuple[tuple[str, str], ...] = (
    (r"\d{4}-\d\d?-\d\d?", "%Y-%m-%d"),
    (r"\d{4}/\d\d?/\d\d?", "%Y/%m/%d"),
    (r"\d\d?\.\d\d?\.\d{4}", "%d.%m.%Y"),
    (r"\d\d?/\d\d?/\d{4}", "%d/%m/%Y"),
    (r"\d\d?/\d\d?/\d{4}", "%m/%d/%Y"),
    (r"\d\d?-\d\d?-\d{4}", "%d-%m-%Y"),
    (r"\d\d?-\d\d?-\d{4}", "%m-%d-%Y"),
    (r"\d\d?-[A-Za-z]{3}-\d{4}", "%d-%b-%Y"),
)
_TIMES: tuple[tuple[str, str], ...] = (
    (r"\d\d?:\d\d", "%H:%M"),
    (r"\d\d?:\d\d:\d\d", "%H:%M:%S"),
    (r"\d\d?:\d\d:\d\d\.\d+", "%H:%M:%S%.f"),
)
#: ISO with a zone, as the platform writes it
ISO_ZONED = "iso"
_ISO_ZONED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)$")
_DAY_OR_MONTH = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y"}


@dataclass(frozen=True, slots=True)
class Guess:
    """A table as it is likely to be read, with its first rows as text."""

    spec: TableSpec
    rows: tuple[tuple[str, ...], ...]


def guess_table(file: BinaryIO, file_name: str, *, part: int, taken: Collection[str] = ()) -> Guess:
    """Looks at the head of a CSV.

    Args:
        part: number of the CSV in its set.
        taken: names that other tables of the set have.
    Raises:
        UserError: it is empty, no text, or its header has no names or repeats one.
    """
    head = file.read(HEAD_BYTES)
    is_whole = len(head) < HEAD_BYTES
    encoding = encoding_of(head if is_whole else _cut(head))
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    if not text.strip():
        raise UserError(f"{file_name} is empty.", next_step="It needs a header line.")
    if "\x00" in text:
        raise UserError(
            f"{file_name} is no text file.", next_step="Save it as CSV and upload it again."
        )
    delimiter = delimiter_of(text)
    rows = _rows(text, delimiter, is_whole=is_whole, file_name=file_name)
    header = [cell.strip() for cell in rows[0]]
    check_header(header)
    if len(header) > COLUMNS_MAX:
        raise UserError(f"{file_name} has {len(header):,} columns; at most {COLUMNS_MAX} are read.")
    body = rows[1 : HEAD_ROWS + 1]
    remarks: list[str] = []
    columns: list[Column] = []
    for at, label in enumerate(header):
        values = [row[at].strip() for row in body if at < len(row) and row[at].strip()]
        kind, form, remark = guess_type(values)
        name = api_name(label, taken=[column.name for column in columns])
        length = max((len(value) for value in values), default=0)
        columns.append(Column(name=name, label=label[:250], type=kind, format=form, length=length))
        if remark:
            remarks.append(f"{label}: {remark}")
    stem = file_name.rsplit(".", 1)[0]
    spec = TableSpec(
        part=part,
        file_name=file_name,
        object=api_name(stem, taken=taken, fallback="Table"),
        encoding=encoding,
        delimiter=delimiter,
        columns=tuple(columns),
        key=_likely_key(columns, body),
        remarks=tuple(remarks),
    )
    return Guess(spec, tuple(tuple(row) for row in body[:SHOWN_ROWS]))


def guess_type(values: Sequence[str]) -> tuple[ColumnType, str, str]:
    """Type, format and a remark of a column with these filled values.

    >>> guess_type(["31.12.2025", "1.2.2026"])
    ('date', '%d.%m.%Y', '')
    >>> guess_type(["1.234,50", "7"])
    ('double', 'comma', '')
    >>> guess_type(["00123", "4"])
    ('string', '', '')
    """
    if not values:
        return "string", "", ""
    if all(value.lower() in _TRUTHS for value in values):
        return "boolean", "", ""
    if all(_ISO_ZONED.match(value) for value in values):
        return "datetime", ISO_ZONED, ""
    found = _number(values) or _time(values)
    if found is not None:
        return found
    longest = max(map(len, values))
    return ("textarea" if longest > _TEXT_LENGTH else "string"), "", ""


def _number(values: Sequence[str]) -> tuple[ColumnType, str, str] | None:
    if all(_WHOLE.match(value) for value in values):
        return "int" if all(len(v.lstrip("+-")) <= 9 for v in values) else "double", "point", ""
    if all(_POINT.match(value) for value in values):
        if all(_GROUP.match(value) for value in values):
            return (
                "double",
                "point",
                "1.234 is read as 1 and a fraction; change it to “comma” if not.",
            )
        return "double", "point", ""
    comma = all(_COMMA.match(value) for value in values)
    point = all(_POINT_GROUPED.match(v) or _POINT.match(v) for v in values)
    if comma and point:
        return "double", "point", "1,234 is read as one thousand; change it to “comma” if not."
    if point:
        return "double", "point", ""
    return ("double", "comma", "") if comma else None


def _time(values: Sequence[str]) -> tuple[ColumnType, str, str] | None:
    for pattern, form in _DATES:
        if all(re.fullmatch(pattern, value) for value in values):
            if _all_parse(values, form):
                return "date", form, _both_ways(values, form)
            continue
        for time_pattern, time_form in _TIMES:
            for between in (" ", "T"):
                whole = f"{form}{between}{time_form}"
                if all(re.fullmatch(f"{pattern}{between}{time_pattern}", v) for v in values):
                    days = [value.split(between)[0] for value in values]
                    if _all_parse(days, form):
                        return "datetime", whole, _both_ways(days, form)
    return None


def _all_parse(values: Sequence[str], form: str) -> bool:
    import datetime as dt

    try:
        for value in values:
            dt.datetime.strptime(value, form).replace(tzinfo=dt.UTC)
    except ValueError:
        return False
    return True


def _both_ways(values: Sequence[str], form: str) -> str:
    other = _DAY_OR_MONTH.get(form)
    if other is None or not _all_parse(values, other):
        return ""
    return f"{values[0]} can be read day first or month first; it is read day first."


def _likely_key(columns: Sequence[Column], body: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The first column that looks like a key and is filled and unique in the rows looked at."""
    for at, column in enumerate(columns):
        words = re.split(r"[^a-z]+", column.name.lower())
        if not {"id", "key", "code", "number", "no", "nr", "legacyid"} & set(words):
            continue
        values = [row[at].strip() for row in body if at < len(row)]
        if values and all(values) and len(set(values)) == len(values) == len(body):
            return (column.name,)
    return ()


def _rows(text: str, delimiter: str, *, is_whole: bool, file_name: str) -> list[list[str]]:
    rows: list[list[str]] = []
    csv.field_size_limit(CELL_MAX)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > HEAD_ROWS + 1:
                return rows[:-1]
    except csv.Error as error:
        raise UserError(f"{file_name}: line {reader.line_num} is no CSV: {told(error)}.") from error
    return rows if is_whole or len(rows) < 2 else rows[:-1]


def _cut(head: bytes) -> bytes:
    """Whole lines of the head, so that no character is cut."""
    end = head.rfind(b"\n")
    return head[: end + 1] if end > 0 and b"\x00" not in head[:400] else head
