"""Values that the target would refuse, found before they are sent.

Looks at transformed values and the target's describe only: too long, too many digits, no date, not
in a restricted picklist, blank where required. The codes are the platform's own, so that
what was foreseen and what was refused can be counted together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from core.domain.blanks import CLEAR
from core.domain.describe import Field
from core.domain.ids import is_id_expr
from core.domain.rules import FAILURE_SCHEMA

#: the largest int of the platform, "Primitive data types: int"
INT_MAX = 2_147_483_647
MULTI_SELECT_MAX = 4_099
SHOWN_MAX = 60

_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"
_NUMBER = r"^-?\d+(?:\.\d+)?$"
_DATETIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)$"


@dataclass(frozen=True, slots=True)
class ValueCheck:
    """One thing that can be wrong with a value of a field."""

    code: str
    #: true where it is wrong; reads the field's column
    is_wrong: pl.Expr
    sentence: str


def checks_of(field: Field, *, inserting: bool) -> tuple[ValueCheck, ...]:
    """What can be wrong with a value of this field, on insert or on update."""
    value = pl.col(field.name)
    is_filled = value.is_not_null() & (value != CLEAR)
    found = [
        *_blank(field, ~is_filled, inserting=inserting),
        *(
            ValueCheck(check.code, is_filled & check.is_wrong, check.sentence)
            for check in (*_text(field, value), *_typed(field, value), *_choice(field, value))
        ),
    ]
    return tuple(found)


def value_failures(
    frame: pl.DataFrame, fields: Sequence[Field], *, inserting: bool
) -> pl.DataFrame:
    """Every value that would be refused: ``row``, ``field``, ``code``, ``message``.

    Args:
        frame: transformed rows, Utf8 in canonical form; columns without a field are not looked at.
    """
    failures = [
        _failures(frame, field, check)
        for field in fields
        if field.name in frame.columns
        for check in checks_of(field, inserting=inserting)
        if frame.select(check.is_wrong.any()).item()
    ]
    return pl.concat([pl.DataFrame(schema=FAILURE_SCHEMA), *failures])


def counted(failures: pl.DataFrame) -> Iterator[tuple[str, str, int]]:
    """(field, code, rows) of failures, the most frequent first."""
    groups = failures.group_by("field", "code").len().sort("len", "field", descending=[True, False])
    for field, code, rows in groups.iter_rows():
        yield str(field), str(code), int(rows)


def _blank(field: Field, is_blank: pl.Expr, *, inserting: bool) -> Iterable[ValueCheck]:
    if inserting and field.required_on_create and field.type != "boolean":
        yield ValueCheck("REQUIRED_FIELD_MISSING", is_blank, "is required and blank")
    elif not inserting and not field.nillable:
        is_cleared = pl.col(field.name) == CLEAR
        yield ValueCheck("REQUIRED_FIELD_MISSING", is_cleared, "is required and cannot be emptied")


def _text(field: Field, value: pl.Expr) -> Iterable[ValueCheck]:
    limit = MULTI_SELECT_MAX if field.type == "multipicklist" else field.length
    if field.is_text and limit:
        too_long = value.str.len_chars() > limit
        yield ValueCheck("STRING_TOO_LONG", too_long, f"is longer than {limit:,} characters")
    if field.type == "email":
        no_address = ~value.str.contains(_EMAIL)
        yield ValueCheck("INVALID_EMAIL_ADDRESS", no_address, "is no e-mail address")


def _typed(field: Field, value: pl.Expr) -> Iterable[ValueCheck]:
    if field.is_number:
        yield from _number(field, value)
    elif field.type == "date":
        is_date = value.str.to_date("%Y-%m-%d", strict=False).is_not_null()
        yield ValueCheck("INVALID_DATE", ~is_date, "is no date")
    elif field.type == "datetime":
        yield ValueCheck("INVALID_DATE", ~value.str.contains(_DATETIME), "is no date and time")
    elif field.type == "boolean":
        yield ValueCheck("INVALID_BOOLEAN", ~value.is_in(["true", "false"]), "is no yes or no")
    elif field.type == "reference":
        yield ValueCheck("MALFORMED_ID", ~is_id_expr(value), "is no id")


def _number(field: Field, value: pl.Expr) -> Iterable[ValueCheck]:
    is_number = value.str.contains(_NUMBER)
    yield ValueCheck("INVALID_NUMBER", ~is_number, "is no number")
    whole = value.str.extract(r"^-?0*(\d*)", 1).str.len_bytes()
    if field.type in ("int", "long"):
        size = value.str.extract(r"^-?(\d+)", 1).cast(pl.Int64, strict=False)
        too_large = is_number & (size.is_null() | (size > INT_MAX)) & (field.type == "int")
        yield ValueCheck("NUMBER_OUTSIDE_VALID_RANGE", too_large, f"is beyond {INT_MAX:,}")
    elif field.precision:
        digits = field.precision - field.scale
        too_large = is_number & (whole > digits)
        sentence = f"has more than {digits} digits before the point"
        yield ValueCheck("NUMBER_OUTSIDE_VALID_RANGE", too_large, sentence)


def _choice(field: Field, value: pl.Expr) -> Iterable[ValueCheck]:
    if not field.restricted_picklist or not field.picklist_values:
        return
    allowed = sorted(field.active_values)
    if field.type == "multipicklist":
        entries = value.str.split(";").list.eval(pl.element().str.strip_chars())
        is_known = entries.list.eval(pl.element().is_in([*allowed, ""])).list.all()
    else:
        is_known = value.is_in(allowed)
    yield ValueCheck(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ~is_known, "is not in the restricted picklist"
    )


def _failures(frame: pl.DataFrame, field: Field, check: ValueCheck) -> pl.DataFrame:
    value = pl.col(field.name).str.slice(0, SHOWN_MAX)
    shown = pl.when(pl.col(field.name).is_null() | (pl.col(field.name) == CLEAR))
    said = shown.then(pl.lit("")).otherwise(pl.concat_str(pl.lit(" '"), value, pl.lit("'")))
    return (
        frame.select(
            row=pl.int_range(pl.len(), dtype=pl.UInt32),
            field=pl.lit(field.name),
            code=pl.lit(check.code),
            message=pl.concat_str(pl.lit(field.name), said, pl.lit(f" {check.sentence}.")),
            wrong=check.is_wrong.fill_null(value=False),
        )
        .filter("wrong")
        .drop("wrong")
    )
