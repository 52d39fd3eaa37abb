"""Turns the org's metadata document into a ``Schema``: system fields, features, children, record
types.

The document is the one truth about metadata: ``{"org": …, "objects": {name: mapping}}`` with every
library object already merged in, plain JSON, kept in the store. The Tooling API changes it and
builds again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from orgsim.schema import kinds, yaml_file
from orgsim.schema.model import (
    ChildRelationship,
    Field,
    NameMap,
    RecordType,
    Schema,
    SObject,
)

MASTER_RECORD_TYPE = "012000000000000AAA"

FLAGS: dict[str, Any] = {
    "activateable": False, "associateEntityType": None, "associateParentEntity": None,
    "compactLayoutable": True, "createable": True, "custom": False, "customSetting": False,
    "deepCloneable": False, "defaultImplementation": None, "deletable": True,
    "deprecatedAndHidden": False, "extendedBy": None, "extendsInterfaces": None,
    "feedEnabled": True, "hasSubtypes": False, "implementedBy": None,
    "implementsInterfaces": None, "isInterface": False, "isSubtype": False, "keyPrefix": None,
    "label": "", "labelPlural": "", "layoutable": True, "listviewable": None,
    "lookupLayoutable": None, "mergeable": False, "mruEnabled": True, "name": "",
    "namedLayoutInfos": [], "networkScopeFieldName": None, "queryable": True,
    "replicateable": True, "retrieveable": True, "searchLayoutable": True, "searchable": True,
    "sobjectDescribeOption": "FULL", "triggerable": True, "undeletable": True, "updateable": True,
}  # fmt: skip

#: Rules that live beside the fields; the store room never reads them, dml does.
RULE_KEYS = (
    "validation_rules", "duplicate_rules", "assignment_rules", "hooks", "unique_together",
    "hidden_required", "lookup_filters",
)  # fmt: skip


def document(given: Mapping[str, Any]) -> dict[str, Any]:
    """The full metadata document of a parsed schema file: library objects merged with its own."""
    library = yaml_file.library_objects()
    features = set(given["org"].get("features") or ())
    wanted = given.get("standard")
    objects: dict[str, Any] = {}
    for name, entry in library.items():
        asked = wanted is None or name in wanted or name in _ALWAYS
        if asked and entry.get("needs") in (None, *features):
            objects[name] = entry
    for name, entry in given["objects"].items():
        base = objects.get(name) or copy.deepcopy(library.get(name)) or {}
        # A recorded describe says all there is; only rules and added fields are laid over it.
        objects[name] = dict(entry) if "describe" in (entry or {}) else _merged(base, entry or {})
    made = {"org": dict(given["org"]), "objects": objects}
    _apply_features(made, features)
    return made


#: Without these no org works, whatever the schema file asks for.
_ALWAYS = frozenset({
    "Organization", "User", "UserRole", "Profile", "Group", "GroupMember", "QueueSobject",
    "RecordType", "PermissionSet", "PermissionSetAssignment", "FieldPermissions",
    "ObjectPermissions",
})  # fmt: skip


def schema_of(doc: Mapping[str, Any]) -> Schema:
    """The schema that a document means.

    Raises:
        SchemaFileError: an entry is not understood; the message names it.
    """
    features = frozenset(doc["org"].get("features") or ())
    built = {name: _sobject(name, entry, features) for name, entry in doc["objects"].items()}
    children = _children(built.values())
    return Schema(
        sobjects=NameMap(
            (name, SObject(one.attributes, one.fields, tuple(children.get(name, ())),
                           one.record_types, one.rules))
            for name, one in built.items()
        ),
        features=features,
    )  # fmt: skip


def _merged(base: dict[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """``entry`` laid over ``base``; fields merge by name, None removes one."""
    made = {**base, **{key: value for key, value in entry.items() if key != "fields"}}
    fields = dict(base.get("fields") or {})
    for name, spec in (entry.get("fields") or {}).items():
        if spec is None:
            fields.pop(name, None)
        elif isinstance(spec, Mapping) and isinstance(fields.get(name), Mapping):
            fields[name] = {**fields[name], **spec}
        else:
            fields[name] = spec
    made["fields"] = fields
    return made


def _apply_features(doc: dict[str, Any], features: set[str]) -> None:
    if "person_accounts" in features:
        for name, entry in yaml_file.overlay("person_accounts").items():
            if name in doc["objects"]:
                doc["objects"][name] = _merged(doc["objects"][name], entry)
    if "state_country_picklists" in features:
        for entry in doc["objects"].values():
            _add_codes(entry, doc["org"].get("countries") or {})
    if "multi_currency" in features:
        currencies = list(doc["org"].get("currencies") or {"USD": 1})
        for name, entry in doc["objects"].items():
            if name not in _ALWAYS and name != "CurrencyType" and "describe" not in entry:
                entry["fields"] = {**entry["fields"], "CurrencyIsoCode": _currency(currencies)}


def _currency(currencies: list[str]) -> dict[str, Any]:
    return {
        "type": "picklist",
        "label": "Currency ISO Code",
        "length": 3,
        "restricted": True,
        "values": [
            {"value": code, "default": number == 0} for number, code in enumerate(currencies)
        ],
        "permissionable": False,
    }


def _add_codes(entry: dict[str, Any], countries: Mapping[str, Any]) -> None:
    """Adds ``…StateCode`` and ``…CountryCode`` beside every address part, as the feature does."""
    fields = entry.get("fields") or {}
    made: dict[str, Any] = {}
    states = {code: name for country in countries.values()
              for code, name in (country.get("states") or {}).items()}  # fmt: skip
    for name, spec in fields.items():
        made[name] = spec
        compound = isinstance(spec, Mapping) and spec.get("compoundFieldName")
        lists = {"State": states, "Country": {c: v["name"] for c, v in countries.items()}}
        for part, values in lists.items():
            if compound and name.endswith(part) and name + "Code" not in fields:
                made[name + "Code"] = {
                    "type": "picklist", "label": f"{spec.get('label', name)} Code", "length": 10,
                    "compoundFieldName": compound, "restricted": True,
                    "values": [{"value": c, "label": v} for c, v in values.items()],
                }  # fmt: skip
    entry["fields"] = made


def _sobject(name: str, entry: Mapping[str, Any], features: frozenset[str]) -> SObject:
    if "describe" in entry:
        return _recorded(entry)
    custom = name.endswith(("__c", "__mdt"))
    attributes = {
        **FLAGS,
        **(entry.get("flags") or {}),
        "name": name,
        "label": entry.get("label") or name.removesuffix("__c").replace("_", " "),
        "custom": custom,
        "keyPrefix": entry.get("prefix"),
    }
    attributes["labelPlural"] = entry.get("plural") or attributes["label"] + "s"
    given = dict(entry.get("fields") or {})
    fields = [_system(one, given) for one in _system_head(entry, custom=custom)]
    fields += [yaml_file.field_of(one, spec) for one, spec in given.items() if one not in _SYSTEM]
    record_types = _record_types(entry)
    if record_types and name != "RecordType":
        fields.append(_record_type_field())
    fields.extend(_system(one, given) for one in _system_tail(entry))
    return SObject(
        attributes=attributes,
        fields=NameMap((one.name, one) for one in fields),
        record_types=record_types,
        rules={key: entry[key] for key in RULE_KEYS if entry.get(key)},
    )


def _recorded(entry: Mapping[str, Any]) -> SObject:
    """An object taken over from a recorded describe; its own words are kept as they are."""
    described = entry["describe"]
    attributes = {key: value for key, value in described.items() if key != "fields"}
    constraint = entry.get("constraints") or {}
    fields = [
        Field(attributes=_complete(one), delete_constraint=constraint.get(one["name"], "clear"),
              child_relationship=(entry.get("child_names") or {}).get(one["name"]))
        for one in described["fields"]
    ]  # fmt: skip
    extra = [yaml_file.field_of(n, spec) for n, spec in (entry.get("fields") or {}).items() if spec]
    record_types = tuple(
        RecordType(one["recordTypeId"], one["developerName"], one["name"], one["active"],
                   one["available"], one["defaultRecordTypeMapping"], one["master"])
        for one in described.get("recordTypeInfos") or ()
    )  # fmt: skip
    return SObject(
        attributes={**FLAGS, **attributes},
        fields=NameMap((one.name, one) for one in [*fields, *extra]),
        record_types=record_types,
        rules={key: entry[key] for key in RULE_KEYS if entry.get(key)},
    )


def _complete(described: Mapping[str, Any]) -> dict[str, Any]:
    """An older describe's field filled up to the 57 keys of today."""
    return {**kinds.BLANK, **described}


