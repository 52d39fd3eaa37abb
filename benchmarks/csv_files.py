"""CSV files at a million rows: reading, asking and writing, with the memory that each takes."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from core.domain.csv import people_csv
from core.files.archive import KeptUpload, keep_upload, open_part, parts_of
from core.files.guessing import guess_table
from core.files.reading import read_table
from core.files.source import FileSource
from core.spool import open_spool

ROWS = 1_000_000


class _Plain:
    """A key that is not wrapped: the benchmark has no database."""

    def encrypt(self, plain: str) -> str:
        return plain

    def decrypt(self, sealed: str) -> str:
        return sealed


def measured() -> list[str]:
    """Lines of the table: what, CPU seconds, peak memory of the process by then."""
    rows = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else ROWS
    with tempfile.TemporaryDirectory() as folder:
        return list(_lines(folder, rows))


def _lines(folder: str, rows: int) -> Iterator[str]:
    whole = open_spool(folder, _Plain())
    spool = whole.run(uuid4(), whole.new_wrapped_key())
    kept, line = _timed("keep (sealed)", lambda: _kept(spool, rows))
    yield line
    uploads: tuple[KeptUpload, ...] = (kept,)
    part = parts_of(spool, uploads)[0]
    with open_part(spool, uploads, part) as file:
        spec = guess_table(file, part.file_name, part=0).spec.model_copy(update={"key": ("Code",)})

    def read() -> Any:
        with open_part(spool, uploads, part) as file:
            return read_table(file, spec, spool, beat=lambda _: None)

    (done, _), line = _timed("read into pages, ids made", read)
    yield line
    source = FileSource(
        spool,
        [spec],
        pages={spec.object: done.pages},
        name="files",
        organization_id="z00000000000001AAA",
        clock=lambda: datetime.now(UTC),
    )
    asked = "SELECT Id, Code, Name, Amount, Since FROM Customers"
    _, line = _timed("all rows as the engine reads them", lambda: _walked(source, asked))
    yield line
    asked += " WHERE Amount > 500 AND Name LIKE '%7'"
    _, line = _timed("rows of a filter", lambda: _walked(source, asked))
    yield line
    _, line = _timed("written for people", lambda: _written(source, Path(folder)))
    yield line


def _timed(what: str, act: Callable[[], Any]) -> tuple[Any, str]:
    begun = time.process_time()
    found = act()
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found, f"| {what} | {seconds:.1f} | {peak:.0f} |"


def _kept(spool: Any, rows: int) -> KeptUpload:
    def blocks() -> Iterator[bytes]:
        yield b"Code;Name;City;Amount;Since;Active;Text\r\n"
        for start in range(0, rows, 10_000):
            yield "".join(
                f"C-{n};Customer {n};City {n % 997};{n % 1000}.{n % 100:02d};"
                f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.2025;{'ja' if n % 2 else 'nein'};"
                f'"a text, ""quoted"" and of some length {n}"\r\n'
                for n in range(start, min(start + 10_000, rows))
            ).encode()

    return keep_upload(spool, 0, "Customers.csv", blocks=blocks(), room=2_000_000_000)


def _walked(source: FileSource, soql: str) -> int:
    return sum(frame.height for frame in source.query_frames(soql))


def _written(source: FileSource, folder: Path) -> None:
    with (folder / "out.csv").open("wb") as sink:
        for frame in source.query_frames("SELECT Code, Name, City, Text FROM Customers"):
            sink.write(people_csv(frame, bom=False))


def main() -> None:
    """Prints the table."""
    sys.stdout.write("| what | CPU s | peak MB |\n|---|---|---|\n")
    for line in measured():
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
