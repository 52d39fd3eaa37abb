"""Two values of a field in one spelling, so that what an org merely spells differently counts as equal."""

from __future__ import annotations

import polars as pl

from core.domain.canonical import canonical
from core.domain.describe import Field


def canonical_text(field: Field, value: pl.Expr) -> pl.Expr:
    """Canonical by type; text without its outer spaces and with one kind of line end; null for blank."""
    made = canonical(field, value)
    if field.is_text:
        made = made.str.replace_all("\r\n?", "\n").str.strip_chars()
        made = pl.when(made.str.len_bytes() > 0).then(made)
    if field.type == "boolean":
        made = made.fill_null("false")
    return made
