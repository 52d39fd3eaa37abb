"""Following dotted field paths from the queried sobject to its parents, one LEFT JOIN a step.

A parent that does not exist leaves nulls, never drops the child: that is how SOQL reads
``WHERE Account.Name = null``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orgsim.schema.model import Field, Schema, SObject
from orgsim.soql import sql
from orgsim.soql.compound import column_sql
from orgsim.soql.errors import at
from orgsim.soql.synthetic import field_of

#: Steps from child to parent. Source: SOQL and SOSL Reference, "Understanding Relationship Query
#: Limitations".
PARENT_STEPS_MAX = 5
#: Parent relationships of one query. Source: the same page.
PARENT_RELATIONSHIPS_MAX = 55
#: What a polymorphic parent shows: the fields of the Name entity that rows of any sobject can have.
NAME_FIELDS = ("Id", "Name", "Type", "FirstName", "LastName", "Email", "Phone", "Title", "Username",
               "Alias", "IsActive", "ProfileId", "UserRoleId", "RecordTypeId")  # fmt: skip

#: The column of the Name entity that tells the row's sobject.
NAME_ENTITY_ALIAS_TYPE = "Type"

_ADVICE = "Please reference your WSDL or the describe call for the appropriate names."


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a path leads: a field of the row that an SQL alias stands for."""

    alias: str
    sobject: SObject | None  # None: the Name entity of a polymorphic lookup
    field: Field
    names: tuple[str, ...]  # the path in the spelling of the schema
    sql: str


@dataclass(frozen=True, slots=True)
class Parent:
    """One joined parent row."""

    alias: str
    sobject: SObject | None
    names: tuple[str, ...]


@dataclass(slots=True)
class Scope:
    """The FROM clause of one query as it grows: its base row and the parents joined so far."""

    text: str
    schema: Schema
    base: SObject
    base_alias: str
    written_alias: str | None
    parents: dict[tuple[str, ...], Parent] = field(default_factory=dict)
    joins: list[str] = field(default_factory=list)
    full: Schema = field(init=False)

    def reach(self, path: tuple[str, ...], position: int) -> Reached:
        """Return the field at the end of ``path``, joining the parents on the way.

        Raises:
            QueryError: INVALID_FIELD for an unknown relationship or column.
        """
        steps = path
        if len(steps) > 1 and steps[0].lower() in self._own_names():
            steps = steps[1:]
        if len(steps) - 1 > PARENT_STEPS_MAX:
            sentence = (
                "The query exceeds the maximum number"
                f" of child-to-parent relationship levels ({PARENT_STEPS_MAX})"
            )
            raise at(self.text, position, code="MALFORMED_QUERY", sentence=sentence)
        at_parent = Parent(self.base_alias, self.base, ())
        for step in steps[:-1]:
            at_parent = self._join(at_parent, step, position)
        return self._field(at_parent, steps[-1], position)

    @property
    def from_sql(self) -> str:
        """The FROM clause."""
        base = f"{sql.name(self.base.name)} AS {self.base_alias}"
        return " ".join([base, *self.joins])

    def _own_names(self) -> set[str]:
        names = {self.base.name.lower()}
        if self.written_alias:
            names.add(self.written_alias.lower())
        # A lookup of the same name wins: Account.Name on Contact, Case.Case__r …
        return {n for n in names if self.base.relationship(n) is None}

    def _field(self, parent: Parent, name: str, position: int) -> Reached:
        if parent.sobject is None:
            found = _name_field(name)
            entity = "Name"
        else:
            found = parent.sobject.field(name)
            entity = parent.sobject.name
        if found is None:
            sentence = (
                f"No such column '{name}' on entity '{entity}'. If you are attempting to use a"
                " custom field, be sure to append the '__c' after the custom field name. " + _ADVICE
            )
            raise at(self.text, position, code="INVALID_FIELD", sentence=sentence)
        names = (*parent.names, found.name)
        if parent.sobject is None:
            column = f"{parent.alias}.{sql.name(found.name)}"
        else:
            column = column_sql(self.full, parent.sobject, found, alias=parent.alias)
        return Reached(parent.alias, parent.sobject, found, names, column)

    def _join(self, at_parent: Parent, step: str, position: int) -> Parent:
        lookup = at_parent.sobject.relationship(step) if at_parent.sobject is not None else None
        if lookup is None:
            sentence = (
                f"Didn't understand relationship '{step}' in field path. If you are attempting to"
                " use a custom relationship, be sure to append the '__r' after the custom"
                " relationship name. " + _ADVICE
            )
            raise at(self.text, position, code="INVALID_FIELD", sentence=sentence)
        names = (*at_parent.names, lookup.relationship_name or step)
        known = self.parents.get(names)
        if known is not None:
            return known
        if len(self.parents) >= PARENT_RELATIONSHIPS_MAX:
            sentence = (
                "The query exceeds the maximum number"
                f" of child-to-parent relationships ({PARENT_RELATIONSHIPS_MAX})"
            )
            raise at(self.text, position, code="MALFORMED_QUERY", sentence=sentence)
        return self._add(names, at_parent.alias, lookup)

    def _add(self, names: tuple[str, ...], alias_before: str, lookup: Field) -> Parent:
        alias = f"{self.base_alias}_p{len(self.parents) + 1}"
        targets = [s for s in map(self.schema.sobject, lookup.reference_to) if s is not None]
        if len(targets) == 1 and not lookup.polymorphic_foreign_key:
            parent = Parent(alias, targets[0], names)
            source = sql.name(targets[0].name)
        else:
            parent = Parent(alias, None, names)
            source = _name_entity(targets)
        on = f'{alias}."Id" = {alias_before}.{sql.name(lookup.name)}'
        self.joins.append(f"LEFT JOIN {source} AS {alias} ON {on}")
        self.parents[names] = parent
        return parent


def _name_entity(targets: list[SObject]) -> str:
    """Return the rows that a polymorphic lookup can point at, in the columns of the Name entity."""
    selects = [
        f"SELECT {', '.join(_name_column(target, wanted) for wanted in NAME_FIELDS)}"
        f" FROM {sql.name(target.name)}"
        for target in targets
    ]
    return "(" + " UNION ALL ".join(selects or [_no_rows()]) + ")"


def _name_column(target: SObject, wanted: str) -> str:
    if wanted == "Type":
        kind = "CASE WHEN \"Type\" = 'Queue' THEN 'Queue' ELSE 'Group' END"
        value = kind if target.name == "Group" else sql.text(target.name)
        return f'{value} AS "Type"'
    found = target.field(wanted) or (target.name_field if wanted == "Name" else None)
    column = "NULL" if found is None else sql.name(found.name)
    kind = "BOOLEAN" if wanted == "IsActive" else "VARCHAR"
    return f"cast({column} AS {kind}) AS {sql.name(wanted)}"


def _no_rows() -> str:
    columns = ", ".join(f"NULL AS {sql.name(wanted)}" for wanted in NAME_FIELDS)
    return f"SELECT {columns} WHERE false"


def _name_field(name: str) -> Field | None:
    """Return the field of the Name entity, which no describe lists."""
    for wanted in NAME_FIELDS:
        if wanted.lower() == name.lower():
            kind = {"Id": "id", "IsActive": "boolean"}.get(wanted, "string")
            return field_of(wanted, kind)
    return None
