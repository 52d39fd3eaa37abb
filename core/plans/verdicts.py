"""What an org would say of a row, told from the describe alone: required, picklist, length.

Validation rules, triggers and duplicate rules are the org's own business and are not foreseen here.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from core.domain.describe import Field

OK = "OK"
REQUIRED_IS_BLANK = "Required is blank"
NOT_IN_PICKLIST = "Not in picklist"
TOO_LONG = "Too long"


def verdicts(frame: pl.DataFrame, fields: Iterable[Field]) -> pl.DataFrame:
    """For each row its first objection and the field that raised it.

    Args:
        frame: target fields as canonical text, null is blank.
        fields: describes of the frame's columns.

    Returns:
        Columns ``verdict`` (OK or an objection) and ``field`` (null when OK), in the frame's order.
    """
    checks = [check for field in fields for check in _checks(field)]
    if not checks:
        ok = pl.Series("verdict", [OK] * frame.height, dtype=pl.String)
        return pl.DataFrame([ok, pl.Series("field", [None] * frame.height, dtype=pl.String)])
    words = pl.coalesce([pl.when(bad).then(pl.lit(word)) for bad, word, _ in checks])
    names = pl.coalesce([pl.when(bad).then(pl.lit(name)) for bad, _, name in checks])
    return frame.select(words.fill_null(OK).alias("verdict"), names.alias("field"))


def objections(frame: pl.DataFrame, fields: Iterable[Field]) -> dict[str, tuple[str, int]]:
    """What speaks against each field's values, and in how many rows; fields that are fine are not
    named. Of several objections to a field the most frequent one is told.

    Args:
        frame: as for `verdicts`.
    """
    checks = [check for field in fields for check in _checks(field)]
    if not checks or not frame.height:
        return {}
    (counts,) = frame.select(
        bad.fill_null(value=False).sum().alias(str(number))
        for number, (bad, _, _) in enumerate(checks)
    ).iter_rows()
    found: dict[str, tuple[str, int]] = {}
    for (_, word, name), rows in zip(checks, counts, strict=True):
        if rows > found.get(name, ("", 0))[1]:
            found[name] = (word, rows)
    return found


def _checks(field: Field) -> list[tuple[pl.Expr, str, str]]:
    value = pl.col(field.name)
    found: list[tuple[pl.Expr, str, str]] = []
    if field.required_on_create:
        found.append((value.is_null(), REQUIRED_IS_BLANK, field.name))
    if field.restricted_picklist and field.picklist_values:
        allowed = sorted(field.active_values)
        if field.type == "multipicklist":
            known = value.str.split(";").list.eval(pl.element().is_in(allowed)).list.all()
        else:
            known = value.is_in(allowed)
        found.append((value.is_not_null() & ~known, NOT_IN_PICKLIST, field.name))
    if field.is_text and field.length and not field.picklist_values:
        found.append((value.str.len_chars() > field.length, TOO_LONG, field.name))
    return found