#: Fields that objects have by themselves; an entry of the schema file changes their attributes.
_SYSTEM = frozenset({
    "Id", "OwnerId", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate",
    "LastModifiedById", "SystemModstamp", "LastViewedDate", "LastReferencedDate",
})  # fmt: skip


def _system(field: Field, given: Mapping[str, Any]) -> Field:
    changed = given.get(field.name)
    if not changed:
        return field
    return replace(field, attributes={**field.attributes, **changed})


def _system_head(entry: Mapping[str, Any], *, custom: bool) -> Iterable[Field]:
    yield yaml_file.field_of("Id", {"type": "id", "label": _id_label(entry)})
    owner = entry.get("owner", ["User"] if custom else [])
    if owner:
        yield yaml_file.field_of("OwnerId", {
            "type": "reference", "label": "Owner ID", "to": owner, "relationshipName": "Owner",
            "nillable": False, "defaultedOnCreate": True, "permissionable": False,
        })  # fmt: skip
    if entry.get("recycled", True):
        yield yaml_file.field_of("IsDeleted", {
            "type": "boolean", "label": "Deleted", "createable": False, "updateable": False,
            "permissionable": False,
        })  # fmt: skip
    if custom:
        given = {"label": "Name", **(entry.get("name_field") or {"type": "text", "length": 80})}
        automatic = str(given.get("type", "")).lower() in ("autonumber", "auto_number")
        usual = {"length": 80, "nameField": True, "idLookup": True, "custom": False}
        if not automatic:
            usual |= {"required": bool(given.get("required", False)), "nillable": True}
        yield yaml_file.field_of("Name", {**usual, **given})


