"""Changes of metadata: custom fields and validation rules come, change and go.

A new field has managed access: nobody sees it, administrators included, until field permissions
grant it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orgsim.dml.formulas import compiled
from orgsim.formula import FormulaError
from orgsim.metadata.rows import durable_id
from orgsim.schema import build
from orgsim.schema.yaml_file import SchemaFileError

if TYPE_CHECKING:
    from orgsim.org import Org

_NAME = re.compile(r"^[A-Za-z](?!.*__.*__)[A-Za-z0-9_]*[A-Za-z0-9]$")
#: Metadata type → (kind of the schema file, keys of the metadata that it takes over).
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Text": ("text", ("length",)), "TextArea": ("textarea", ()), "Checkbox": ("checkbox", ()),
    "LongTextArea": ("long_textarea", ("length",)), "Html": ("html", ("length",)),
    "Number": ("number", ("precision", "scale")), "Date": ("date", ()), "Time": ("time", ()),
    "Currency": ("currency", ("precision", "scale")), "DateTime": ("datetime", ()),
    "Percent": ("percent", ("precision", "scale")), "Email": ("email", ()),
    "Phone": ("phone", ()), "Url": ("url", ()), "Picklist": ("picklist", ()),
    "MultiselectPicklist": ("multipicklist", ()), "Lookup": ("lookup", ()),
    "MasterDetail": ("master_detail", ()), "AutoNumber": ("autonumber", ()),
    "EncryptedText": ("encryptedstring", ("length",)), "Summary": ("number", ()),
}  # fmt: skip
_NEEDED = {"Text": ("length",), "Number": ("precision", "scale"), "LongTextArea": ("length",),
           "Lookup": ("referenceTo",), "MasterDetail": ("referenceTo",)}  # fmt: skip


class MetadataError(Exception):
    """The change is refused; nothing was changed."""

    def __init__(self, code: str, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.fields = fields


def create_field(org: Org, full_name: str, metadata: Mapping[str, Any]) -> str:
    """Adds a custom field and its column; returns its id."""
    sobject, name = _split(org, full_name)
    if not name.endswith("__c") or not _NAME.match(name.removesuffix("__c")):
        raise MetadataError(
            "FIELD_INTEGRITY_EXCEPTION",
            f"The name {name} is not valid: Enter a name that ends with __c",
        )
    if org.schema.sobjects[sobject].field(name):
        raise MetadataError(
            "DUPLICATE_DEVELOPER_NAME",
            f"There is already a field named {name.removesuffix('__c')} on {sobject}.",
        )
    field_id = durable_id(org, "00N", f"{sobject}.{name}")
    spec = {**field_spec(metadata), "access": "managed", "durable_id": field_id,
            "metadata": dict(metadata)}  # fmt: skip
    document = copy.deepcopy(org.document)
    entry = document["objects"][sobject]
    entry["fields"] = {**(entry.get("fields") or {}), name: spec}
    _put(org, document)
    return field_id


def change_field(org: Org, full_name: str, metadata: Mapping[str, Any]) -> None:
    """Replaces a custom field's metadata as a whole."""
    sobject, name = _split(org, full_name)
    document = copy.deepcopy(org.document)
    fields = document["objects"][sobject].get("fields") or {}
    if name not in fields:
        raise MetadataError(
            "INVALID_CROSS_REFERENCE_KEY", f"no CustomField named {full_name} found"
        )
    old = fields[name] if isinstance(fields[name], dict) else {}
    kept = {key: old[key] for key in ("access", "durable_id") if key in old}
    fields[name] = {**field_spec(metadata), **kept, "metadata": dict(metadata)}
    _put(org, document)


def delete_field(org: Org, full_name: str) -> None:
    """Takes a custom field away, its values and permissions too."""
    sobject, name = _split(org, full_name)
    document = copy.deepcopy(org.document)
    fields = document["objects"][sobject].get("fields") or {}
    if name not in fields:
        raise MetadataError(
            "INVALID_CROSS_REFERENCE_KEY", f"no CustomField named {full_name} found"
        )
    del fields[name]
    with org.store.write() as transaction:
        _put(org, document)
        org.store.drop_column(sobject, name)
        transaction.cursor.execute(
            'DELETE FROM "FieldPermissions" WHERE lower(Field) = lower(?)', [full_name]
        )


