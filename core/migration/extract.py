"""Reading a source object once: pages to the spool, and the narrow columns that stay in memory.

Pages hold the columns that rules, keys and lookups name, as text, null for blank. Masked columns
are masked before the page is sealed. A page that was read twice (after a stop) replaces itself; the
object counts as read only when the whole of it was, so a reader never sees half an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from core.domain.plan import Rows
from core.migration.spec import ID, MODSTAMP, Step
from core.salesforce.source import RowSource
from core.spool import RunSpool, page_name

#: rows of one page: large enough for bulk's batches, small enough for bounded memory
PAGE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Extracted:
    """How much of an object lies on the spool."""

    #: rows of each page, in order
    sizes: list[int]
    #: rows changed after the watermark: drift, not loss
    drift: int

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(self.sizes)


def source_folder(step: Step) -> str:
    """Where a mapping's source pages lie."""
    return f"src/{step.name}"


def select(step: Step, columns: tuple[str, ...], *, narrowed: str | None = None) -> str:
    """The SOQL that reads a mapping's rows; `narrowed` is a further condition (delta)."""
    soql = f"SELECT {', '.join(columns)} FROM {step.source.name}"
    wheres = []
    if step.mapping.where:
        wheres.append(f"({step.mapping.where})")
    if step.mapping.rows is Rows.ARCHIVED:
        wheres.append("IsArchived = true")
    if step.mapping.rows is not Rows.LIVE and "IsDeleted" in step.source.fields:
        wheres.append("IsDeleted = false")
    if narrowed is not None:
        wheres.append(f"({narrowed})")
    soql += f" WHERE {' AND '.join(wheres)}" if wheres else ""
    order_by = step.mapping.load.order_by
    return f"{soql} ORDER BY {order_by} NULLS LAST" if order_by else soql


def read_columns(step: Step, rule_columns: tuple[str, ...]) -> tuple[str, ...]:
    """Every path to read, each once whatever its case; Id first."""
    wanted = [ID, *rule_columns, *(lookup.source for lookup in step.lookups), *step.extra_columns]
    key = step.mapping.key
    if key.value is None:
        wanted.extend(key.source)
    if step.mapping.load.order_by:
        wanted.append(step.mapping.load.order_by)
    if step.mapping.scope:
        wanted.extend(step.mapping.scope.within)
    if MODSTAMP in step.source.fields:
        wanted.append(MODSTAMP)
    seen: dict[str, str] = {}
    for path in wanted:
        seen.setdefault(path.lower(), path)
    return tuple(seen.values())


def extract(
    org: RowSource,
    spool: RunSpool,
    step: Step,
    *,
    columns: tuple[str, ...],
    watermark: str,
    keep: Callable[[pl.DataFrame], pl.DataFrame],
    beat: Callable[[], None],
    narrowed: tuple[str, ...] | None = None,
) -> Extracted:
    """Reads all rows of a mapping to the spool, or those of which one condition holds.

    Args:
        keep: what is done to a page before it is sealed: scope filter, masking.
        watermark: ISO to the millisecond without zone; rows changed later count as drift.
        narrowed: conditions, each a query of its own; a row that two of them give counts once.
        beat: called once a page; what it raises ends the reading.
    """
    sizes: list[int] = []
    drift = 0
    spool.delete(source_folder(step))
    for frame in _frames(org, step, columns, narrowed, beat=beat):
        beat()
        kept = keep(frame)
        if MODSTAMP in kept.columns:
            late = kept.get_column(MODSTAMP).str.slice(0, 23) > watermark
            drift += int(late.sum() or 0)
        if kept.is_empty():
            continue
        sizes.append(kept.height)
        spool.write(page_name(source_folder(step), len(sizes)), kept)
    return Extracted(sizes, drift)


def _frames(
    org: RowSource,
    step: Step,
    columns: tuple[str, ...],
    narrowed: tuple[str, ...] | None,
    *,
    beat: Callable[[], None],
) -> Iterator[pl.DataFrame]:
    every = step.mapping.rows is not Rows.LIVE
    seen = pl.Series(ID, [], dtype=pl.String)
    for condition in (None,) if narrowed is None else narrowed:
        soql = select(step, columns, narrowed=condition)
        for frame in org.query_frames(soql, all_rows=every, page_rows=PAGE_ROWS, beat=beat):
            if narrowed is None:
                yield frame
                continue
            fresh = frame.filter(~pl.col(ID).is_in(seen.implode()))
            seen = seen.append(fresh.get_column(ID))
            yield fresh
