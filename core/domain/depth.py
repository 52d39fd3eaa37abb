"""Rows that point at rows of the same set: how deep each one is, so that parents load first."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

#: of rows that are in a cycle, or below one: they need the second pass
IN_CYCLE = -1


def record_depth(ids: pl.Series, parents: Mapping[str, pl.Series]) -> pl.Series:
    """Per row 0 for a root, else one more than its deepest parent; `IN_CYCLE` where there is none.

    Args:
        ids: id of each row, unique.
        parents: per self lookup the id of the parent (null or an id of another set: no parent).
    Returns:
        Int32, in the order of `ids`. Cost: one pass over the rows per level.
    """
    rows = ids.len()
    positions = pl.DataFrame({"id": ids, "at": pl.int_range(rows, eager=True, dtype=pl.Int32)})
    links = [_positions_of(parent, positions) for parent in parents.values()]
    depth = pl.Series("depth", [IN_CYCLE], dtype=pl.Int32).new_from_index(0, rows)
    level = 0
    while rows:
        ready = depth == IN_CYCLE
        for link in links:
            parent_depth = depth.gather(link.fill_null(0)).to_frame("d")["d"]
            # strictly below this level: rows placed in this very pass do not count
            ready = ready & (link.is_null() | (parent_depth != IN_CYCLE))
        if not ready.any():
            break
        depth = depth.set(ready, level)
        level += 1
    return depth


def _positions_of(parent: pl.Series, positions: pl.DataFrame) -> pl.Series:
    frame = pl.DataFrame({"id": parent.cast(pl.String)})
    return frame.join(positions, on="id", how="left", maintain_order="left")["at"]
