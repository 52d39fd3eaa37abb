"""What one user may see of the schema: profile, permission sets, field permissions.

Fields that came with the schema file are open to everybody; a field with managed access (made
through the Tooling API) is invisible, to administrators too, until a field permission of one of the
user's permission sets (or of the hidden one of the profile) grants it.
"""

from __future__ import annotations

from dataclasses import replace

import duckdb

from orgsim.schema.model import Field, NameMap, Schema, SObject

AUDIT_FIELDS = ("CreatedById", "CreatedDate", "LastModifiedById", "LastModifiedDate")

_SETS = """
SELECT p.Id FROM "PermissionSet" p WHERE NOT p.IsDeleted AND (
  p.ProfileId = (SELECT ProfileId FROM "User" WHERE Id = $1)
  OR p.Id IN (SELECT PermissionSetId FROM "PermissionSetAssignment"
              WHERE AssigneeId = $1 AND NOT IsDeleted))
"""
_GRANTS = f"""
SELECT lower(Field), bool_or(PermissionsRead), bool_or(PermissionsEdit) FROM "FieldPermissions"
WHERE NOT IsDeleted AND ParentId IN ({_SETS}) GROUP BY 1
"""


def permissions(cursor: duckdb.DuckDBPyConnection, user_id: str) -> frozenset[str]:
    """The user permissions, without the prefix ``Permissions``."""
    made: set[str] = set()
    for table, where in (
        ("Profile", 'Id = (SELECT ProfileId FROM "User" WHERE Id = $1)'),
        ("PermissionSet", f"Id IN ({_SETS})"),
    ):
        found = cursor.execute(f'SELECT * FROM "{table}" WHERE {where}', [user_id])
        names = [column[0] for column in found.description or ()]
        for row in found.fetchall():
            made |= {
                name.removeprefix("Permissions")
                for name, value in zip(names, row, strict=True)
                if name.startswith("Permissions") and value
            }
    return frozenset(made)


def view(schema: Schema, cursor: duckdb.DuckDBPyConnection, user_id: str) -> Schema:
    """The schema without the fields the user may not see; the same object when nothing differs."""
    grants = {name: (read, edit) for name, read, edit in
              cursor.execute(_GRANTS, [user_id]).fetchall()}  # fmt: skip
    audit = "CreateAuditFields" in permissions(cursor, user_id)
    changed = {
        name: _seen(sobject, grants, audit=audit)
        for name, sobject in schema.sobjects.items()
        if audit or any(one.managed_access for one in sobject.fields.values())
    }
    if not changed:
        return schema
    return replace(
        schema,
        sobjects=NameMap((name, changed.get(name, one)) for name, one in schema.sobjects.items()),
    )


def _seen(sobject: SObject, grants: dict[str, tuple[bool, bool]], *, audit: bool) -> SObject:
    fields: list[Field] = []
    for one in sobject.fields.values():
        if one.managed_access:
            read, edit = grants.get(f"{sobject.name}.{one.name}".lower(), (False, False))
            if not read:
                continue
            fields.append(one if edit else _read_only(one))
        elif audit and one.name in AUDIT_FIELDS:
            fields.append(replace(one, attributes={**one.attributes, "createable": True}))
        else:
            fields.append(one)
    return replace(sobject, fields=NameMap((one.name, one) for one in fields))


def _read_only(field: Field) -> Field:
    return replace(field, attributes={**field.attributes, "createable": False, "updateable": False})
