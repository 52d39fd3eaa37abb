"""Where a schema may come from: a YAML file, a recorded describe, or a folder with either."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orgsim.schema import yaml_file
from orgsim.schema.condensed import condensed_document, is_condensed


def given_documents(paths: Sequence[Path]) -> dict[str, Any]:
    """The documents of several paths laid over each other: objects of later ones add or win.

    Raises:
        SchemaFileError: one of them is no schema.
    """
    made = given_document(paths[0] if paths else None)
    for path in paths[1:]:
        over = given_document(path)
        made["org"] = {**made["org"], **over["org"]}
        for name, entry in over["objects"].items():
            base = made["objects"].get(name) or {}
            fields = {**(base.get("fields") or {}), **((entry or {}).get("fields") or {})}
            made["objects"][name] = {**base, **(entry or {}), "fields": fields}
    return made


def given_document(path: Path | None) -> dict[str, Any]:
    """The parsed schema file; None gives the standard library alone.

    A ``.json`` file is one recorded describe or a condensed dump of many; a folder is all describes
    and YAML files in it.

    Raises:
        SchemaFileError: the file is neither.
    """
    if path is None:
        return yaml_file.parse("")
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".json" and is_condensed(path):
        return condensed_document(path)
    if path.suffix == ".json":
        return {"org": {}, "standard": None, "objects": _recorded([path])}
    return yaml_file.parse(path.read_text(encoding="utf-8"))


def _folder(path: Path) -> dict[str, Any]:
    made: dict[str, Any] = {"org": {}, "standard": None, "objects": {}}
    for file in sorted(path.glob("*.y*ml")):
        one = yaml_file.parse(file.read_text(encoding="utf-8"))
        made["org"].update(one["org"])
        made["standard"] = one["standard"] or made["standard"]
        made["objects"].update(one["objects"])
    recorded = _recorded(sorted(path.glob("*.json")))
    made["objects"] = {**made["objects"], **recorded}
    return made


def _recorded(files: list[Path]) -> dict[str, Any]:
    described = [json.loads(one.read_text(encoding="utf-8-sig")) for one in files]
    return recorded_objects([one for one in described if "fields" in one and "name" in one])


def recorded_objects(described: list[dict[str, Any]]) -> dict[str, Any]:
    """Schema-file entries that take recorded describes over word for word.

    What a child does when its parent goes is read from the parents' childRelationships.
    """
    constraints: dict[str, dict[str, str]] = {}
    names: dict[str, dict[str, str]] = {}
    for parent in described:
        for child in parent.get("childRelationships") or ():
            kind = (
                "cascade"
                if child["cascadeDelete"]
                else "restrict"
                if child["restrictedDelete"]
                else ""
            )
            if kind:
                constraints.setdefault(child["childSObject"], {})[child["field"]] = kind
            if child.get("relationshipName"):
                found = names.setdefault(child["childSObject"], {})
                found[child["field"]] = child["relationshipName"]
    return {
        one["name"]: {
            "describe": one,
            "constraints": constraints.get(one["name"], {}),
            "child_names": names.get(one["name"], {}),
        }
        for one in described
    }
