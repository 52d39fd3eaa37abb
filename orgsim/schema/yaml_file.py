"""Reads an org's schema file: small YAML in, a ``Schema`` out.

    org:                        # all optional
      name: Northwind Legacy
      type: Developer Edition   # Organization.OrganizationType
      sandbox: false
      instance: NA42            # Organization.InstanceName; without it PRACTICE, the sign of
                                # practice orgs: one with another passes for a real org
      features: [person_accounts, multi_currency, state_country_picklists, set_audit_fields,
                 contacts_to_multiple_accounts, account_teams, opportunity_teams, quotes,
                 entitlements]
      currencies: {USD: 1, EUR: 0.9}           # first = corporate (multi_currency only)
      countries: {US: {name: United States, states: {CA: California}}}   # state_country_picklists
      users:                    # beside the administrator that every org has
        - {username: ann@x.example, first: Ann, last: Lee, email: ann@x.example, active: true,
           profile: Standard User}
      queues: {Support_Queue: {name: Support, objects: [Case, Lead]}}
    standard: [Account, Contact]     # library objects to have; default: all of
    orgsim/schema/library
    objects:
      Account:                  # an object of the library: what is given here is added or wins
        fields:
          Legacy_Id__c: {type: text, length: 40, external_id: true, unique: true}
          Tier__c: {type: picklist, values: [Gold, Silver], restricted: true, required: true}
          Site: null            # removes a library field
        record_types: {Business: {name: Business, default: true}, Partner: {name: Partner}}
        validation_rules: {Name_Ok: {formula: "LEN(Name) < 2", message: Too short, field: Name}}
        duplicate_rules: {Same_Name: {match: [Name], action: block, message: Use one of these?}}
        assignment_rules: {Web: {where: 'Origin = "Web"', owner: Support_Queue}}
        hooks:                  # see orgsim/dml/hooks.py
          - {on: [insert, update], set: {Name: "UPPER(Name)"}}
      Project__c:               # a custom object
        label: Project
        plural: Projects
        name_field: {label: Project Name, type: text}   # or {type: autonumber, format: "P-{0000}"}
        owner: [User, Group]    # [] for a detail object
        fields:
          Account__c: {type: master_detail, to: Account, relationship: Account__r, children:
          Projects__r} Total__c: {type: currency, rollup: {child: Line__c, via: Project__c,
          function: sum, field: Amount__c}} Score__c: {type: number, precision: 5, scale: 1,
          formula: "Amount__c * 2"}

A field is a word (its type) or a mapping: type · label · length · precision · scale · required ·
unique · external_id · case_sensitive · values · restricted · default · to · relationship · children
· on_delete (clear | restrict | cascade) · reparentable · formula · format · rollup · read_only ·
create_only · help · controller with valid_for · record_type_values · access (managed: only field
permissions show it), and any describe key in Salesforce's own spelling (``idLookup: true``), which
wins.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from orgsim.schema import kinds
from orgsim.schema.model import Field, RollUp

LIBRARY = Path(__file__).parent / "library"

_DIRECT = {
    "label": "label",
    "length": "length",
    "precision": "precision",
    "scale": "scale",
    "unique": "unique",
    "external_id": "externalId",
    "case_sensitive": "caseSensitive",
    "restricted": "restrictedPicklist",
    "relationship": "relationshipName",
    "help": "inlineHelpText",
    "controller": "controllerName",
    "id_lookup": "idLookup",
}
_REST = frozenset({
    "type", "required", "values", "default", "to", "children", "on_delete", "reparentable",
    "formula", "format", "rollup", "read_only", "create_only", "valid_for", "access",
    "record_type_values", "durable_id", "metadata", "blank_as_zero",
})  # fmt: skip


class SchemaFileError(ValueError):
    """The schema file says something we do not understand; the message names the place."""


@cache
def _library() -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for path in sorted(LIBRARY.glob("*.yaml")):
        merged.update(read_yaml(path.read_text(encoding="utf-8")))
    return merged


#: The C loader where libyaml is there: five times as fast. Both are safe loaders.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> Any:
    """YAML of plain values."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 a safe loader, by either name


def library_objects() -> dict[str, Any]:
    """The shipped standard objects as schema-file mappings; a fresh copy."""
    return copy.deepcopy(_library())


def overlay(name: str) -> dict[str, Any]:
    """What a feature adds to library objects, from ``library/overlays``."""
    text = (LIBRARY / "overlays" / f"{name}.yaml").read_text(encoding="utf-8")
    made: dict[str, Any] = read_yaml(text)
    return made


def parse(text: str) -> dict[str, Any]:
    """The schema file as a mapping with the keys org, standard, objects."""
    document = read_yaml(text) or {}
    unknown = set(document) - {"org", "standard", "objects"}
    if unknown:
        raise SchemaFileError(f"unknown keys at the top: {', '.join(sorted(unknown))}")
    return {
        "org": document.get("org") or {},
        "standard": document.get("standard"),
        "objects": document.get("objects") or {},
    }


