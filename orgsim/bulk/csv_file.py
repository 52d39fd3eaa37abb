"""Uploaded CSV as frames and frames as the CSV of results.

Source: Bulk API 2.0 and Bulk API Developer Guide, "Prepare CSV Files", "Valid Date Format in
Records".
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import polars as pl

from orgsim.bulk.model import DELIMITERS, LINE_ENDINGS, Job

#: The text that means null in a cell.
NULL_CELL = "#N/A"
_BOM = b"\xef\xbb\xbf"
_HEADER_PEEK_BYTES = 1_000_000


class CsvError(Exception):
    """The file as a whole cannot be read; the message is the job's errorMessage."""


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a job's CSV is written."""

    delimiter: str
    line_ending: str

    @classmethod
    def of(cls, job: Job) -> CsvForm:
        """Return the form that a job declared."""
        return cls(DELIMITERS[job.column_delimiter], LINE_ENDINGS[job.line_ending])

    def read(self, data: bytes) -> pl.DataFrame:
        """Return the rows of an upload: text columns, null for an empty cell.

        Raises:
            CsvError: Wrong line endings, no header, a column twice, not UTF-8, ragged rows.
        """
        self._check_line_endings(data)
        header = self._header(data)
        try:
            frame = pl.read_csv(data, separator=self.delimiter, infer_schema=False, null_values="")
        except pl.exceptions.PolarsError as problem:
            raise CsvError(f"InvalidBatch : {_first_line(problem)}") from problem
        frame = frame.rename(dict(zip(frame.columns, header, strict=True)))
        if b"\n\n" in data or b"\n\r\n" in data:
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        return frame

    def write(self, frame: pl.DataFrame, *, header: bool) -> bytes:
        """Return ``frame`` as fully quoted CSV; null becomes an empty cell."""
        return frame.write_csv(separator=self.delimiter, line_terminator=self.line_ending,
                               quote_style="always", include_header=header).encode()  # fmt: skip

    def _check_line_endings(self, data: bytes) -> None:
        windows = data.count(b"\r\n")
        wrong = windows if self.line_ending == "\n" else data.count(b"\n") - windows
        if wrong:
            setting = "LF" if self.line_ending == "\n" else "CRLF"
            raise CsvError(
                "ClientInputError : LineEnding is invalid on user data."
                f" Current LineEnding setting is {setting}"
            )

    def _header(self, data: bytes) -> list[str]:
        first = data[:_HEADER_PEEK_BYTES].split(b"\n", 1)[0]
        try:
            line = first.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as problem:
            raise CsvError("InvalidBatch : The file is not UTF-8") from problem
        header = next(csv.reader([line], delimiter=self.delimiter), [])
        if not any(header):
            raise CsvError("InvalidBatch : Unable to find any header row")
        if data.startswith(_BOM):
            # An org takes the mark for a part of the first name.
            raise CsvError(f"InvalidBatch : Field name not found : {header[0]}")
        seen: set[str] = set()
        for name in header:
            if name.lower() in seen:
                raise CsvError(f"InvalidBatch : Duplicate field name : {name}")
            seen.add(name.lower())
        return header


def _first_line(problem: Exception) -> str:
    return str(problem).strip().split("\n", 1)[0]
