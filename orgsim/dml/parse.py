"""Turns the text of a column into typed values, and finds the cells that are no such value.

Every function works on a whole column. Blank text is null; surrounding white space goes, as on
save.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from orgsim.dml.outcomes import SET_NULL, Refusal
from orgsim.schema.model import Field
from orgsim.store import ids

#: A date-time gives its date part: sample trees of Salesforce's own CLI are loaded so.
_DATE = r"^(\d{4}-\d{2}-\d{2})(?:Z|T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$"
_ZONED = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})$"
_EMAIL = r"^[^\s@<>(),;:\"\[\]]+@[^\s@<>(),;:\"\[\]]+\.[^\s@<>(),;:\"\[\].]{2,}$"
_NUMBERS = frozenset({"int", "long", "double", "currency", "percent"})


@dataclass(frozen=True, slots=True)
class Parsed:
    """A column after parsing: ``refused`` lists (position, reason) of cells that are no value."""

    values: pl.Series
    given: pl.Series
    refused: list[tuple[int, Refusal]]


def parse_column(cells: pl.Series, field: Field) -> Parsed:
    """Typed values of one column of text cells (null = not given, SET_NULL = null)."""
    given = cells.is_not_null()
    text = _trimmed(cells)
    values, bad = _typed(text, field)
    refused = [(at, _wrong(field, text[at])) for at in bad.arg_true().to_list()]
    clean = values
    if field.type in _NUMBERS:
        clean, outside = _in_range(values, field)
        refused += [(at, _outside(field, text[at])) for at in outside.arg_true().to_list()]
    return Parsed(clean.alias(field.name), given, refused)


def _trimmed(cells: pl.Series) -> pl.Series:
    cell = pl.col("cell").str.strip_chars()
    kept = (pl.col("cell") != SET_NULL) & (cell != "")
    return pl.DataFrame({"cell": cells}).select(pl.when(kept).then(cell)).to_series()


def _typed(text: pl.Series, field: Field) -> tuple[pl.Series, pl.Series]:
    match field.type:
        case "boolean":
            values = text.str.to_lowercase().replace_strict(
                ["true", "1", "false", "0"], [True, True, False, False], default=None,
                return_dtype=pl.Boolean,
            )  # fmt: skip
        case "int" | "long":
            values = text.cast(pl.Float64, strict=False)
            values = pl.select(pl.when(values == values.round(0)).then(values)).to_series()
            values = values.cast(pl.Int64, strict=False)
        case "double" | "currency" | "percent":
            values = text.cast(pl.Float64, strict=False)
            values = pl.select(pl.when(values.is_finite()).then(values)).to_series()
        case "date":
            values = text.str.extract(_DATE, 1).str.to_date("%Y-%m-%d", strict=False)
        case "datetime":
            values = _datetimes(text)
        case "time":
            bare = text.str.strip_suffix("Z").str.extract(r"^(\d{2}:\d{2}:\d{2})", 1)
            values = bare.str.to_time("%H:%M:%S", strict=False)
        case "id" | "reference":
            return _id_values(text)
        case "email":
            return text, (text.is_not_null() & ~text.str.contains(_EMAIL).fill_null(value=False))
        case _:
            return text, pl.repeat(value=False, n=len(text), dtype=pl.Boolean, eager=True)
    return values, values.is_null() & text.is_not_null()


def _datetimes(text: pl.Series) -> pl.Series:
    """Zoned ISO times as naive UTC whole seconds; a bare date is its midnight."""
    dates = text.str.extract(r"^(\d{4}-\d{2}-\d{2})$", 1) + "T00:00:00+0000"
    zoned = (
        text.str.extract(f"({_ZONED[1:-1]})", 1)
        .str.replace(r"Z$", "+0000")
        .str.replace(r"([+-]\d{2}):(\d{2})$", "${1}${2}")
        .str.replace(r"T(\d{2}:\d{2})([+-])", "T${1}:00${2}")
        .str.replace(r"\.\d+", "")
    )
    both = pl.select(pl.coalesce(dates, zoned)).to_series()
    made = both.str.to_datetime("%Y-%m-%dT%H:%M:%S%z", strict=False, time_unit="us")
    return made.dt.replace_time_zone(None)


def _id_values(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """18-character ids, and where the text is no id at all."""
    present = text.drop_nulls()
    if ids.all_exact(present):
        return text, pl.repeat(value=False, n=len(text), dtype=pl.Boolean, eager=True)
    distinct = present.unique()
    full = pl.Series([ids.to18(one) for one in distinct.to_list()], dtype=pl.String)
    values = text.replace_strict(distinct, full, default=None, return_dtype=pl.String)
    return values, values.is_null() & text.is_not_null()


def _in_range(values: pl.Series, field: Field) -> tuple[pl.Series, pl.Series]:
    """Rounds to the scale, half away from zero; true where too many digits stand before the
    point."""
    if field.type in ("int", "long"):
        digits = field.digits or 18
        return values, (values.abs() >= 10**digits).fill_null(value=False)
    rounded = values.round(field.scale, mode="half_away_from_zero")
    whole = (field.precision or 18) - field.scale
    return rounded, (rounded.abs() >= 10.0**whole).fill_null(value=False)


def _wrong(field: Field, text: str) -> Refusal:
    if field.type in ("id", "reference"):
        return Refusal("MALFORMED_ID", f"{field.label}: id value of incorrect type: {text}",
                       (field.name,))  # fmt: skip
    if field.type == "email":
        return Refusal("INVALID_EMAIL_ADDRESS", f"{field.label}: invalid email address: {text}",
                       (field.name,))  # fmt: skip
    return Refusal(
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        f"{field.label}: value not of required type: {text}",
        (field.name,),
    )


def _outside(field: Field, text: str) -> Refusal:
    return Refusal(
        "NUMBER_OUTSIDE_VALID_RANGE",
        f"{field.label}: value outside of valid range on numeric field: {text}",
        (field.name,),
    )
