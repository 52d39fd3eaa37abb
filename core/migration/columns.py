"""Columns of all rows of an object at once: in one piece each, and times as numbers.

What is held of every row decides how much memory a run takes (docs/speed.md).
"""

from __future__ import annotations

import polars as pl

#: a time after every other one
NEVER = 2**32 - 1
#: characters of an ISO time to the second
_TO_THE_SECOND = 19


def joined(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Frames of one shape below each other, every column in one piece.

    One column after the other lies twice in memory, never all of them: ``parts`` is empty
    afterwards.

    Args:
        parts: at least one.
    """
    left = list(parts)
    parts.clear()
    columns = []
    for name in left[0].columns:
        columns.append(pl.concat([part.get_column(name) for part in left], rechunk=True))
        left = [part.drop(name) for part in left]
    return pl.DataFrame(columns)


def seconds(times: pl.Expr) -> pl.Expr:
    """ISO times (UTC, whatever follows the second) as seconds since 1970 (UInt32, before `NEVER`);
    null where there is none. A tenth of what the text takes."""
    whole = times.str.head(_TO_THE_SECOND).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", time_unit="ms", strict=False, cache=False
    )
    return whole.dt.epoch("s").clip(0, NEVER - 1).cast(pl.UInt32)
