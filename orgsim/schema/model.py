"""The metadata of one org, as describe would tell it plus what describe does not tell.

    Schema ──< SObject ──< Field           names are looked up in any letter case
                  ├──< ChildRelationship   derived from the reference fields of the other objects
                  ├──< RecordType
                  └──< rules (validation, duplicates, hooks), kept as the plain mappings of the YAML

A field keeps the wire form (57 keys, in Salesforce's order) in ``attributes``; the properties read
from it. Nothing here touches the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

#: describe types that have no column of their own: they are built from their parts when read.
COMPOUND_TYPES = frozenset({"address", "location", "complexvalue"})


class NameMap(Mapping[str, Item], Generic[Item]):
    """A mapping by API name that keeps order and finds names in any letter case."""

    __slots__ = ("_items", "_lower")

    def __init__(self, items: Iterable[tuple[str, Item]] = ()) -> None:
        self._items = dict(items)
        self._lower = {name.lower(): name for name in self._items}

    def __getitem__(self, name: str) -> Item:
        return self._items[self._lower[name.lower()]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._lower


@dataclass(frozen=True, slots=True)
class PicklistValue:
    """One entry of a picklist; ``valid_for`` is the base64 bitmap over the controlling values."""

    value: str
    label: str
    active: bool = True
    default_value: bool = False
    valid_for: str | None = None


@dataclass(frozen=True, slots=True)
class RollUp:
    """A roll-up summary: ``function`` (count|sum|min|max) of ``field`` over ``child`` rows by
    ``via``."""

    child: str
    via: str
    function: str
    field: str | None = None
    #: A formula over the child row that must be true for it to count.
    where: str | None = None


@dataclass(frozen=True)
class Field:
    """One field. ``attributes`` is its describe entry: exactly 57 keys when it goes over the
    wire."""

    attributes: Mapping[str, Any]
    #: Format of an auto-number, such as ``P-{0000}``.
    display_format: str | None = None
    rollup: RollUp | None = None
    #: What happens to this row when the looked-up row is deleted: ``clear``, ``restrict`` or
    #: ``cascade``.
    delete_constraint: str = "clear"
    #: Name by which the looked-up object calls its list of these rows; None: not queryable as a
    #: subquery.
    child_relationship: str | None = None
    #: True when only field permissions make it visible (fields made through the Tooling API).
    managed_access: bool = False
    #: Durable id of a custom field (prefix 00N), and what the Tooling API was given.
    durable_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    #: Per record type: the picklist values it allows (restricted picklists only).
    record_type_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        return str(self.attributes["name"])

    @cached_property
    def label(self) -> str:
        return str(self.attributes["label"])

    @cached_property
    def type(self) -> str:
        return str(self.attributes["type"])

    @cached_property
    def soap_type(self) -> str:
        return str(self.attributes["soapType"])

    @cached_property
    def length(self) -> int:
        return int(self.attributes["length"])

    @cached_property
    def precision(self) -> int:
        return int(self.attributes["precision"])

    @cached_property
    def scale(self) -> int:
        return int(self.attributes["scale"])

    @cached_property
    def digits(self) -> int:
        return int(self.attributes["digits"])

    @cached_property
    def custom(self) -> bool:
        return bool(self.attributes["custom"])

    @cached_property
    def nillable(self) -> bool:
        return bool(self.attributes["nillable"])

    @cached_property
    def createable(self) -> bool:
        return bool(self.attributes["createable"])

    @cached_property
    def updateable(self) -> bool:
        return bool(self.attributes["updateable"])

    @cached_property
    def defaulted_on_create(self) -> bool:
        return bool(self.attributes["defaultedOnCreate"])

    @cached_property
    def default_value(self) -> object:
        return self.attributes["defaultValue"]

    @cached_property
    def default_value_formula(self) -> str | None:
        value = self.attributes["defaultValueFormula"]
        return None if value is None else str(value)

    @cached_property
    def calculated(self) -> bool:
        return bool(self.attributes["calculated"])

    @cached_property
    def formula(self) -> str | None:
        """The formula text of a formula field; None for every other field, roll-ups included."""
        value = self.attributes["calculatedFormula"]
        return str(value) if self.calculated and value else None

    @cached_property
    def formula_treat_null_number_as_zero(self) -> bool:
        return bool(self.attributes["formulaTreatNullNumberAsZero"])

    @cached_property
    def auto_number(self) -> bool:
        return bool(self.attributes["autoNumber"])

    @cached_property
    def unique(self) -> bool:
        return bool(self.attributes["unique"])

    @cached_property
    def external_id(self) -> bool:
        return bool(self.attributes["externalId"])

    @cached_property
    def id_lookup(self) -> bool:
        return bool(self.attributes["idLookup"])

    @cached_property
    def case_sensitive(self) -> bool:
        return bool(self.attributes["caseSensitive"])

    @cached_property
    def name_field(self) -> bool:
        return bool(self.attributes["nameField"])

    @cached_property
    def restricted_picklist(self) -> bool:
        return bool(self.attributes["restrictedPicklist"])

    @cached_property
    def dependent_picklist(self) -> bool:
        return bool(self.attributes["dependentPicklist"])

    @cached_property
    def controller_name(self) -> str | None:
        value = self.attributes["controllerName"]
        return None if value is None else str(value)

    @cached_property
    def picklist_values(self) -> tuple[PicklistValue, ...]:
        return tuple(
            PicklistValue(
                value=str(entry["value"]),
                label=str(entry.get("label") or entry["value"]),
                active=bool(entry.get("active", True)),
                default_value=bool(entry.get("defaultValue", False)),
                valid_for=entry.get("validFor"),
            )
            for entry in self.attributes["picklistValues"] or ()
        )

    @cached_property
    def reference_to(self) -> tuple[str, ...]:
        return tuple(self.attributes["referenceTo"] or ())

    @cached_property
    def relationship_name(self) -> str | None:
        value = self.attributes["relationshipName"]
        return None if value is None else str(value)

    @cached_property
    def relationship_order(self) -> int | None:
        value = self.attributes["relationshipOrder"]
        return None if value is None else int(value)

    @cached_property
    def master_detail(self) -> bool:
        return self.relationship_order is not None

    @cached_property
    def polymorphic_foreign_key(self) -> bool:
        return bool(self.attributes["polymorphicForeignKey"])

    @cached_property
    def name_pointing(self) -> bool:
        return bool(self.attributes["namePointing"])

    @cached_property
    def filterable(self) -> bool:
        return bool(self.attributes["filterable"])

    @cached_property
    def sortable(self) -> bool:
        return bool(self.attributes["sortable"])

    @cached_property
    def groupable(self) -> bool:
        return bool(self.attributes["groupable"])

    @cached_property
    def aggregatable(self) -> bool:
        return bool(self.attributes["aggregatable"])

    @cached_property
    def permissionable(self) -> bool:
        return bool(self.attributes["permissionable"])

    @cached_property
    def compound_field_name(self) -> str | None:
        value = self.attributes["compoundFieldName"]
        return None if value is None else str(value)

    @cached_property
    def extra_type_info(self) -> str | None:
        value = self.attributes["extraTypeInfo"]
        return None if value is None else str(value)

    @cached_property
    def html_formatted(self) -> bool:
        return bool(self.attributes["htmlFormatted"])

    @cached_property
    def stored(self) -> bool:
        """True when the store has a column for it: neither compound nor formula."""
        return self.type not in COMPOUND_TYPES and self.formula is None


@dataclass(frozen=True, slots=True)
class ChildRelationship:
    """One reference field of another object that points here."""

    child_sobject: str
    field: str
    relationship_name: str | None
    cascade_delete: bool
    restricted_delete: bool


@dataclass(frozen=True, slots=True)
class RecordType:
    """One record type; ``default`` and ``available`` are those of the running user's profile."""

    record_type_id: str
    developer_name: str
    name: str
    active: bool = True
    available: bool = True
    default: bool = False
    master: bool = False
    person: bool = False


