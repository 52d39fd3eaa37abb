"""Checks that what a row points at exists, may be pointed at, and is unique where it must be."""

from __future__ import annotations

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.model import Field, SObject
from orgsim.store.columns import quoted

#: Checked elsewhere, or filled by the platform itself.
_SKIPPED = frozenset({"MasterRecordId"})
#: Trusted when the platform filled them in.
_TRUSTED = frozenset({"OwnerId", "RecordTypeId"})


def check_references(staged: Staged) -> None:
    """MALFORMED_ID for ids of another object, INVALID_CROSS_REFERENCE_KEY for rows that are not
    there."""
    for field in staged.writing():
        if field.type != "reference" or field.name in _SKIPPED:
            continue
        if field.name not in staged.given and (field.name in _TRUSTED or not staged.inserting):
            continue
        values = staged.frame[field.name].drop_nulls().unique()
        if len(values):
            _check_field(staged, field, values)


def _check_field(staged: Staged, field: Field, values: pl.Series) -> None:
    wrong: list[str] = []
    missing: list[str] = []
    by_prefix = values.to_frame("Id").with_columns(prefix=pl.col("Id").str.head(3))
    allowed = {name.lower() for name in field.reference_to}
    for (prefix,), group in by_prefix.group_by("prefix"):
        parent = staged.save.full.by_prefix(str(prefix))
        if parent is None or (allowed and parent.name.lower() not in allowed):
            wrong += group["Id"].to_list()
        else:
            missing += _absent(staged, parent, group["Id"])
    _refuse(staged, field, wrong, malformed=True)
    _refuse(staged, field, missing, malformed=False)


def _absent(staged: Staged, parent: SObject, ids: pl.Series) -> list[str]:
    sql = (
        f"SELECT w.Id FROM wanted w ANTI JOIN (SELECT Id FROM {quoted(parent.name)} "
        "WHERE NOT IsDeleted) p ON p.Id = w.Id"
    )
    with staged.transaction.lent(wanted=pl.DataFrame({"Id": ids})):
        return [row[0] for row in staged.transaction.cursor.execute(sql).fetchall()]


def _refuse(staged: Staged, field: Field, ids: list[str], *, malformed: bool) -> None:
    if not ids:
        return
    bad = staged.frame.filter(pl.col(field.name).is_in(ids)).select(ROW, field.name)
    for row, value in bad.iter_rows():
        staged.refusals.add(row, _malformed(field, value) if malformed else _dangling(field))


def _malformed(field: Field, value: str) -> Refusal:
    message = f"{field.label}: id value of incorrect type: {value}"
    return Refusal("MALFORMED_ID", message, (field.name,))


def _dangling(field: Field) -> Refusal:
    return Refusal("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (field.name,))


def check_unique(staged: Staged) -> None:
    """DUPLICATE_VALUE against stored rows and, the first row winning, inside the call."""
    for field in staged.writing():
        if field.unique and (staged.inserting or field.name in staged.given):
            _check_unique(staged, [field])
    for names in staged.sobject.rules.get("unique_together", ()):
        fields = [staged.sobject.fields[name] for name in names if name in staged.sobject.fields]
        if staged.inserting or staged.given & {one.name for one in fields}:
            staged.ensure(one.name for one in fields)
            _check_unique(staged, fields)


def _check_unique(staged: Staged, fields: list[Field]) -> None:
    names = [one.name for one in fields]
    keys = [_key(one) for one in fields]
    own = pl.col("Id") if staged.has("Id") else pl.lit(None, dtype=pl.String)
    offered = staged.frame.filter(pl.all_horizontal(pl.col(names).is_not_null())).select(
        ROW, own.alias("own"), *(key.alias(f"k{at}") for at, key in enumerate(keys))
    )
    joined = " AND ".join(f"{_stored_key(one)} = c.k{at}" for at, one in enumerate(fields))
    sql = (
        f'SELECT c."@row", min(t.Id) FROM offered c JOIN {quoted(staged.sobject.name)} t '
        f"ON {joined} WHERE NOT t.IsDeleted AND (c.own IS NULL OR t.Id <> c.own) GROUP BY 1"
    )
    with staged.transaction.lent(offered=offered):
        taken = staged.transaction.cursor.execute(sql).fetchall()
    for row, record_id in taken:
        staged.refusals.add(row, _duplicate(names, record_id))
    free = offered.filter(~pl.col(ROW).is_in([row for row, _ in taken]))
    columns = [f"k{at}" for at in range(len(fields))]
    twice = free.filter(
        pl.struct(columns).is_duplicated() & ~pl.struct(columns).is_first_distinct()
    )
    for row in twice[ROW].to_list():
        staged.refusals.add(row, _duplicate(names, None))


def _key(field: Field) -> pl.Expr:
    text = field.type in ("string", "email", "phone", "url") and not field.case_sensitive
    return pl.col(field.name).str.to_lowercase() if text else pl.col(field.name)


def _stored_key(field: Field) -> str:
    text = field.type in ("string", "email", "phone", "url") and not field.case_sensitive
    return f"lower(t.{quoted(field.name)})" if text else f"t.{quoted(field.name)}"


def _duplicate(names: list[str], record_id: str | None) -> Refusal:
    owner = record_id[:15] if record_id else "<unknown>"
    text = f"duplicate value found: {names[0]} duplicates value on record with id: {owner}"
    return Refusal("DUPLICATE_VALUE", text)
