"""Fills in what a caller left out on insert: defaults, owner, record type, currency, checkboxes."""

from __future__ import annotations

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.build import MASTER_RECORD_TYPE
from orgsim.schema.model import Field, RecordType
from orgsim.store.columns import polars_type


def apply_defaults(staged: Staged) -> None:
    """Gives not-named fields their default value; null checkboxes become false."""
    record_type = _record_type_default(staged.sobject.record_types)
    for field in staged.sobject.stored_fields:
        value = _default(staged, field, record_type)
        if value is not None:
            _fill(staged, field, value)
    _checkboxes(staged)


def _default(staged: Staged, field: Field, record_type: str | None) -> object | None:
    if field.name == "OwnerId":
        return staged.save.user_id
    if field.name == "RecordTypeId":
        return record_type
    if field.name == "CurrencyIsoCode" and staged.save.facts.currencies:
        return staged.save.facts.currencies[0]
    return field.default_value if field.type != "id" else None


def _record_type_default(record_types: tuple[RecordType, ...]) -> str | None:
    chosen = next((one for one in record_types if one.default and not one.master), None)
    return chosen.record_type_id if chosen else None


def _fill(staged: Staged, field: Field, value: object) -> None:
    kind = polars_type(field)
    default = pl.lit(str(value) if kind == pl.String() else value).cast(kind)
    if not staged.has(field.name):
        made = default
    else:
        # An owner is never blank: null asks for the default, as with a field that was not named.
        given = staged.given_expr(field.name)
        blank = pl.col(field.name).is_null() if field.name == "OwnerId" else ~given
        made = pl.when(blank).then(default).otherwise(pl.col(field.name))
    staged.frame = staged.frame.with_columns(made.alias(field.name))


def _checkboxes(staged: Staged) -> None:
    boxes = [one.name for one in staged.sobject.stored_fields if one.type == "boolean"]
    staged.ensure(boxes)
    staged.frame = staged.frame.with_columns(pl.col(boxes).fill_null(value=False))


def check_record_types(staged: Staged) -> None:
    """INVALID_CROSS_REFERENCE_KEY for a record type that is inactive, foreign or not the user's."""
    if not staged.has("RecordTypeId") or not staged.sobject.record_types:
        return
    usable = [one.record_type_id for one in staged.sobject.record_types
              if one.active and one.available and not one.master]  # fmt: skip
    master = pl.col("RecordTypeId") == MASTER_RECORD_TYPE
    staged.frame = staged.frame.with_columns(
        pl.when(~master).then(pl.col("RecordTypeId")).alias("RecordTypeId")
    )
    wrong = pl.col("RecordTypeId").is_not_null() & ~pl.col("RecordTypeId").is_in(usable)
    if not staged.inserting:
        wrong = wrong & staged.given_expr("RecordTypeId")
    message = "Record Type ID: this ID value isn't valid for the user: {}"
    for row, value in staged.frame.filter(wrong).select(ROW, "RecordTypeId").iter_rows():
        refusal = Refusal("INVALID_CROSS_REFERENCE_KEY", message.format(value), ("RecordTypeId",))
        staged.refusals.add(row, refusal)


def check_owners(staged: Staged) -> None:
    """Inactive users, and queues that do not serve this object, own nothing."""
    if not staged.has("OwnerId") or "OwnerId" not in staged.given:
        return
    named = staged.frame.filter(staged.given_expr("OwnerId")).select(ROW, "OwnerId")
    owners = named["OwnerId"].drop_nulls().unique()
    if not len(owners):
        return
    with staged.transaction.lent(owners=pl.DataFrame({"Id": owners})):
        inactive = _column(staged, 'SELECT u.Id FROM owners JOIN "User" u USING (Id) '
                                   "WHERE NOT u.IsActive")  # fmt: skip
        queues = "Group" in staged.sobject.fields["OwnerId"].reference_to
        idle = _column(staged, _IDLE_QUEUES, [staged.sobject.name]) if queues else []
    if "UpdateWithInactiveOwner" in staged.save.permissions:
        inactive = []
    for row, owner in named.filter(pl.col("OwnerId").is_in(inactive + idle)).iter_rows():
        staged.refusals.add(row, _refusal(staged, owner, inactive=owner in inactive))


_IDLE_QUEUES = """
SELECT g.Id FROM owners JOIN "Group" g USING (Id)
ANTI JOIN (SELECT QueueId FROM "QueueSobject" WHERE SobjectType = ? AND NOT IsDeleted) q
  ON q.QueueId = g.Id
"""


def _column(staged: Staged, sql: str, parameters: list[str] | None = None) -> list[str]:
    rows = staged.transaction.cursor.execute(sql, parameters or []).fetchall()
    return [str(row[0]) for row in rows]


def _refusal(staged: Staged, owner: str, *, inactive: bool) -> Refusal:
    if inactive:
        entity = staged.sobject.label.lower()
        message = f"operation performed with inactive user [{owner[:15]}] as owner of {entity}"
        return Refusal("INACTIVE_OWNER_OR_USER", message)
    return Refusal("INVALID_OPERATION", "Queue not associated with this SObject type", ("OwnerId",))
