"""What an org says of an object: fields, record types, children, as frozen facts.

``parse_describe`` reads the JSON of ``/sobjects/X/describe``. Attributes that a cache or an older
API version left out take the platform's own default (false, zero, null). Field names are looked up
without regard to case, as the platform does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from core.domain.names import meant
from core.errors import UserError

#: describe types whose values are text on the wire and have a length
TEXT_TYPES = frozenset(
    {
        "string",
        "textarea",
        "phone",
        "email",
        "url",
        "picklist",
        "multipicklist",
        "combobox",
        "encryptedstring",
    }
)
NUMBER_TYPES = frozenset({"double", "currency", "percent", "int", "long"})
#: compound parents: readable, never written; their parts are fields of their own
COMPOUND_TYPES = frozenset({"address", "location"})


@dataclass(frozen=True, slots=True)
class PicklistValue:
    """One entry of a picklist."""

    value: str
    label: str = ""
    active: bool = True
    default: bool = False
    #: base64 bitmap over the controlling field's entries, for dependent picklists
    valid_for: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field as the describe gives it to the connected user."""

    name: str
    type: str
    label: str = ""
    soap_type: str = "xsd:string"
    #: characters, for text
    length: int = 0
    byte_length: int = 0
    #: digits in all and after the point, for doubles, currencies and percents
    precision: int = 0
    scale: int = 0
    #: digits, for int
    digits: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    defaulted_on_create: bool = False
    calculated: bool = False
    calculated_formula: str | None = None
    auto_number: bool = False
    unique: bool = False
    external_id: bool = False
    id_lookup: bool = False
    case_sensitive: bool = False
    name_field: bool = False
    custom: bool = False
    restricted_picklist: bool = False
    dependent_picklist: bool = False
    controller_name: str | None = None
    picklist_values: tuple[PicklistValue, ...] = ()
    reference_to: tuple[str, ...] = ()
    relationship_name: str | None = None
    #: 0 primary, 1 secondary master; None for a plain lookup
    relationship_order: int | None = None
    polymorphic: bool = False
    cascade_delete: bool = False
    restricted_delete: bool = False
    write_requires_master_read: bool = False
    compound_field_name: str | None = None
    extra_type_info: str | None = None
    permissionable: bool = True
    default_value: str | bool | None = None
    html_formatted: bool = False
    encrypted: bool = False
    filterable: bool = True
    sortable: bool = True
    groupable: bool = True
    aggregatable: bool = True
    deprecated_and_hidden: bool = False
    inline_help_text: str | None = None

    @property
    def required_on_create(self) -> bool:
        """An insert without it is refused: createable, not nillable, no default of the org."""
        return self.createable and not self.nillable and not self.defaulted_on_create

    @property
    def is_reference(self) -> bool:
        """A lookup or master-detail (ids of records, not the Id itself)."""
        return self.type == "reference" and bool(self.reference_to)

    @property
    def is_master_detail(self) -> bool:
        """The platform marks master-detail by the order of the relationship."""
        return self.is_reference and self.relationship_order is not None

    @property
    def is_writeable(self) -> bool:
        """Some write may carry it: on insert, on update, or on both."""
        return self.createable or self.updateable

    @property
    def is_text(self) -> bool:
        """Its values are text with a length."""
        return self.type in TEXT_TYPES

    @property
    def is_number(self) -> bool:
        """Its values are numbers."""
        return self.type in NUMBER_TYPES

    @property
    def is_rich_text(self) -> bool:
        """Its text is HTML that the platform rewrites on save."""
        return self.html_formatted or self.extra_type_info == "richtextarea"

    @property
    def active_values(self) -> frozenset[str]:
        """The picklist values one may write."""
        return frozenset(entry.value for entry in self.picklist_values if entry.active)


@dataclass(frozen=True, slots=True)
class ChildRelationship:
    """Another object's lookup to this one."""

    child_sobject: str
    field: str
    relationship_name: str | None = None
    cascade_delete: bool = False
    restricted_delete: bool = False