def field_of(name: str, given: str | Mapping[str, Any]) -> Field:
    """The field that a schema-file entry means.

    Raises:
        SchemaFileError: an unknown type or an unknown option, by name.
    """
    spec: Mapping[str, Any] = {"type": given} if isinstance(given, str) else given
    kind = str(spec.get("type", "string"))
    overrides = _overrides(name, spec, kind)
    if kind.lower() in ("autonumber", "auto_number"):
        kind = "string"
    try:
        attributes = kinds.field_attributes(name, kind, overrides)
    except ValueError as error:
        raise SchemaFileError(str(error)) from error
    rollup = spec.get("rollup")
    return Field(
        attributes=attributes,
        display_format=spec.get("format"),
        rollup=RollUp(**rollup) if rollup else None,
        delete_constraint=_delete_constraint(spec, attributes),
        child_relationship=spec.get("children"),
        managed_access=spec.get("access") == "managed",
        durable_id=spec.get("durable_id"),
        metadata=spec.get("metadata"),
        record_type_values={
            key: tuple(values) for key, values in (spec.get("record_type_values") or {}).items()
        },
    )


def _delete_constraint(spec: Mapping[str, Any], attributes: Mapping[str, Any]) -> str:
    if attributes["relationshipOrder"] is not None:
        return "cascade"
    if "on_delete" in spec:
        return str(spec["on_delete"])
    required_lookup = attributes["type"] == "reference" and not attributes["nillable"]
    return "restrict" if required_lookup and attributes["custom"] else "clear"


def _overrides(name: str, spec: Mapping[str, Any], kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in spec.items():
        if key in _DIRECT:
            made[_DIRECT[key]] = value
        elif key in kinds.BLANK and key != "type":
            made[key] = value
        elif key not in _REST:
            raise SchemaFileError(f"field {name}: unknown option {key!r}")
    made.update(_access(spec))
    made.update(_reference(name, spec, kind))
    made.update(_generated(spec, kind))
    if "values" in spec:
        made["picklistValues"] = [_picklist_entry(entry, spec) for entry in spec["values"] or ()]
    if made.get("controllerName"):
        made["dependentPicklist"] = True
    made.update(_default(spec, made, kind))
    if spec.get("external_id"):
        made.setdefault("idLookup", True)
    return made


def _access(spec: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if spec.get("required"):
        made["nillable"] = False
    if spec.get("read_only"):
        made.update(createable=False, updateable=False)
    if spec.get("create_only"):
        made["updateable"] = False
    return made


def _reference(name: str, spec: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if "to" not in spec:
        return {}
    to = [spec["to"]] if isinstance(spec["to"], str) else list(spec["to"])
    made: dict[str, Any] = {"referenceTo": to}
    if name.endswith("__c") and "relationship" not in spec and "relationshipName" not in spec:
        made["relationshipName"] = name.removesuffix("__c") + "__r"
    if kinds.ALIASES.get(kind.lower(), kind) == "master_detail" and spec.get("reparentable"):
        made["updateable"] = True
    return made


def _generated(spec: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if spec.get("formula"):
        return {
            "calculated": True, "calculatedFormula": spec["formula"], "createable": False,
            "updateable": False, "nillable": True,
            "formulaTreatNullNumberAsZero": bool(spec.get("blank_as_zero", True)),
        } | ({"length": 1300} if kind in ("text", "string") else {})  # fmt: skip
    if spec.get("rollup"):
        return {"calculated": True, "createable": False, "updateable": False}
    if kind.lower() in ("autonumber", "auto_number"):
        return {
            "autoNumber": True, "createable": False, "updateable": False, "nillable": False,
            "defaultedOnCreate": True, "length": 30, "permissionable": True,
        }  # fmt: skip
    return {}


def _picklist_entry(entry: object, spec: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        entry = {"value": str(entry)}
    value = str(entry["value"])
    return {
        "active": bool(entry.get("active", True)),
        "defaultValue": bool(entry.get("default", False)),
        "label": str(entry.get("label", value)),
        "validFor": entry.get("validFor") or _valid_for(value, spec),
        "value": value,
    }


def _valid_for(value: str, spec: Mapping[str, Any]) -> str | None:
    """The bitmap over the controlling values: ``valid_for: {value: [index, …]}`` of the field."""
    indexes = (spec.get("valid_for") or {}).get(value)
    if indexes is None:
        return None
    bits = bytearray(max(3, max(indexes, default=0) // 8 + 1))
    for index in indexes:
        bits[index // 8] |= 128 >> index % 8
    return base64.b64encode(bytes(bits)).decode()


def _default(spec: Mapping[str, Any], made: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if "default" in spec:
        value = spec["default"]
        if isinstance(value, str) and kind in ("checkbox", "boolean"):
            value = value.lower() == "true"
        if isinstance(value, Mapping):  # {formula: …}
            return {"defaultValueFormula": value["formula"], "defaultedOnCreate": True}
        return {"defaultValue": value, "defaultedOnCreate": True}
    chosen = [entry["value"] for entry in made.get("picklistValues", ()) if entry["defaultValue"]]
    if chosen and "defaultValue" not in made:
        return {"defaultValue": chosen[0], "defaultedOnCreate": True}
    return {}
