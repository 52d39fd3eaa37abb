"""Schema documents from what other orgs said about themselves: describes, whole or condensed.

A recorded describe is taken over word for word. A condensed dump (a few attributes a field, as
tools keep them) is filled up by the rules of the schema file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orgsim.schema import yaml_file
from orgsim.schema.yaml_file import SchemaFileError

#: The org makes these itself for every object.
_SYSTEM = frozenset({
    "Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById",
    "SystemModstamp", "LastViewedDate", "LastReferencedDate",
})  # fmt: skip
_FLAGS = ("createable", "updateable", "deletable", "queryable")
_SIZED = {"string", "picklist", "combobox", "textarea", "url", "multipicklist"}
_LONG_TEXT_FROM = 256


def condensed_document(path: Path) -> dict[str, Any]:
    """Return a schema document from a condensed dump: ``{"objects": {name: {"fields": {…}}}}``.

    Raises:
        SchemaFileError: The file is no such dump.
    """
    document = _json(path)
    found = document.get("objects")
    if not isinstance(found, Mapping):
        raise SchemaFileError(f"{path.name}: no mapping of objects")
    library = yaml_file.library_objects()
    objects = {str(name): _condensed(one, library.get(name)) for name, one in found.items()}
    return {"org": {}, "standard": [], "objects": objects}


def _condensed(one: Mapping[str, Any], base: Mapping[str, Any] | None) -> dict[str, Any]:
    fields = {name: spec for name, spec in one["fields"].items() if name not in _SYSTEM}
    owner = fields.pop("OwnerId", None)
    known = (base or {}).get("fields") or {}
    made: dict[str, Any] = {
        "label": one.get("label") or one["name"],
        "prefix": one.get("keyPrefix"),
        "flags": {flag: one[flag] for flag in _FLAGS if flag in one},
        "owner": list(owner["referenceTo"]) if owner else [],
        # Fields of our library that this org does not have.
        "fields": dict.fromkeys(set(known) - set(fields)),
    }
    for name, spec in fields.items():
        made["fields"][name] = {**_usual(known.get(name)), **_field(name, spec)}
    return made


def _usual(known: Any) -> dict[str, Any]:
    """Return what our library knows beyond the condensed attributes."""
    kept = ("compoundFieldName", "nameField", "idLookup", "defaultedOnCreate", "children",
            "on_delete", "extraTypeInfo", "defaultValue")  # fmt: skip
    return {key: known[key] for key in kept if isinstance(known, Mapping) and key in known}


def _field(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(spec["type"])
    made: dict[str, Any] = {"type": kind, "label": spec["label"]}
    for flag in ("createable", "updateable", "nillable"):
        made[flag] = spec[flag]
    if kind == "textarea" and spec["length"] >= _LONG_TEXT_FROM:
        made["type"] = "long_textarea"
    if kind in _SIZED and spec["length"]:
        made["length"] = spec["length"]
    if spec["precision"]:
        made |= {"precision": spec["precision"], "scale": spec["scale"]}
    if spec["referenceTo"]:
        made |= {"to": list(spec["referenceTo"]), "relationshipName": spec["relationshipName"]}
    if spec["picklistValues"]:
        made["values"] = list(spec["picklistValues"])
    if not spec["nillable"] and kind == "boolean":
        made["defaultedOnCreate"] = True
    if name == "Name":
        made["nameField"] = True
    if name == "CurrencyIsoCode":
        # The dump does not say that the user's currency fills it; every org does it.
        first = next(iter(spec["picklistValues"]), "USD")
        made |= {"defaultedOnCreate": True, "defaultValue": first}
    return made


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as problem:
        raise SchemaFileError(f"{path.name}: {problem}") from problem
    if not isinstance(found, dict):
        raise SchemaFileError(f"{path.name}: an object is expected")
    return found


def is_condensed(path: Path) -> bool:
    """Return whether a JSON file is such a dump."""
    return isinstance(_json(path).get("objects"), dict)
