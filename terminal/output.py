"""Prints what a command says: tables and JSON on standard output, progress on standard error."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from core.secret import Secret


def say(line: str = "") -> None:
    """One line of a command's answer."""
    sys.stdout.write(f"{line}\n")


def note(line: str) -> None:
    """Progress or a remark: standard error, so that a pipe gets the answer alone."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def show_json(answer: object) -> None:
    """One JSON document; times in ISO 8601, ids as text, secrets never."""
    say(json.dumps(answer, default=_plain, ensure_ascii=False, indent=2))


def show_table(head: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Aligned columns, numbers to the right; `empty` says what to do when there is none."""
    texts = [[_cell(value) for value in row] for row in rows]
    if not texts:
        say(empty)
        return
    table = [list(head), *texts]
    widths = [max(_width(row[at]) for row in table) for at in range(len(head))]
    numeric = [all(_is_number(row[at]) for row in texts) for at in range(len(head))]
    for row in table:
        cells = zip(row, widths, numeric, strict=True)
        say("  ".join(_padded(text, width, right=right) for text, width, right in cells).rstrip())


def given_secret(value: str | None) -> Secret | None:
    """A secret option: ``-`` reads it from standard input, so that it is in no process list."""
    if value == "-":
        return Secret(sys.stdin.readline().rstrip("\n"))
    return Secret(value) if value is not None else None


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M UTC")
    # A control character in an org's text must not steer the terminal.
    return "".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in str(value))


def _is_number(text: str) -> bool:
    return text.replace(" ", "").replace(".", "", 1).isdigit() or text == "–"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
