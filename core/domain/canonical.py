"""One spelling per value: text of the wire brought to the form that is sent, keyed and hashed.

The same value arrives as ``1.0E2`` by REST and ``100`` in a bulk file, a time as ``…+0000`` or
``…Z``, an id with 15 or 18 characters. Canonical text is Utf8; blank is null. Values that do not
have the shape of their type stay as they are: the org shall say no to them, not we silently.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

import polars as pl

from core.domain.describe import NUMBER_TYPES, Field
from core.domain.ids import to18_expr

ID_TYPES = frozenset({"id", "reference"})

_PLAIN_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)$"
_CANONICAL_NUMBER = r"^(?:0|-?[1-9]\d*|-?(?:0|[1-9]\d*)\.\d*[1-9])$"
_SIMPLE_DECIMAL = r"^-?(?:0|[1-9]\d*)\.\d+$"
_CANONICAL_DATETIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
_REST_DATETIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:?00$"
_EXPONENT = r"^[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+$"
_DATETIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$"


def blank_to_null(values: pl.Expr) -> pl.Expr:
    """Empty text as null: the platform stores none."""
    return pl.when(values.str.len_bytes() > 0).then(values)


def canonical(field: Field, values: pl.Expr) -> pl.Expr:
    """The values of a field as canonical text; text itself is not changed.

    Args:
        field: the field that the values come from.
        values: Utf8.
    """
    values = blank_to_null(values)
    if field.type in ID_TYPES:
        return to18_expr(values)
    if field.type in NUMBER_TYPES:
        return canonical_number(values)
    if field.type == "boolean":
        return canonical_boolean(values)
    if field.type == "datetime":
        return canonical_datetime(values)
    if field.type == "date":
        return canonical_date(values)
    if field.type == "time":
        return canonical_time(values)
    return values


def canonical_boolean(values: pl.Expr) -> pl.Expr:
    """``true`` or ``false`` for the spellings that the platform takes."""
    lowered = values.str.to_lowercase()
    return (
        pl.when(lowered.is_in(["true", "1"]))
        .then(pl.lit("true"))
        .when(lowered.is_in(["false", "0"]))
        .then(pl.lit("false"))
        .otherwise(values)
    )


def canonical_number(values: pl.Expr) -> pl.Expr:
    """A decimal without exponent, plus sign, or zeros that say nothing; full precision kept."""
    return values.map_batches(_canonical_numbers, return_dtype=pl.String)


def rounded(values: pl.Expr, scale: int) -> pl.Expr:
    """Canonical numbers with at most `scale` decimals, rounded half up as the org rounds."""
    has_more = values.str.contains(rf"^-?\d+\.\d{{{scale + 1},}}$")

    def round_batch(batch: pl.Series) -> pl.Series:
        return map_unique(batch, lambda text: _round(text, scale))

    short = pl.when(has_more).then(values).otherwise(None)
    return (
        pl.when(has_more)
        .then(short.map_batches(round_batch, return_dtype=pl.String))
        .otherwise(values)
    )


def canonical_datetime(values: pl.Expr) -> pl.Expr:
    """UTC to the millisecond, ``2011-07-07T00:37:00.000Z``."""
    return values.map_batches(_canonical_datetimes, return_dtype=pl.String)


def canonical_date(values: pl.Expr) -> pl.Expr:
    """``2011-07-07``; the zone that some exports append to a date is dropped."""
    trimmed = values.str.strip_chars()
    is_date = trimmed.str.contains(r"^\d{4}-\d\d-\d\d(?:Z|T00:00:00(?:\.0+)?(?:Z|\+00:?00)?)?$")
    return pl.when(is_date).then(trimmed.str.slice(0, 10)).otherwise(values)


def canonical_time(values: pl.Expr) -> pl.Expr:
    """``13:45:00.000Z``."""
    trimmed = values.str.strip_chars()
    whole = trimmed.str.extract(r"^(\d\d:\d\d)", 1)
    seconds = trimmed.str.extract(r"^\d\d:\d\d:(\d\d)", 1).fill_null("00")
    millis = trimmed.str.extract(r"\.(\d{1,3})", 1).fill_null("0").str.pad_end(3, "0")
    is_time = trimmed.str.contains(r"^\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?$")
    text = pl.concat_str(whole, pl.lit(":"), seconds, pl.lit("."), millis, pl.lit("Z"))
    return pl.when(is_time).then(text).otherwise(values)


def _canonical_numbers(batch: pl.Series) -> pl.Series:
    """Most numbers are canonical or end in zeros: only the odd ones go the long way."""
    odd = _odd_ones(batch, _CANONICAL_NUMBER)
    if odd is None:
        return batch.cast(pl.String)
    return batch.scatter(odd, _tidied(batch.gather(odd)))


def _tidied(numbers: pl.Series) -> pl.Series:
    value = pl.col("v")
    simple = numbers.to_frame("v").select(
        v=pl.when(value.str.contains(_SIMPLE_DECIMAL)).then(
            value.str.strip_chars_end("0").str.strip_chars_end(".").replace("-0", "0")
        )
    )["v"]
    if simple.null_count() == 0:
        return simple
    rest = simple.is_null().arg_true()
    return simple.scatter(rest, _tidied_slowly(numbers.gather(rest)))


def _tidied_slowly(numbers: pl.Series) -> pl.Series:
    """Whatever people and other tools write; what is no number stays."""
    trimmed = numbers.str.strip_chars()
    spelt_out = trimmed.to_frame("v").select(
        v=pl.when(pl.col("v").str.contains(_EXPONENT))
        .then(pl.col("v").map_batches(_without_exponent, return_dtype=pl.String))
        .otherwise(pl.col("v"))
    )
    value = pl.col("v")
    tidy = (
        value.str.replace(r"^\+", "")
        .str.replace(r"^(-?)0+(\d)", "${1}${2}")
        .str.replace(r"^(-?)\.", "${1}0.")
        .str.replace(r"(\.\d*?)0+$", "${1}")
        .str.replace(r"\.$", "")
        .replace("-0", "0")
    )
    is_number = value.str.contains(_PLAIN_NUMBER)
    return spelt_out.select(v=pl.when(is_number).then(tidy).otherwise(pl.lit(numbers)))["v"]


def _canonical_datetimes(batch: pl.Series) -> pl.Series:
    """REST answers in UTC with +0000: cut and marked; other zones are computed."""
    odd = _odd_ones(batch, _CANONICAL_DATETIME)
    if odd is None:
        return batch.cast(pl.String)
    rest = batch.gather(odd)
    in_utc = rest.to_frame("v").select(
        v=pl.when(pl.col("v").str.contains(_REST_DATETIME)).then(
            pl.concat_str(pl.col("v").str.slice(0, 23), pl.lit("Z"))
        )
    )["v"]
    if in_utc.null_count():
        left = in_utc.is_null().arg_true()
        in_utc = in_utc.scatter(left, _computed_datetimes(rest.gather(left)))
    return batch.scatter(odd, in_utc)


def _computed_datetimes(batch: pl.Series) -> pl.Series:
    trimmed = pl.col("v").str.strip_chars()
    zoned = trimmed.str.replace(r"Z$", "+0000").str.replace(r"T(\d\d:\d\d)([+-])", "T${1}:00${2}")
    parsed = zoned.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", strict=False, time_unit="ms")
    text = parsed.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    is_one = trimmed.str.contains(_DATETIME) & text.is_not_null()
    return batch.to_frame("v").select(v=pl.when(is_one).then(text).otherwise(pl.col("v")))["v"]


def _odd_ones(batch: pl.Series, pattern: str) -> pl.Series | None:
    """Positions of filled values that do not have the pattern; None if all have it."""
    if batch.dtype != pl.String:
        return None
    is_odd = ~batch.str.contains(pattern)
    return is_odd.arg_true() if is_odd.any() else None


def _without_exponent(batch: pl.Series) -> pl.Series:
    return map_unique(batch, _spell_out)


def _spell_out(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    # a hostile exponent must not become a gigabyte of zeros
    return format(number, "f") if abs(number.adjusted()) < 400 else text


def _round(text: str, scale: int) -> str:
    number = Decimal(text).quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
    plain = format(number, "f")
    tidy = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if tidy == "-0" else tidy


def map_unique(batch: pl.Series, change: Callable[[str], str | None]) -> pl.Series:
    """A function of text over a column, called once per distinct value; null stays null."""
    distinct = batch.drop_nulls().unique()
    if distinct.is_empty():
        return batch.cast(pl.String)
    changed = pl.Series([change(text) for text in distinct], dtype=pl.String)
    return batch.replace_strict(distinct, changed, default=None, return_dtype=pl.String)
