"""Blanks on their way out: which are sent as a clear, which are left out (rule 3.1).

    null         the field is left out: the org's default, or what stands there, stays
    CLEAR        the field is emptied: ``#N/A`` in a bulk file, ``null`` in JSON
    anything     is sent

The mark is a text that no org can hold, so that a real value ``#N/A`` stays apart from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from core.domain.describe import Field
from core.domain.plan import Blanks, Write

#: "empty this field"; a NUL can neither stand in XML nor in a text field of the platform
CLEAR = "\x00CLEAR"
#: how a bulk file spells it; as a value of its own it cannot be stored through Bulk
BULK_CLEAR = "#N/A"


def mark_for_insert(frame: pl.DataFrame, fields: Sequence[Field], blanks: Blanks) -> pl.DataFrame:
    """Rows to insert: blanks become CLEAR where the field may be empty, else are left out.

    With `keep` they are left out always, so that the org's own default fills them.
    """
    if blanks is Blanks.KEEP:
        return frame
    return frame.with_columns(
        pl.col(field.name).fill_null(CLEAR) for field in fields if field.nillable
    )


def mark_for_update(
    frame: pl.DataFrame,
    fields: Sequence[Field],
    blanks: Blanks,
    *,
    is_ours: pl.Expr | None = None,
) -> pl.DataFrame:
    """Rows to update: blanks become CLEAR or are left out.

    Args:
        is_ours: per row whether this ledger created the target record; `default` clears only those.
    """
    if blanks is Blanks.KEEP:
        return frame
    cleared = pl.lit(value=True)
    if blanks is Blanks.DEFAULT:
        cleared = is_ours if is_ours is not None else pl.lit(value=False)
    return frame.with_columns(
        pl.when(pl.col(field.name).is_null() & cleared)
        .then(pl.lit(CLEAR))
        .otherwise(pl.col(field.name))
        .alias(field.name)
        for field in fields
        if field.nillable
    )


def keep_filled(
    frame: pl.DataFrame, found: Mapping[str, pl.Expr], writes: Mapping[str, Write]
) -> pl.DataFrame:
    """Rows to update without what must not be written over.

    `insert_only` fields are dropped; `if_blank` fields are left out where the target holds a value.

    Args:
        found: per if_blank field the target's present value, as an expression over `frame`.
    """
    dropped = [name for name in frame.columns if writes.get(name) is Write.INSERT_ONLY]
    guarded = [
        pl.when(found[name].is_null()).then(pl.col(name)).alias(name)
        for name in frame.columns
        if writes.get(name) is Write.IF_BLANK and name in found
    ]
    return frame.with_columns(guarded).drop(dropped)


def writeable_on_insert(fields: Sequence[Field], never: Sequence[str] = ()) -> tuple[str, ...]:
    """Fields that an insert may carry (rule 3.5)."""
    refused = {name.lower() for name in never}
    return tuple(f.name for f in fields if f.createable and f.name.lower() not in refused)


def writeable_on_update(fields: Sequence[Field], never: Sequence[str] = ()) -> tuple[str, ...]:
    """Fields that an update may carry (rule 3.5)."""
    refused = {name.lower() for name in never}
    return tuple(f.name for f in fields if f.updateable and f.name.lower() not in refused)
