"""Reads a header: which column fills which field, directly or through a parent's key.

Name                    the field Name
Account.Legacy_Id__c    AccountId, found by the parent's Legacy_Id__c
Lead:Who.Email          WhoId of a polymorphic relationship, found among leads
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orgsim.dml.outcomes import UnknownFieldError
from orgsim.schema.model import Field, Schema, SObject


@dataclass(frozen=True, slots=True)
class Binding:
    """One column. ``parent`` and ``parent_key`` are set when the cell holds a parent's key."""

    column: str
    field: Field
    parent: SObject | None = None
    parent_key: Field | None = None

    @property
    def keyed_parent(self) -> tuple[SObject, Field]:
        """The parent and its key field of a column that holds parents' keys.

        Raises:
            LookupError: the column holds values of the field itself.
        """
        if self.parent is None or self.parent_key is None:
            raise LookupError(self.column)
        return self.parent, self.parent_key


def bind(columns: Iterable[str], sobject: SObject, schema: Schema) -> list[Binding]:
    """One binding a column, in order.

    Raises:
        UnknownFieldError: no such field or relationship, or the parent's field is no key.
    """
    made: list[Binding] = []
    for column in columns:
        field = sobject.field(column)
        if field is not None:
            made.append(Binding(column, field))
        else:
            made.append(_through_parent(column, sobject, schema))
    return made


def _through_parent(column: str, sobject: SObject, schema: Schema) -> Binding:
    path, dot, key_name = column.rpartition(".")
    type_name, colon, relationship = path.rpartition(":")
    field = sobject.relationship(relationship) if dot else None
    if field is None:
        raise UnknownFieldError(column, sobject.name)
    named = type_name if colon else field.reference_to[0]
    parent = schema.sobject(named) if named.lower() in map(str.lower, field.reference_to) else None
    key = parent.field(key_name) if parent else None
    if parent is None or key is None or not (key.external_id or key.id_lookup or key.name_field):
        raise UnknownFieldError(column, sobject.name)
    return Binding(column, field, parent, key)