def field_spec(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A schema-file entry out of a CustomField's Metadata."""
    kind = str(metadata.get("type") or "")
    if kind not in _KINDS:
        raise MetadataError(
            "FIELD_INTEGRITY_EXCEPTION", f"Field type {kind or 'null'} is not supported", ("type",)
        )
    for key in _NEEDED.get(kind, ()):
        if metadata.get(key) is None and not metadata.get("formula"):
            raise MetadataError(
                "FIELD_INTEGRITY_EXCEPTION",
                f"Must specify '{key}' for a CustomField of type {kind}",
                (key,),
            )
    if kind == "Checkbox" and metadata.get("defaultValue") is None and not metadata.get("formula"):
        raise MetadataError("FIELD_INTEGRITY_EXCEPTION",
                            "Must specify 'defaultValue' for a CustomField of type Checkbox",
                            ("defaultValue",))  # fmt: skip
    word, taken = _KINDS[kind]
    made: dict[str, Any] = {
        "type": word,
        **{key: metadata[key] for key in taken if key in metadata},
    }
    made |= _plain(metadata)
    made |= _values(metadata)
    made |= _reference(metadata)
    if kind == "AutoNumber":
        made["format"] = metadata.get("displayFormat") or "{00000000}"
    if kind == "Summary":
        made["rollup"] = _rollup(metadata)
    return made


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    words = {"label": "label", "externalId": "external_id", "unique": "unique",
             "required": "required", "caseSensitive": "case_sensitive", "inlineHelpText": "help",
             "formula": "formula"}  # fmt: skip
    made = {ours: metadata[theirs] for theirs, ours in words.items() if metadata.get(theirs)}
    default = metadata.get("defaultValue")
    if metadata.get("type") == "Checkbox" and not metadata.get("formula"):
        made["default"] = str(default).lower() == "true"
    elif default is not None:
        made["default"] = {"formula": str(default)}
    return made


def _values(metadata: Mapping[str, Any]) -> dict[str, Any]:
    given = metadata.get("valueSet")
    if not given:
        return {}
    values = (given.get("valueSetDefinition") or {}).get("value") or ()
    made: dict[str, Any] = {"restricted": bool(given.get("restricted", False)), "values": [
        {"value": one.get("fullName") or one.get("valueName"), "label": one.get("label"),
         "default": bool(one.get("default", False))} for one in values
    ]}  # fmt: skip
    return made


def _reference(metadata: Mapping[str, Any]) -> dict[str, Any]:
    if not metadata.get("referenceTo"):
        return {}
    made: dict[str, Any] = {"to": metadata["referenceTo"]}
    if metadata.get("relationshipName"):
        made["children"] = f"{metadata['relationshipName']}__r"
    constraint = str(metadata.get("deleteConstraint") or "")
    if constraint:
        made["on_delete"] = {"SetNull": "clear"}.get(constraint, constraint.lower())
    if metadata.get("reparentableMasterDetail"):
        made["reparentable"] = True
    return made


def _rollup(metadata: Mapping[str, Any]) -> dict[str, Any]:
    child, _, via = str(metadata.get("summaryForeignKey") or "").partition(".")
    summed = str(metadata.get("summarizedField") or "").partition(".")[2]
    return {
        "child": child,
        "via": via,
        "function": str(metadata.get("summaryOperation") or "count"),
        "field": summed or None,
    }


def put_rule(org: Org, full_name: str, metadata: Mapping[str, Any], *, new: bool) -> str:
    """Adds or replaces a validation rule; returns its id."""
    sobject, name = _split(org, full_name)
    document = copy.deepcopy(org.document)
    entry = document["objects"][sobject]
    rules = dict(entry.get("validation_rules") or {})
    if new and name in rules:
        raise MetadataError("DUPLICATE_DEVELOPER_NAME",
                            f"This validation rule name already exists: {name}")  # fmt: skip
    if not new and name not in rules:
        raise MetadataError(
            "INVALID_CROSS_REFERENCE_KEY", f"no ValidationRule named {full_name} found"
        )
    formula = str(metadata.get("errorConditionFormula") or "")
    try:
        compiled(formula, org.schema.sobjects[sobject], org.schema)
    except FormulaError as error:
        raise MetadataError("FIELD_INTEGRITY_EXCEPTION", str(error), ("Formula",)) from error
    rules[name] = {
        "formula": formula, "message": str(metadata.get("errorMessage") or ""),
        "field": metadata.get("errorDisplayField"), "active": bool(metadata.get("active", False)),
        "description": metadata.get("description"),
    }  # fmt: skip
    entry["validation_rules"] = rules
    _put(org, document)
    return durable_id(org, "03d", f"{sobject}.{name}")


def delete_rule(org: Org, full_name: str) -> None:
    """Takes a validation rule away."""
    sobject, name = _split(org, full_name)
    document = copy.deepcopy(org.document)
    rules = document["objects"][sobject].get("validation_rules") or {}
    if name not in rules:
        raise MetadataError(
            "INVALID_CROSS_REFERENCE_KEY", f"no ValidationRule named {full_name} found"
        )
    del rules[name]
    _put(org, document)


def _split(org: Org, full_name: str) -> tuple[str, str]:
    sobject, dot, name = full_name.partition(".")
    target = org.schema.sobject(sobject)
    if not dot or target is None:
        raise MetadataError("INVALID_CROSS_REFERENCE_KEY", f"Entity {sobject} cannot be found")
    return target.name, name


def _put(org: Org, document: dict[str, Any]) -> None:
    try:
        build.schema_of(document)
    except (SchemaFileError, TypeError) as error:
        raise MetadataError("FIELD_INTEGRITY_EXCEPTION", str(error)) from error
    org.change_schema(document)
