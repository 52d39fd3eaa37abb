"""Whether what stands in the target is what was sent: comparison by type, differences by cause.

The platform writes values its own way: it trims, makes CRLF of newlines, rounds to the field's
scale, sorts multi-select values, rewrites HTML, knows no null checkbox. Such differences are
*normalised*. Others are classed by their cause (rule 6.2); only **lost** is red.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from enum import StrEnum

import polars as pl

from core.domain.canonical import blank_to_null, canonical, map_unique, rounded
from core.domain.describe import Field

_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<\s*(?:br|/p|/div|/li|/tr|/h\d)\b[^>]*>", re.IGNORECASE)
_SPACES = re.compile(r"[\s\u00a0]+")


class Difference(StrEnum):
    """Why a value in the target is not what was sent."""

    NORMALISED = "normalised"  # the platform's own spelling of the same value
    DERIVED = "derived"  # computed by the platform from other fields
    AUTOMATION = "automation"  # changed by the target's automation while it was saved
    USER = "user"  # changed by somebody since
    SOURCE_CHANGED = "source_changed"  # the source has another value by now
    LOST = "lost"  # sent, accepted, and not there


def comparable(
    field: Field, values: pl.Expr, *, equivalents: Mapping[str, str] | None = None
) -> pl.Expr:
    """Values in the form in which sent and found are compared.

    Args:
        field: the target field.
        equivalents: other spellings of a value (a state's code by its text), in small letters.
    """
    text = canonical(field, blank_to_null(_trimmed(values)))
    if field.type == "boolean":
        return text.fill_null("false")
    if field.is_number:
        scale = 0 if field.type in ("int", "long") else field.scale
        text = rounded(text, scale)
    elif field.type == "multipicklist":
        text = _sorted_entries(text)
    elif field.is_rich_text:
        text = text.map_batches(_plain_texts, return_dtype=pl.String)
    elif field.type == "email":
        text = text.str.to_lowercase()
    if equivalents:
        text = text.str.to_lowercase().replace(dict(equivalents))
    return text


def equal_expr(
    field: Field, sent: pl.Expr, found: pl.Expr, *, equivalents: Mapping[str, str] | None = None
) -> pl.Expr:
    """Per row whether both are the same value of this field; blank equals blank."""
    return comparable(field, sent, equivalents=equivalents).eq_missing(
        comparable(field, found, equivalents=equivalents)
    )


def difference_expr(
    field: Field,
    *,
    is_derived: bool = False,
    is_protected: bool = False,
    has_automation: bool = True,
    equivalents: Mapping[str, str] | None = None,
) -> pl.Expr:
    """The class of each row's difference (`Difference` values); null where nothing differs.

    Reads the Utf8 columns ``sent``, ``found``, ``before`` (the target's value before the write,
    null if the row is new), ``source_now`` (what the source would send by now) and the Boolean
    ``changed_since`` (somebody wrote the record after the run).

    Args:
        field: the target field.
        is_derived: the platform computes it from others.
        is_protected: a key or a plain lookup, which no automation has a business to change: any
            other value in it is lost.
        has_automation: the target runs automation on this object.
    """
    sent, found = pl.col("sent"), pl.col("found")
    same = equal_expr(field, sent, found, equivalents=equivalents)
    source_moved = ~equal_expr(field, sent, pl.col("source_now"), equivalents=equivalents)
    untouched = equal_expr(field, found, pl.col("before"), equivalents=equivalents)
    is_blank = comparable(field, found).is_null()
    by_automation = pl.lit(has_automation and not is_protected) & ~is_blank & ~untouched
    cause = (
        pl.when(pl.lit(is_derived))
        .then(pl.lit(Difference.DERIVED.value))
        .when(pl.col("changed_since"))
        .then(pl.lit(Difference.USER.value))
        .when(source_moved)
        .then(pl.lit(Difference.SOURCE_CHANGED.value))
        .when(by_automation)
        .then(pl.lit(Difference.AUTOMATION.value))
        .otherwise(pl.lit(Difference.LOST.value))
    )
    raw_same = blank_to_null(sent).eq_missing(blank_to_null(found))
    return (
        pl.when(raw_same)
        .then(None)
        .when(same)
        .then(pl.lit(Difference.NORMALISED.value))
        .otherwise(cause)
    )


def _trimmed(values: pl.Expr) -> pl.Expr:
    return values.str.replace_all("\r\n?", "\n").str.strip_chars()


def _sorted_entries(text: pl.Expr) -> pl.Expr:
    entries = text.str.split(";").list.eval(pl.element().str.strip_chars()).list.unique()
    return pl.when(text.is_not_null()).then(
        entries.list.eval(pl.element().filter(pl.element() != "")).list.sort().list.join(";")
    )


def _plain_texts(batch: pl.Series) -> pl.Series:
    return map_unique(batch, plain_text)


def plain_text(rich: str) -> str | None:
    """The words of an HTML text, whatever its markup; None if it has none.

    >>> plain_text("<p>A&nbsp;<b>b</b></p>")
    'A b'
    """
    words = html.unescape(_TAG.sub("", _BREAK.sub(" ", rich)))
    return _SPACES.sub(" ", words).strip() or None
