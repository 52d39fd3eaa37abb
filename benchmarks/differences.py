"""Field differences of whole orgs: 254 recorded objects against 254, after the describe.

    python -m benchmarks.differences FIXTURES

One side is the recorded org; the other is the same with every third field narrower, every fifth
picklist short of its last value and every seventh field gone.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.domain.describe import Field, Fields, SObject, parse_describe
from core.operations.differences import ObjectPair, compare
from core.operations.field_differences import object_document

RECORDED = Path("A_api_responses") / "rlm_schema" / "260-schema.json"
TIMES = 5


def main() -> None:
    """Prints the table."""
    source = list(_recorded(Path(sys.argv[1]) / RECORDED))
    pairs = [ObjectPair(one, _other(one)) for one in source]
    fields = sum(len(one.fields) for one in source)
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        found = compare(pairs)
        documents = [object_document(one) for one in found]
        taken.append(time.perf_counter() - begun)
    differing = sum(len(one["fields"]) for one in documents)
    sys.stdout.write(
        "| objects | fields | that differ | median s | worst s |\n|---|---|---|---|---|\n"
    )
    figures = f"{statistics.median(taken):.2f} | {max(taken):.2f}"
    sys.stdout.write(f"| {len(pairs)} | {fields:,} | {differing:,} | {figures} |\n")


def _recorded(path: Path) -> Iterator[SObject]:
    for name, told in json.loads(path.read_text(encoding="utf-8"))["objects"].items():
        fields = [_field(one) for one in told["fields"].values()]
        plain = {key: value for key, value in told.items() if key not in ("fields", "fieldCount")}
        yield parse_describe({**plain, "name": name, "fields": fields})


def _field(told: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded field as an org describes it: values with their flags."""
    values = [{"value": one, "active": True, "label": one} for one in told["picklistValues"]]
    return {**told, "picklistValues": values}


def _other(one: SObject) -> SObject:
    kept = {
        name: _changed(field, at)
        for at, (name, field) in enumerate(one.fields.items())
        if at % 7 != 6
    }
    return replace(one, fields=Fields(kept))


def _changed(field: Field, at: int) -> Field:
    if at % 5 == 0 and field.picklist_values:
        return replace(field, picklist_values=field.picklist_values[:-1])
    return replace(field, length=max(field.length // 2, 1)) if at % 3 == 0 else field


if __name__ == "__main__":
    main()
