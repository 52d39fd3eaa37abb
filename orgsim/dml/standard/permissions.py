"""Rows that grant access: field permissions, object permissions, assignments. Source: Object
Reference."""

from __future__ import annotations

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.model import Field

_OBJECT_FLAGS = ["PermissionsCreate", "PermissionsRead", "PermissionsEdit", "PermissionsDelete",
                 "PermissionsViewAllRecords", "PermissionsModifyAllRecords"]  # fmt: skip
#: Objects with field but without object permissions. Source: JET's notes on the picklist.
_NO_OBJECT_ROWS = frozenset({"PricebookEntry", "Task", "Event", "OpportunityLineItem", "OrderItem",
                             "User"})  # fmt: skip


def check_field_permissions(staged: Staged) -> None:
    """The field takes permissions, edit needs read, one row a set and field."""
    staged.ensure(["ParentId", "SobjectType", "Field", "PermissionsRead", "PermissionsEdit"])
    for row, sobject, name, edit in staged.frame.select(
        ROW, "SobjectType", "Field", "PermissionsEdit"
    ).iter_rows():
        refusal = _field_refusal(staged, sobject, name, edit=bool(edit))
        if refusal is not None:
            staged.refusals.add(row, refusal)
    lone = pl.col("PermissionsEdit") & ~pl.col("PermissionsRead")
    text = "Field-level security: edit access needs read access"
    staged.refuse_where(lone, Refusal("FIELD_INTEGRITY_EXCEPTION", text, ("PermissionsEdit",)))
    _refuse_twice(staged, ["ParentId", "Field"])


def _field_refusal(
    staged: Staged, sobject: str | None, name: str | None, *, edit: bool
) -> Refusal | None:
    target = staged.save.full.sobject(sobject or "")
    field: Field | None = target.field((name or "").partition(".")[2]) if target else None
    bad = "bad value for restricted picklist field: {}"
    code = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    if target is None:
        return Refusal(code, f"Sobject Type Name: {bad.format(sobject)}", ("SobjectType",))
    if field is None or not field.permissionable:
        return Refusal(code, f"Field Name: {bad.format(name)}", ("Field",))
    if edit and (field.calculated or field.auto_number):
        text = "Formula and auto-number fields can only be read"
        return Refusal("FIELD_INTEGRITY_EXCEPTION", text, ("PermissionsEdit",))
    return None


def _refuse_twice(staged: Staged, keys: list[str]) -> None:
    if not staged.inserting:
        return
    on = " AND ".join(f'lower(t."{name}") = lower(c."{name}")' for name in keys)
    sql = (
        f'SELECT c."@row", min(t.Id) FROM "@rows" c JOIN "{staged.sobject.name}" t ON {on} '
        "WHERE NOT t.IsDeleted GROUP BY 1"
    )
    with staged.transaction.lent(**{"@rows": staged.frame.select(ROW, *keys)}):
        for row, record_id in staged.transaction.cursor.execute(sql).fetchall():
            place = f"duplicates value on record with id: {record_id[:15]}"
            text = f"duplicate value found: <unknown> {place}"
            staged.refusals.add(row, Refusal("DUPLICATE_VALUE", text))


def drop_unreadable(staged: Staged) -> None:
    """A row that grants nothing vanishes."""
    staged.transaction.cursor.execute(
        'DELETE FROM "FieldPermissions" WHERE NOT PermissionsRead AND NOT PermissionsEdit'
    )


def check_object_permissions(staged: Staged) -> None:
    """The dependencies between the six permissions, and objects that take none."""
    staged.ensure(["ParentId", "SobjectType", *_OBJECT_FLAGS])
    known = [name for name, one in staged.save.full.sobjects.items()
             if name not in _NO_OBJECT_ROWS and (one.custom or one.createable)]  # fmt: skip
    unknown = staged.frame.filter(~pl.col("SobjectType").is_in(known)).select(ROW, "SobjectType")
    for row, name in unknown.iter_rows():
        text = f"Sobject Type Name: bad value for restricted picklist field: {name}"
        staged.refusals.add(
            row, Refusal("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", text, ("SobjectType",))
        )
    create, read, edit, delete, view, modify = (pl.col(name) for name in _OBJECT_FLAGS)
    needs = (((create | edit | view) & ~read) | (delete & ~(read & edit))
             | (modify & ~(read & edit & delete & view)))  # fmt: skip
    text = "Permission depends on permission(s) that are not granted"
    staged.refuse_where(needs, Refusal("FIELD_INTEGRITY_EXCEPTION", text))
    _refuse_twice(staged, ["ParentId", "SobjectType"])


def check_assignments(staged: Staged) -> None:
    """Users are active and get a set once."""
    staged.ensure(["AssigneeId", "PermissionSetId"])
    with staged.transaction.lent(**{"@who": staged.frame.select("AssigneeId").unique()}):
        idle = staged.transaction.cursor.execute(
            'SELECT u.Id FROM "User" u SEMI JOIN "@who" w ON w.AssigneeId = u.Id WHERE '
            "NOT u.IsActive"
        ).fetchall()
    inactive = pl.col("AssigneeId").is_in([row[0] for row in idle])
    refusal = Refusal("INACTIVE_OWNER_OR_USER", "user is inactive")
    staged.refuse_where(inactive, refusal)
    _refuse_twice(staged, ["AssigneeId", "PermissionSetId"])