def _id_label(entry: Mapping[str, Any]) -> str:
    return f"{entry['label']} ID" if "label" in entry and "prefix" in entry else "Record ID"


def _record_type_field() -> Field:
    return yaml_file.field_of("RecordTypeId", {
        "type": "reference", "label": "Record Type ID", "to": ["RecordType"],
        "relationshipName": "RecordType", "permissionable": False, "defaultedOnCreate": False,
    })  # fmt: skip


def _system_tail(entry: Mapping[str, Any]) -> Iterable[Field]:
    fixed = {"createable": False, "updateable": False, "permissionable": False}
    stamp = {"type": "datetime", **fixed, "nillable": False, "defaultedOnCreate": True}
    by = {
        "type": "reference",
        "to": ["User"],
        **fixed,
        "nillable": False,
        "defaultedOnCreate": True,
    }
    yield yaml_file.field_of("CreatedDate", {**stamp, "label": "Created Date"})
    yield yaml_file.field_of(
        "CreatedById", {**by, "label": "Created By ID", "relationshipName": "CreatedBy"}
    )
    yield yaml_file.field_of("LastModifiedDate", {**stamp, "label": "Last Modified Date"})
    yield yaml_file.field_of(
        "LastModifiedById",
        {**by, "label": "Last Modified By ID", "relationshipName": "LastModifiedBy"},
    )
    yield yaml_file.field_of("SystemModstamp", {**stamp, "label": "System Modstamp"})
    if entry.get("viewed", "prefix" in entry):
        seen = {"type": "datetime", **fixed}
        yield yaml_file.field_of("LastViewedDate", {**seen, "label": "Last Viewed Date"})
        yield yaml_file.field_of("LastReferencedDate", {**seen, "label": "Last Referenced Date"})


def _record_types(entry: Mapping[str, Any]) -> tuple[RecordType, ...]:
    made = [
        RecordType(
            record_type_id=str(spec.get("id") or ""),
            developer_name=developer_name,
            name=str(spec.get("name") or developer_name),
            active=bool(spec.get("active", True)),
            available=bool(spec.get("available", True)),
            default=bool(spec.get("default", False)),
            person=bool(spec.get("person", False)),
        )
        for developer_name, spec in (entry.get("record_types") or {}).items()
    ]
    if not made:
        return ()
    master_default = not any(one.default for one in made)
    return (*made, RecordType(MASTER_RECORD_TYPE, "Master", "Master", default=master_default,
                              master=True))  # fmt: skip


def _children(sobjects: Iterable[SObject]) -> dict[str, list[ChildRelationship]]:
    found: dict[str, list[ChildRelationship]] = {}
    for one in sobjects:
        for field in one.fields.values():
            for parent in field.reference_to:
                found.setdefault(parent, []).append(
                    ChildRelationship(
                        child_sobject=one.name,
                        field=field.name,
                        relationship_name=field.child_relationship or _custom_children(one, field),
                        cascade_delete=field.delete_constraint == "cascade",
                        restricted_delete=field.delete_constraint == "restrict",
                    )
                )
    return found


def _custom_children(sobject: SObject, field: Field) -> str | None:
    """Custom lookups always have a child name; unless said, the plural label with ``__r``."""
    if not field.custom:
        return None
    plural = str(sobject.attributes["labelPlural"])
    return "".join(char for char in plural if char.isalnum()) + "__r"
