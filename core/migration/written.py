"""What a run wrote of one mapping, told by its own pages: who was made, changed and deleted, with
the values that were sent last and those that were there before.

    load chunks ───────────────┐ rows made, rows changed, rows deleted
    second pass, finally ──────┤ values that were sent later: they win
    before/… ──────────────────┘ values of rows that existed, as they were before the first write
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import polars as pl

from core.db.run_state import ChunkRow, RunStore
from core.domain.states import ChunkState
from core.migration.prepare import HASH, SOURCE, WAS
from core.migration.spec import ID, Step
from core.migration.verify import sent_rows
from core.spool import RunSpool

_KEYS = (SOURCE, "target_id")
_MAKES = frozenset({"insert", "upsert"})
_LATER = ("second_pass", "finally")


class Written:
    """The writes of one run to one mapping's records."""

    def __init__(self, parent: RunStore, spool: RunSpool, step: Step) -> None:
        self._parent = parent
        self._spool = spool
        self._step = step

    def made(self) -> Iterator[pl.DataFrame]:
        """Records that the run inserted, by chunk: #source, target_id, values sent last."""
        for chunk in self._chunks("load"):
            if chunk.operation in _MAKES:
                yield self._with_later(sent_rows(self._spool, chunk))

    def changed(self) -> Iterator[pl.DataFrame]:
        """Records that were there before and got values, likewise; each record once."""
        for chunk in self._chunks("load"):
            if chunk.operation == "update":
                yield self._with_later(sent_rows(self._spool, chunk))
        rest = self._later.join(self._loaded, on="target_id", how="anti")
        if rest.height:
            yield rest

    def deleted(self) -> Iterator[tuple[bool, pl.DataFrame]]:
        """Records that left: whether for good, and their #source and target_id."""
        for chunk in self._chunks("load"):
            if chunk.operation in ("delete", "hard_delete"):
                rows = sent_rows(self._spool, chunk).select(*_KEYS)
                yield chunk.operation == "hard_delete", rows

    def with_former(self, rows: pl.DataFrame, fields: Iterable[str]) -> pl.DataFrame:
        """The rows with each field's value before the run's first write to it, under ``#was``.

        A field of which nothing was kept has no such column.
        """
        for name in fields:
            former = self._former(name)
            if former is not None:
                rows = rows.join(former, on="target_id", how="left", maintain_order="left")
        return rows

    @cached_property
    def _later(self) -> pl.DataFrame:
        """Values of the passes after the load, the last one of each field."""
        frames = [sent_rows(self._spool, c) for phase in _LATER for c in self._chunks(phase)]
        if not frames:
            return pl.DataFrame(schema=dict.fromkeys(_KEYS, pl.String))
        rows = pl.concat(frames, how="diagonal").drop(HASH)
        values = [n for n in rows.columns if n not in _KEYS]
        return rows.group_by("target_id", maintain_order=True).agg(
            pl.col(SOURCE).first(), *(pl.col(n).drop_nulls().last() for n in values)
        )

    @cached_property
    def _loaded(self) -> pl.DataFrame:
        """Target ids of every record that the load wrote."""
        names = [str(c.outcome["done"]) for c in self._chunks("load")]
        parts = [self._spool.read(name, ["target_id"]) for name in names]
        return pl.concat([pl.DataFrame(schema={"target_id": pl.String}), *parts])

    def _with_later(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self._later.is_empty():
            return rows
        values = [n for n in self._later.columns if n not in _KEYS]
        joined = rows.join(self._later.drop(SOURCE), on="target_id", how="left", suffix="#later")
        both = [n for n in values if n in rows.columns]
        merged = [pl.coalesce(f"{n}#later", n).alias(n) for n in both]
        return joined.with_columns(merged).drop([f"{n}#later" for n in both])

    @cached_property
    def _images(self) -> list[pl.DataFrame]:
        # names sort as the phases do: load (digits, c…), then finally-…, then second-…
        names = self._spool.names(f"before/{self._step.name}")
        return [self._spool.read(name) for name in names]

    def _former(self, name: str) -> pl.DataFrame | None:
        parts = [image.select(ID, name) for image in self._images if name in image.columns]
        if not parts:
            return None
        kept = pl.concat(parts).unique(subset=ID, keep="first", maintain_order=True)
        return kept.rename({ID: "target_id", name: name + WAS})

    def _chunks(self, phase: str) -> Iterator[ChunkRow]:
        for step in self._parent.steps():
            if step.mapping_name == self._step.name and step.phase == phase:
                for chunk in self._parent.chunks(step.id):
                    if chunk.state is ChunkState.DONE and "done" in chunk.outcome:
                        yield chunk