@dataclass(frozen=True, slots=True)
class RecordType:
    """A record type as the connected user sees it."""

    record_type_id: str
    developer_name: str
    name: str = ""
    active: bool = True
    available: bool = True
    default: bool = False
    master: bool = False


class Fields(Mapping[str, Field]):
    """Fields by API name, looked up without regard to case, in the order of the describe."""

    __slots__ = ("_by_lower", "_names")

    def __init__(self, fields: Mapping[str, Field] | tuple[Field, ...]) -> None:
        entries = fields.values() if isinstance(fields, Mapping) else fields
        self._by_lower = {entry.name.lower(): entry for entry in entries}
        self._names = tuple(entry.name for entry in self._by_lower.values())

    def __getitem__(self, name: str) -> Field:
        return self._by_lower[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_lower

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Fields({len(self._names)})"


@dataclass(frozen=True)
class SObject:
    """One object as described to the connected user."""

    name: str
    fields: Fields
    label: str = ""
    label_plural: str = ""
    key_prefix: str | None = None
    custom: bool = False
    custom_setting: bool = False
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    queryable: bool = True
    undeletable: bool = True
    child_relationships: tuple[ChildRelationship, ...] = ()
    record_types: tuple[RecordType, ...] = field(default=())

    @cached_property
    def by_relationship(self) -> Mapping[str, Field]:
        """Lookup fields by the lower-case name of their relationship (``account`` → AccountId)."""
        return MappingProxyType(
            {
                entry.relationship_name.lower(): entry
                for entry in self.fields.values()
                if entry.relationship_name
            }
        )

    def holds(self, child: str, field_name: str) -> bool:
        """Whether deleting a record takes its children by that lookup along, or is refused for
        their sake; true also where the describe does not name the relationship."""
        known = [
            one
            for one in self.child_relationships
            if (one.child_sobject.lower(), one.field.lower()) == (child.lower(), field_name.lower())
        ]
        return not known or any(one.cascade_delete or one.restricted_delete for one in known)

    def advice(self, missing: str) -> str:
        """What to do where a field of that name was looked for and is not there."""
        names = (entry.name for entry in self.fields.values())
        return (
            f"{meant(missing, names)}Correct the name, or give the connected user access to the "
            "field."
        )

    @cached_property
    def references(self) -> tuple[Field, ...]:
        """All lookups, in the order of the describe."""
        return tuple(entry for entry in self.fields.values() if entry.is_reference)

    @cached_property
    def required_fields(self) -> tuple[Field, ...]:
        """Fields without which an insert is refused."""
        return tuple(entry for entry in self.fields.values() if entry.required_on_create)

    @property
    def is_person_account_enabled(self) -> bool:
        """Account of an org in which accounts may be persons."""
        return "IsPersonAccount" in self.fields


def parse_describe(payload: Mapping[str, Any]) -> SObject:
    """The object of one describe answer.

    Raises:
        UserError: the document has no name or no fields.
    """
    if not isinstance(payload.get("name"), str) or not isinstance(payload.get("fields"), list):
        raise UserError(
            "This is not the describe of an object.",
            next_step="It must be the JSON of /sobjects/NAME/describe with `name` and `fields`.",
        )
    return SObject(
        name=payload["name"],
        fields=Fields(tuple(parse_field(entry) for entry in payload["fields"])),
        label=_text(payload, "label"),
        label_plural=_text(payload, "labelPlural"),
        key_prefix=payload.get("keyPrefix"),
        custom=bool(payload.get("custom", payload["name"].lower().endswith("__c"))),
        custom_setting=bool(payload.get("customSetting", False)),
        createable=bool(payload.get("createable", True)),
        updateable=bool(payload.get("updateable", True)),
        deletable=bool(payload.get("deletable", True)),
        queryable=bool(payload.get("queryable", True)),
        undeletable=bool(payload.get("undeletable", True)),
        child_relationships=tuple(map(_child, payload.get("childRelationships") or ())),
        record_types=tuple(map(_record_type, payload.get("recordTypeInfos") or ())),
    )


def parse_field(entry: Mapping[str, Any]) -> Field:
    """One field of a describe; left-out attributes take the platform's default."""
    facts: dict[str, Any] = {
        **{ours: int(entry.get(theirs) or 0) for ours, theirs in _NUMBERS.items()},
        **{ours: bool(entry.get(theirs, False)) for ours, theirs in _FALSE_FLAGS.items()},
        **{ours: bool(entry.get(theirs, True)) for ours, theirs in _TRUE_FLAGS.items()},
        **{ours: entry.get(theirs) for ours, theirs in _OPTIONAL.items()},
    }
    return Field(
        name=entry["name"],
        type=str(entry.get("type") or "string").lower(),
        label=_text(entry, "label") or entry["name"],
        soap_type=_text(entry, "soapType") or "xsd:string",
        picklist_values=tuple(map(_picklist_value, entry.get("picklistValues") or ())),
        reference_to=tuple(entry.get("referenceTo") or ()),
        **facts,
    )


_NUMBERS = {
    "length": "length",
    "byte_length": "byteLength",
    "precision": "precision",
    "scale": "scale",
    "digits": "digits",
}
_FALSE_FLAGS = {
    "nillable": "nillable",
    "createable": "createable",
    "updateable": "updateable",
    "defaulted_on_create": "defaultedOnCreate",
    "calculated": "calculated",
    "auto_number": "autoNumber",
    "unique": "unique",
    "external_id": "externalId",
    "id_lookup": "idLookup",
    "case_sensitive": "caseSensitive",
    "name_field": "nameField",
    "custom": "custom",
    "restricted_picklist": "restrictedPicklist",
    "dependent_picklist": "dependentPicklist",
    "polymorphic": "polymorphicForeignKey",
    "cascade_delete": "cascadeDelete",
    "restricted_delete": "restrictedDelete",
    "write_requires_master_read": "writeRequiresMasterRead",
    "html_formatted": "htmlFormatted",
    "encrypted": "encrypted",
    "deprecated_and_hidden": "deprecatedAndHidden",
}
_TRUE_FLAGS = {
    "permissionable": "permissionable",
    "filterable": "filterable",
    "sortable": "sortable",
    "groupable": "groupable",
    "aggregatable": "aggregatable",
}
_OPTIONAL = {
    "calculated_formula": "calculatedFormula",
    "controller_name": "controllerName",
    "relationship_name": "relationshipName",
    "relationship_order": "relationshipOrder",
    "compound_field_name": "compoundFieldName",
    "extra_type_info": "extraTypeInfo",
    "default_value": "defaultValue",
    "inline_help_text": "inlineHelpText",
}


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _picklist_value(entry: Mapping[str, Any]) -> PicklistValue:
    value = str(entry.get("value") or "")
    return PicklistValue(
        value=value,
        label=str(entry.get("label") or value),
        active=bool(entry.get("active", True)),
        default=bool(entry.get("defaultValue", False)),
        valid_for=entry.get("validFor"),
    )


def _child(entry: Mapping[str, Any]) -> ChildRelationship:
    return ChildRelationship(
        child_sobject=entry["childSObject"],
        field=entry["field"],
        relationship_name=entry.get("relationshipName"),
        cascade_delete=bool(entry.get("cascadeDelete", False)),
        restricted_delete=bool(entry.get("restrictedDelete", False)),
    )


def _record_type(entry: Mapping[str, Any]) -> RecordType:
    name = str(entry.get("name") or "")
    return RecordType(
        record_type_id=str(entry.get("recordTypeId") or ""),
        developer_name=str(entry.get("developerName") or name),
        name=name,
        active=bool(entry.get("active", True)),
        available=bool(entry.get("available", True)),
        default=bool(entry.get("defaultRecordTypeMapping", False)),
        master=bool(entry.get("master", False)),
    )
