"""The schemas and rows that ship with the practice org, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orgsim.schema import yaml_file
from orgsim.seeds.northwind import legacy_tables, new_tables
from orgsim.seeds.tables import DataSetError, Table

_HERE = Path(__file__).parent
#: Fields that a trimmed standard object keeps whatever its ``keep`` says: the org itself needs
#: them.
_ALWAYS_KEPT = frozenset({"MasterRecordId"})


@dataclass(frozen=True, slots=True)
class Seed:
    """One shipped org: its names, its schema document (a parsed schema file) and its rows."""

    name: str
    label: str
    document: dict[str, Any]
    tables: Callable[[], Iterator[Table]]


def seed(name: str) -> Seed:
    """Return the shipped org of that name.

    Raises:
        DataSetError: There is none; the message lists those there are.
    """
    found = _SEEDS.get(name)
    if found is None:
        raise DataSetError(f"no seed {name!r}; there are: {', '.join(sorted(_SEEDS))}")
    label, file, tables = found
    return Seed(name, label, trimmed(yaml.safe_load((_HERE / file).read_text("utf-8"))), tables)


def trimmed(given: dict[str, Any]) -> dict[str, Any]:
    """Return a schema document whose ``keep`` lists are spelt out.

    ``keep`` under a standard object names the library fields that stay; the others are taken away,
    which the schema file says with null. The keys org, standard and objects are always there.
    """
    library = yaml_file.library_objects()
    objects: dict[str, Any] = {}
    for name, entry in (given.get("objects") or {}).items():
        kept = entry.get("keep")
        rest = {key: value for key, value in entry.items() if key != "keep"}
        if kept is not None:
            known = (library.get(name) or {}).get("fields") or {}
            gone = dict.fromkeys(set(known) - set(kept) - _ALWAYS_KEPT)
            rest["fields"] = {**gone, **(entry.get("fields") or {})}
        objects[name] = rest
    return {"org": given.get("org") or {}, "standard": given.get("standard"), "objects": objects}


def _no_tables() -> Iterator[Table]:
    return iter(())


_SEEDS: dict[str, tuple[str, str, Callable[[], Iterator[Table]]]] = {
    "northwind-legacy": ("Northwind Legacy", "northwind_legacy.yaml", legacy_tables),
    "northwind-new": ("Northwind New", "northwind_new.yaml", new_tables),
}
