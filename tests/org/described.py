"""Comparing a described sobject with a recorded describe, key by key, into lines of difference.

What is left out on purpose: keys that the recording does not have (older API versions, caches that
drop nulls), custom fields of the recorded org, ids and host names of the recorded org, and child
relationships of objects that the practice org does not have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_LISTS = frozenset({"fields", "childRelationships", "recordTypeInfos", "urls"})


def recorded_describes(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the describe of each recorded standard sobject below ``folder``."""
    for path in sorted(folder.rglob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(found, dict) or not isinstance(found.get("fields"), list):
            continue
        if "childRelationships" in found and not str(found["name"]).endswith("__c"):
            yield f"{path.parent.name}/{found['name']}", found


def differences(recorded: Mapping[str, Any], ours: Mapping[str, Any], known: set[str]) -> set[str]:
    """Return one line a difference; ``known`` are the sobjects of the practice org."""
    name = recorded["name"]
    found = {f"{name}: {key}" for key in _differing(recorded, ours) if key not in _LISTS}
    found |= _field_differences(name, recorded, ours)
    found |= _child_differences(name, recorded, ours, known=known)
    missing = set(recorded["urls"]) - set(ours["urls"])
    return found | {f"{name}: urls.{key} missing" for key in missing}


def _field_differences(name: str, recorded: Mapping[str, Any], ours: Mapping[str, Any]) -> set[str]:
    theirs = {field["name"]: field for field in recorded["fields"] if not field["custom"]}
    mine = {field["name"]: field for field in ours["fields"]}
    found = {f"{name}.{field} missing" for field in set(theirs) - set(mine)}
    found |= {f"{name}.{field} added" for field in set(mine) - set(theirs)}
    for field in set(theirs) & set(mine):
        found |= {f"{name}.{field}: {key}" for key in _differing(theirs[field], mine[field])}
    return found


def _child_differences(
    name: str, recorded: Mapping[str, Any], ours: Mapping[str, Any], *, known: set[str]
) -> set[str]:
    keys = ("relationshipName", "cascadeDelete", "restrictedDelete")
    theirs = {(one["childSObject"], one["field"]): one for one in recorded["childRelationships"]
              if one["childSObject"] in known and not one["field"].endswith("__c")}  # fmt: skip
    mine = {(one["childSObject"], one["field"]): one for one in ours["childRelationships"]}
    found = {f"{name} <- {child}.{field} missing" for child, field in set(theirs) - set(mine)}
    for pair in set(theirs) & set(mine):
        found |= {f"{name} <- {pair[0]}.{pair[1]}: {key}" for key in keys
                  if theirs[pair].get(key) != mine[pair].get(key)}  # fmt: skip
    return found


def _differing(recorded: Mapping[str, Any], ours: Mapping[str, Any]) -> set[str]:
    return {key for key, value in recorded.items() if key not in ours or ours[key] != value}
