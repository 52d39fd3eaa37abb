"""Keys in canonical form: one 64-bit hash and a blank mark per row, on either side.

Values are compared as the target's type compares them (rule 2.2); parts of a composite key are
joined with a mark that no value contains; a key is blank when all of its parts are.
"""

from __future__ import annotations

import polars as pl

from core.domain.describe import Field, SObject
from core.domain.matching import canonical_key
from core.migration.spec import Step

KEY_VALUE = "#key"
_BETWEEN = "\x1f"


def key_columns(step: Step, *, side: str) -> list[pl.Expr]:
    """Expressions ``key`` (UInt64) and ``blank`` over a frame of that side's rows."""
    spec = step.mapping.key
    if side == "source" and spec.value is not None:
        paths: tuple[str, ...] = (KEY_VALUE,)
    else:
        paths = spec.source if side == "source" else spec.target
    fields = [target_field(step.target, path) for path in spec.target]
    parts = [
        _plain(pl.col(path)) if field is None else canonical_key(field, pl.col(path))
        for field, path in zip(fields, paths, strict=True)
    ]
    blank = pl.all_horizontal([part.is_null() for part in parts])
    joined = pl.concat_str([part.fill_null("") for part in parts], separator=_BETWEEN)
    return [joined.hash(7).alias("key"), blank.alias("blank")]


def target_field(sobject: SObject, path: str) -> Field | None:
    """The field at the end of a path that stays on the object; None for one through a parent."""
    return sobject.fields[path] if path in sobject.fields else None


def _plain(value: pl.Expr) -> pl.Expr:
    """A value behind a path through a parent, whose type is not known here: trimmed text."""
    text = value.str.strip_chars()
    return pl.when(text.str.len_bytes() > 0).then(text)
