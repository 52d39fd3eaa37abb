"""Keys in canonical form: one 64-bit hash and a blank mark per row, on either side.

Values are compared as the target's type compares them (rule 2.2); parts of a composite key are joined with
a mark that no value contains; a key is blank when all of its parts are.
"""

from __future__ import annotations

import polars as pl

from core.domain.describe import Field, SObject
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
    parts = [canonical(field, pl.col(path)) for field, path in zip(fields, paths, strict=True)]
    blank = pl.all_horizontal([part.is_null() for part in parts])
    joined = pl.concat_str([part.fill_null("") for part in parts], separator=_BETWEEN)
    return [joined.hash(7).alias("key"), blank.alias("blank")]


def target_field(sobject: SObject, path: str) -> Field | None:
    """The field at the end of a path that stays on the object; None for one through a parent."""
    return sobject.fields[path] if path in sobject.fields else None


def canonical(field: Field | None, value: pl.Expr) -> pl.Expr:
    """The value as the target compares it; null for blank."""
    text = value.str.strip_chars()
    text = pl.when(text == "").then(None).otherwise(text)
    if field is None:
        return text
    if field.type in ("id", "reference"):
        return text.str.slice(0, 15)
    if field.is_number:
        return text.cast(pl.Float64, strict=False).cast(pl.String).fill_null(text)
    if field.type == "datetime":
        return text.str.slice(0, 19)
    if field.is_text and not field.case_sensitive:
        return text.str.to_lowercase()
    return text
