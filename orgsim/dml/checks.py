"""Checks of a row that need no other row: writeable, required, length, picklists."""

from __future__ import annotations

import polars as pl

from orgsim.dml.intake import not_writeable
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.model import Field

_TEXTS = frozenset({"string", "picklist", "combobox", "textarea", "phone", "email", "url",
                    "encryptedstring"})  # fmt: skip
AUDIT_FIELDS = frozenset({"CreatedById", "CreatedDate", "LastModifiedById", "LastModifiedDate"})


def check_limits(staged: Staged) -> None:
    """Planted row faults, and STORAGE_LIMIT_EXCEEDED for rows that no longer fit."""
    save, rows = staged.save, staged.frame[ROW].to_list()
    if save.faults is not None:
        operation = "insert" if staged.inserting else "update"
        for at, refusal in save.faults(staged.sobject.name, operation, len(rows)).items():
            staged.refusals.add(rows[at], refusal)
    if staged.inserting and save.rows_left is not None and staged.sobject.createable:
        over = rows[max(0, save.rows_left()) :] if rows else []
        staged.refusals.all(over, Refusal("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded"))


def check_writeable(staged: Staged) -> None:
    """Refuses rows that name a field which may not be written."""
    visible = staged.save.schema.sobject(staged.sobject.name) or staged.sobject
    for name in sorted(staged.given):
        field = visible.field(name) or staged.sobject.fields[name]
        if _writeable(field, staged):
            continue
        value = pl.col(name)
        named = value.is_not_null() if staged.inserting else staged.given_expr(name)
        if name == "Id":
            continue
        staged.refuse_where(named, not_writeable([name]))


def _writeable(field: Field, staged: Staged) -> bool:
    if field.name in AUDIT_FIELDS and "CreateAuditFields" in staged.save.permissions:
        return staged.inserting
    return field.createable if staged.inserting else field.updateable


def check_required(staged: Staged) -> None:
    """REQUIRED_FIELD_MISSING, one refusal a row that lists all missing fields."""
    wanted = [one for one in staged.sobject.stored_fields if is_required(one)]
    if not staged.inserting:
        wanted = [one for one in wanted if one.name in staged.frame.columns]
    missing = [
        pl.when(_value(staged, one).is_null()).then(pl.lit(one.name)).alias(one.name)
        for one in wanted
    ]
    if not missing:
        return
    lists = staged.frame.select(ROW, pl.concat_list(missing).list.drop_nulls().alias("missing"))
    bad = lists.filter(pl.col("missing").list.len() > 0)
    for row, names in bad.iter_rows():
        message = f"Required fields are missing: [{', '.join(names)}]"
        staged.refusals.add(row, Refusal("REQUIRED_FIELD_MISSING", message, tuple(names)))


def is_required(field: Field) -> bool:
    """Whether a row cannot be without it: not nillable, and nothing fills it in."""
    if field.nillable or field.type in ("boolean", "id", "base64") or field.auto_number:
        return False
    return field.createable or field.updateable


def _value(staged: Staged, field: Field) -> pl.Expr:
    return pl.col(field.name) if staged.has(field.name) else pl.lit(None, dtype=pl.String)


def check_lengths(staged: Staged) -> None:
    """STRING_TOO_LONG for texts with more characters than the field holds."""
    for field in staged.writing():
        if field.type not in _TEXTS or not field.length:
            continue
        column = staged.frame[field.name]
        # Bytes are counted faster than characters and are never fewer.
        if not (column.str.len_bytes() > field.length).any():
            continue
        long = staged.frame.filter(pl.col(field.name).str.len_chars() > field.length)
        for row, text in long.select(ROW, field.name).iter_rows():
            message = f"{field.label}: data value too large: {text} (max length={field.length})"
            staged.refusals.add(row, Refusal("STRING_TOO_LONG", message, (field.name,)))


def check_picklists(staged: Staged) -> None:
    """INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST; puts multi-select values in the list's order."""
    for field in staged.writing():
        if field.type == "multipicklist":
            _check_many(staged, field)
        elif field.type == "picklist" and (field.restricted_picklist or field.record_type_values):
            _check_one(staged, field)


def _check_one(staged: Staged, field: Field) -> None:
    allowed = {one.value.lower(): one.value for one in field.picklist_values if one.active}
    distinct = staged.frame[field.name].drop_nulls().unique().to_list()
    bad = [value for value in distinct if value.lower() not in allowed]
    mended = {v: allowed[v.lower()] for v in distinct if v not in bad and allowed[v.lower()] != v}
    if bad and field.restricted_picklist:
        _refuse_values(staged, field, bad)
    if mended:
        staged.frame = staged.frame.with_columns(pl.col(field.name).replace(mended))
    if field.record_type_values and staged.has("RecordTypeId"):
        _check_by_record_type(staged, field)


def _check_by_record_type(staged: Staged, field: Field) -> None:
    for record_type in staged.sobject.record_types:
        values = field.record_type_values.get(record_type.developer_name)
        if values is None:
            continue
        of_type = pl.col("RecordTypeId") == record_type.record_type_id
        outside = of_type & pl.col(field.name).is_not_null() & ~pl.col(field.name).is_in(values)
        for row, value in staged.frame.filter(outside).select(ROW, field.name).iter_rows():
            staged.refusals.add(row, _bad_value(field, value))


def _check_many(staged: Staged, field: Field) -> None:
    order = {one.value.lower(): (at, one.value) for at, one in enumerate(field.picklist_values)
             if one.active}  # fmt: skip
    mended: dict[str, str] = {}
    for text in staged.frame[field.name].drop_nulls().unique().to_list():
        parts = list(dict.fromkeys(part.strip() for part in text.split(";") if part.strip()))
        unknown = [part for part in parts if part.lower() not in order]
        if unknown and field.restricted_picklist:
            rows = staged.frame.filter(pl.col(field.name) == text)[ROW].to_list()
            staged.refusals.all(rows, _bad_value(field, unknown[0]))
            continue
        known = sorted(order[part.lower()] for part in parts if part.lower() in order)
        mended[text] = ";".join([value for _, value in known] + unknown)
    changed = {old: new for old, new in mended.items() if old != new}
    if changed:
        staged.frame = staged.frame.with_columns(pl.col(field.name).replace(changed))


def _refuse_values(staged: Staged, field: Field, bad: list[str]) -> None:
    found = staged.frame.filter(pl.col(field.name).is_in(bad)).select(ROW, field.name)
    for row, value in found.iter_rows():
        staged.refusals.add(row, _bad_value(field, value))


def _bad_value(field: Field, value: str) -> Refusal:
    return Refusal(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        f"{field.label}: bad value for restricted picklist field: {value}",
        (field.name,),
    )
