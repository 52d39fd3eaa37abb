"""Named changes of dates, times and lengths (`convert:` in a rule), as polars expressions."""

from __future__ import annotations

import polars as pl

from core.domain.canonical import canonical_date, canonical_datetime
from core.domain.describe import Field
from core.domain.plan import Convert, ConvertRule

_MILLIS = "%Y-%m-%dT%H:%M:%S%.3fZ"


def converted(rule: ConvertRule, values: pl.Expr, *, target: Field) -> pl.Expr:
    """The converted Utf8 values; null where one cannot be converted."""
    if rule.convert is Convert.TRIM:
        return values.str.strip_chars()
    if rule.convert is Convert.TRUNCATE:
        return values.str.slice(0, target.length) if target.length else values
    if rule.convert is Convert.TO_DATE:
        return _instant(values).dt.convert_time_zone(rule.zone).dt.strftime("%Y-%m-%d")
    if rule.convert is Convert.TO_DATETIME:
        day = _day(values).cast(pl.Datetime("ms"))
        return _in_utc(day, rule.zone)
    if rule.convert is Convert.PARSE_DATE:
        wanted = rule.format or "%Y-%m-%d"
        return values.str.strip_chars().str.to_date(wanted, strict=False).dt.strftime("%Y-%m-%d")
    if rule.convert is Convert.PARSE_DATETIME:
        return _parsed(rule, values.str.strip_chars())
    return _shifted(values, rule.days)


def may_fail(rule: ConvertRule) -> bool:
    """Whether a value can be without a result: a new null is then a row failure."""
    return rule.convert not in (Convert.TRIM, Convert.TRUNCATE)


def _instant(values: pl.Expr) -> pl.Expr:
    text = canonical_datetime(values)
    return text.str.to_datetime(_MILLIS, strict=False, time_unit="ms").dt.replace_time_zone("UTC")


def _day(values: pl.Expr) -> pl.Expr:
    return canonical_date(values).str.to_date("%Y-%m-%d", strict=False)


def _in_utc(local: pl.Expr, zone: str) -> pl.Expr:
    """Local times of a zone in UTC.

    A time that the clocks skip moves an hour on; one that comes twice is the earlier.
    """
    there = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    after_gap = local.dt.offset_by("1h").dt.replace_time_zone(
        zone, ambiguous="earliest", non_existent="null"
    )
    return pl.coalesce(there, after_gap).dt.convert_time_zone("UTC").dt.strftime(_MILLIS)


def _parsed(rule: ConvertRule, text: pl.Expr) -> pl.Expr:
    if rule.format is None:
        parsed = text.str.replace(" ", "T").str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="ms"
        )
        # text that names its zone needs no other
        return pl.coalesce(_instant(text).dt.strftime(_MILLIS), _in_utc(parsed, rule.zone))
    if "%z" in rule.format:
        zoned = text.str.to_datetime(rule.format, strict=False, time_unit="ms")
        return zoned.dt.convert_time_zone("UTC").dt.strftime(_MILLIS)
    return _in_utc(text.str.to_datetime(rule.format, strict=False, time_unit="ms"), rule.zone)


def _shifted(values: pl.Expr, days: int) -> pl.Expr:
    by = f"{days}d"
    day = _day(values).dt.offset_by(by).dt.strftime("%Y-%m-%d")
    instant = _instant(values).dt.offset_by(by).dt.strftime(_MILLIS)
    return pl.coalesce(pl.when(values.str.len_chars() == 10).then(day), instant, day)