@dataclass(frozen=True)
class SObject:
    """One object. ``attributes`` holds the object-level describe keys other than fields and
    children."""

    attributes: Mapping[str, Any]
    fields: NameMap[Field]
    children: tuple[ChildRelationship, ...] = ()
    record_types: tuple[RecordType, ...] = ()
    #: Rule texts as the schema file gives them: lists of mappings under validation_rules,
    #: duplicate_rules, assignment_rules, hooks (see orgsim/schema/yaml_file.py).
    rules: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        return str(self.attributes["name"])

    @cached_property
    def label(self) -> str:
        return str(self.attributes["label"])

    @cached_property
    def key_prefix(self) -> str | None:
        value = self.attributes["keyPrefix"]
        return None if value is None else str(value)

    @cached_property
    def custom(self) -> bool:
        return bool(self.attributes["custom"])

    @cached_property
    def custom_setting(self) -> bool:
        return bool(self.attributes["customSetting"])

    @cached_property
    def createable(self) -> bool:
        return bool(self.attributes["createable"])

    @cached_property
    def updateable(self) -> bool:
        return bool(self.attributes["updateable"])

    @cached_property
    def deletable(self) -> bool:
        return bool(self.attributes["deletable"])

    @cached_property
    def undeletable(self) -> bool:
        return bool(self.attributes["undeletable"])

    @cached_property
    def queryable(self) -> bool:
        return bool(self.attributes["queryable"])

    @cached_property
    def replicateable(self) -> bool:
        return bool(self.attributes["replicateable"])

    @cached_property
    def name_field(self) -> Field | None:
        return next((one for one in self.fields.values() if one.name_field), None)

    @cached_property
    def stored_fields(self) -> tuple[Field, ...]:
        return tuple(one for one in self.fields.values() if one.stored)

    def field(self, name: str) -> Field | None:
        """The field of that API name in any letter case, or None."""
        return self.fields.get(name)

    def relationship(self, name: str) -> Field | None:
        """The reference field with that relationship name in any letter case, or None."""
        return self._by_relationship.get(name)

    def child(self, relationship_name: str) -> ChildRelationship | None:
        """The child relationship of that name in any letter case, or None."""
        return self._by_child.get(relationship_name)

    @cached_property
    def _by_relationship(self) -> NameMap[Field]:
        named = (one for one in self.fields.values() if one.relationship_name)
        return NameMap((str(one.relationship_name), one) for one in named)

    @cached_property
    def _by_child(self) -> NameMap[ChildRelationship]:
        named = (one for one in self.children if one.relationship_name)
        return NameMap((str(one.relationship_name), one) for one in named)


@dataclass(frozen=True)
class Schema:
    """All objects of an org. Immutable: a change of metadata makes a new one."""

    sobjects: NameMap[SObject]
    #: Switches of the org: person_accounts, multi_currency, state_country_picklists,
    #: set_audit_fields …
    features: frozenset[str] = frozenset()
    #: Compiled formulas of this schema, by (object, text); filled by use.
    formulas: dict[tuple[str, str, str], Any] = field(
        default_factory=dict, compare=False, repr=False
    )

    def sobject(self, name: str) -> SObject | None:
        """The object of that API name in any letter case, or None."""
        return self.sobjects.get(name)

    def by_prefix(self, record_id: str) -> SObject | None:
        """The object whose key prefix starts ``record_id``, or None."""
        return self._prefixes.get(record_id[:3])

    @cached_property
    def _prefixes(self) -> dict[str, SObject]:
        found: dict[str, SObject] = {}
        for one in self.sobjects.values():
            if one.key_prefix:
                found.setdefault(one.key_prefix, one)
        return found
