"""The files of jobs: uploads, outcomes of batches and query results, one folder a job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random

import polars as pl

from orgsim.bulk.csv_file import CsvForm

#: Columns that a batch's outcome adds to the rows as they were sent.
OUTCOME_COLUMNS = ("sf__Id", "sf__Created", "sf__Error")
_QUERY_PIECE_ROWS = 50_000


class ResultKind(StrEnum):
    """The three result files of an ingest job."""

    SUCCESSFUL = "successfulResults"
    FAILED = "failedResults"
    UNPROCESSED = "unprocessedrecords"


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The files of one job in ``folder``."""

    folder: Path

    @property
    def upload(self) -> Path:
        """The CSV as it came."""
        return self.folder / "upload.csv"

    def keep_upload(self, data: bytes) -> None:
        """Write the upload so that a killed process never sees half of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "upload.part"
        partial.write_bytes(data)
        partial.rename(self.upload)

    def keep_batch(self, number: int, frame: pl.DataFrame) -> None:
        """Write one batch: the rows as sent and the outcome columns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        frame.write_ipc(self._batch(number), compression="lz4")

    def results(
        self, kind: ResultKind, form: CsvForm, *, done: list[int], rest: pl.DataFrame
    ) -> Iterator[bytes]:
        """Yield one result file.

        Batches come in any order and so do the rows inside: Bulk 2.0 promises no order, and a
        client that joins by position must fail here rather than in an org.

        Args:
            kind: Which of the three.
            form: How the CSV is written.
            done: Numbers of the batches that have outcomes.
            rest: The rows without one, in the columns of the upload.
        """
        columns = _result_columns(kind)
        head = pl.DataFrame(schema=dict.fromkeys((*columns, *rest.columns), pl.String))
        yield form.write(head, header=True)
        if kind is ResultKind.UNPROCESSED:
            yield form.write(rest, header=False)
            return
        shuffled = Random(self.folder.name)  # noqa: S311  (an order, not a secret)
        for number in shuffled.sample(done, len(done)):
            frame = pl.read_ipc(self._batch(number))
            success = pl.col("sf__Error").is_null()
            wanted = frame.filter(success if kind is ResultKind.SUCCESSFUL else ~success)
            wanted = wanted.sample(fraction=1.0, shuffle=True, seed=number)
            yield form.write(wanted.select(*columns, *rest.columns), header=False)

    @property
    def query_rows(self) -> Path:
        """The rows of a query job as an Arrow file of text columns."""
        return self.folder / "query.arrow"

    def delete(self) -> None:
        """Remove everything of the job."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _batch(self, number: int) -> Path:
        return self.folder / f"batch-{number:06d}.arrow"


def _result_columns(kind: ResultKind) -> tuple[str, ...]:
    if kind is ResultKind.SUCCESSFUL:
        return ("sf__Id", "sf__Created")
    return ("sf__Id", "sf__Error") if kind is ResultKind.FAILED else ()
