"""Cases from seeds: which objects, rows, operation and faults; the same seed gives the same case.

A case is a story of one or two runs: a first run, what people do between, and the run in which
something breaks. What is judged is the end of the last one.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from benchmarks.campaign.shapes import GRAPHS, KEY, SHAPES
from benchmarks.campaign.strikes import Strike, pick

#: what the run does in which something breaks, and how often it is chosen
OPERATIONS = {
    "insert": 14,
    "upsert": 16,
    "update": 12,
    "delete": 9,
    "hard_delete": 4,
    "keyless insert": 10,
    "second pass": 12,
    "finally": 8,
    "undo": 16,
    "rerun": 14,
    "delta": 10,
}
KEYS = ("stamp", "stamp", "value", "same", "composite")
_BASE_OPERATION = {
    "second pass": ("insert", "upsert"),
    "finally": ("insert", "upsert"),
    "undo": ("insert", "upsert", "update"),
    "rerun": ("upsert",),
    "delta": ("upsert",),
    "keyless insert": ("insert",),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One generated story."""

    seed: int
    #: of OPERATIONS: which run is broken
    kind: str
    #: operation of the plan
    operation: str
    objects: tuple[str, ...]
    #: lookups that the plan moves, per object
    lookups: dict[str, tuple[str, ...]]
    #: rows per object
    rows: dict[str, int]
    #: stamp | value | same | composite | ledger
    key: str
    api: str
    batch: int
    #: share of source rows whose key is in the target before
    there: float
    refused: bool
    twins: bool
    finally_: bool
    on_change: str
    on_missing: str
    blanks: str
    verify: bool
    #: the checks before the run are carried too
    preflight: bool
    strike: Strike

    @property
    def writes_keys(self) -> bool:
        """Rows arrive with a key by which the oracle finds them."""
        return self.key != "ledger"


def case_of(seed: int) -> Case:
    """The case of a seed."""
    dice = random.Random(seed)  # noqa: S311  cases, not secrets
    kind = dice.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
    operation = dice.choice(_BASE_OPERATION.get(kind, (kind,)))
    objects = dice.choice(GRAPHS)
    if kind in ("second pass", "finally"):
        objects = dice.choice([one for one in GRAPHS if any("__c" in name for name in one)])
    custom = all(SHAPES[name].custom for name in objects)
    key = dice.choice(KEYS if custom else KEYS[:-1])
    if kind == "keyless insert" or (kind in ("rerun", "delta", "undo") and dice.random() < 0.3):
        key = "ledger" if operation in ("insert", "upsert") else key
    api = dice.choice(("bulk", "collections", "collections"))
    if key in ("ledger", "composite"):
        api = "bulk"
    lookups = {name: _lookups(dice, name, objects, kind) for name in objects}
    strike = pick(dice, kind=kind, api=api, key=key)
    return Case(
        seed=seed,
        kind=kind,
        operation=operation,
        objects=objects,
        lookups=lookups,
        rows={name: dice.randrange(2, 11 if len(objects) < 2 else 7) for name in objects},
        key=key,
        api=api,
        batch=dice.choice((2, 3, 5, 20)),
        there=_there(dice, kind, operation, key),
        refused=custom and kind not in ("delete", "hard_delete") and dice.random() < 0.2,
        twins=key == "ledger" and kind in ("keyless insert", "undo") and dice.random() < 0.5,
        finally_=kind == "finally" or (custom and operation != "delete" and dice.random() < 0.15),
        on_change=dice.choice(("report", "report", "keep", "overwrite")),
        on_missing=dice.choice(("report", "recreate", "skip")),
        blanks=dice.choice(("default", "default", "clear", "keep")),
        verify=dice.random() < 0.2,
        preflight=dice.random() < 0.1,
        strike=strike,
    )


def _lookups(
    dice: random.Random, name: str, objects: tuple[str, ...], kind: str
) -> tuple[str, ...]:
    chosen = []
    for one in SHAPES[name].lookups:
        inside = any(parent in objects for parent in one.to)
        if inside and (one.required or kind == "second pass" or dice.random() < 0.75):
            chosen.append(one.field)
    return tuple(chosen)


def _there(dice: random.Random, kind: str, operation: str, key: str) -> float:
    if key == "ledger" or kind in ("rerun", "delta"):
        return 0.0
    if operation in ("update", "delete", "hard_delete"):
        return dice.choice((0.7, 1.0))
    return dice.choice((0.0, 0.3)) if operation == "insert" else dice.choice((0.0, 0.5, 1.0))


def plan_text(case: Case) -> str:
    """The plan of a case; a plan file is YAML, and JSON is YAML."""
    objects = [_mapping(case, name) for name in case.objects]
    return json.dumps(
        {
            "orgbridge": 1,
            "name": f"case-{case.seed}",
            "source": "legacy",
            "target": "new",
            "objects": objects,
        }
    )


def _mapping(case: Case, name: str) -> dict[str, Any]:
    shape = SHAPES[name]
    made: dict[str, Any] = {
        "source": name,
        "operation": case.operation,
        "key": _key(case),
        "load": {"api": case.api, "batch": case.batch},
        "on_target_change": case.on_change,
        "on_target_missing": case.on_missing,
        "blanks": case.blanks,
    }
    skip = [one.field for one in shape.lookups if one.field not in case.lookups[name]]
    skip += ["Stamped__c"] if shape.custom else []
    skip += [KEY] if case.key in ("ledger", "composite") else []
    if not case.operation.endswith("delete"):
        made["skip"] = skip
        optional = [f for f in case.lookups[name] if not shape.lookup(f).required]
        made["lookups"] = {field: {"missing": "blank"} for field in optional}
        if case.finally_ and shape.custom:
            made["finally"] = {"State__c": "Active"}
    return made


def _key(case: Case) -> Any:
    return {
        "stamp": {"source": "Id", "target": KEY},
        "value": {"source": ["Id"], "target": [KEY], "value": "'EU-' || Id"},
        "same": KEY,
        "composite": ["Region__c", "Code__c"],
        "ledger": "ledger",
    }[case.key]
