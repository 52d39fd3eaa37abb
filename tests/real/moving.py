"""Loads a real data set into one practice org, moves it to another and compares the stores.

The comparison reads both orgs' rows through their test API and knows nothing of the engine: rows
are joined on the stamped key, lookups are followed on both sides, every field is compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.bootstrap import Orgbridge
from tests.org.engine import Pair, check_identity, connect
from tests.orgs import PROJECT, PracticeOrg, PracticeOrgs

KEY = "Legacy_Id__c"
_KEY_FIELD = {"type": "text", "label": "Legacy Id", "length": 18, "external_id": True,
              "unique": True, "case_sensitive": True}  # fmt: skip
#: fields that every org keeps by itself
_SYSTEM = {
    "Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById",
    "SystemModstamp", "LastActivityDate", "LastViewedDate", "LastReferencedDate", "MasterRecordId",
    KEY,
}  # fmt: skip


@dataclass
class RealSet:
    """A data set in its source org, and an empty target with a key on every object."""

    pair: Pair
    objects: tuple[str, ...]
    loaded: dict[str, Any]

    def plan(self, *, extra: Mapping[str, Mapping[str, Any]] | None = None) -> str:
        """A plan of all objects, keyed by the source's id."""
        entries = [
            {"source": name, "key": {"source": "Id", "target": KEY}, **(extra or {}).get(name, {})}
            for name in self.objects
        ]
        document = {"orgbridge": 1, "name": "real", "source": "legacy", "target": "new"}
        return yaml.safe_dump({**document, "objects": entries}, sort_keys=False)


@dataclass
class Compared:
    """What differs between two stores."""

    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    fields: list[tuple[str, str, Any, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"missing {len(self.missing)} {self.missing[:5]}, extra {len(self.extra)} "
            f"{self.extra[:5]}, doubled {len(self.doubled)}, fields {len(self.fields)} "
            f"{self.fields[:8]}"
        )

    @property
    def is_clean(self) -> bool:
        """Nothing differs."""
        return not (self.missing or self.extra or self.doubled or self.fields)


def loaded_set(
    bridge: Orgbridge,
    practice_org: PracticeOrgs,
    *,
    schema: Path,
    objects: Sequence[str],
    data: Sequence[str],
    home: Path,
) -> RealSet:
    """Loads the data with `python -m orgsim load`, serves both orgs and registers them.

    Args:
        data: the arguments of ``load`` that name the set.
    """
    source_home = home / "source"
    command = [sys.executable, "-m", "orgsim", "load", "--home", str(source_home), "--name", "Old"]
    made = subprocess.run(
        [*command, "--schema", str(schema), *data],
        cwd=PROJECT, check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    source = practice_org(name="Old", home=source_home)
    target_schema = home / "target.yaml"
    target_schema.write_text(_with_key(schema, objects), encoding="utf-8")
    target = practice_org(name="New", schema=target_schema)
    pair = connect(bridge, source, target)
    return RealSet(pair, tuple(objects), json.loads(made.stdout.strip().splitlines()[-1]))


def moved(real: RealSet, *, extra: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Runs the plan of the whole set and checks its totals."""
    document = real.pair.run(real.plan(extra=extra))
    check_identity(document)
    return document


def compare(real: RealSet, *, ignore: Mapping[str, set[str]] | None = None) -> Compared:
    """Both stores row by row, field by field.

    Args:
        ignore: by object, fields that the target's own rules change.
    """
    found = Compared()
    source, target = real.pair.source, real.pair.target
    old_rows = {name: _live(source, name) for name in real.objects}
    new_rows = {name: _live(target, name) for name in real.objects}
    old_of_new = {row["Id"]: row[KEY] for rows in new_rows.values() for row in rows if row.get(KEY)}
    for name in real.objects:
        by_key: dict[str, dict[str, Any]] = {}
        for row in new_rows[name]:
            if row.get(KEY) is None:
                found.extra.append(f"{name} {row['Id']}")
            elif row[KEY] in by_key:
                found.doubled.append(f"{name} {row[KEY]}")
            by_key[row.get(KEY) or row["Id"]] = row
        for row in old_rows[name]:
            copy = by_key.get(row["Id"])
            if copy is None:
                found.missing.append(f"{name} {row['Id']}")
                continue
            left_out = _SYSTEM | (ignore or {}).get(name, set())
            _compare_row(found, name, row, copy, old_of_new=old_of_new, left_out=left_out)
    return found


def _compare_row(
    found: Compared,
    name: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    old_of_new: Mapping[str, str],
    left_out: set[str],
) -> None:
    for column, value in old.items():
        if column in left_out or column not in new:
            continue
        there = new[column]
        there = old_of_new.get(there, there) if isinstance(there, str) else there
        if value != there and column not in ("OwnerId", "RecordTypeId"):
            found.fields.append((f"{name}.{column}", old["Id"], value, new[column]))


def _live(org: PracticeOrg, sobject: str) -> list[dict[str, Any]]:
    return [row for row in org.rows(sobject) if not row.get("IsDeleted")]


def _with_key(schema: Path, objects: Sequence[str]) -> str:
    document = yaml.safe_load(schema.read_text(encoding="utf-8"))
    entries = document.setdefault("objects", {})
    for name in objects:
        entry = entries.setdefault(name, {})
        entry["fields"] = {**(entry.get("fields") or {}), KEY: _KEY_FIELD}
    return yaml.safe_dump(document, sort_keys=False)
