"""What a run meant to do with each mapping's rows beside what happened to them.

expected  the last dry run of the same plan version, if there was one
planned   the buckets of this run, counted before anything was sent
happened  the totals
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.db.run_state import StepRow

_HAPPENED = (
    "inserted",
    "updated",
    "unchanged",
    "skipped",
    "blocked",
    "failed",
    "not_processed",
)
_PLANNED = ("insert", "update", "delete", "unchanged", "skipped")


def compared(
    steps: Iterable[StepRow],
    buckets: Mapping[str, Any],
    expected: tuple[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Figures by mapping.

    Args:
        buckets: of this run, by mapping.
        expected: name and buckets of the dry run before.
    """
    found: dict[str, dict[str, Any]] = {}
    for step in steps:
        if step.phase != "load":
            continue
        name = step.mapping_name
        line: dict[str, Any] = {
            "planned": _plain(buckets.get(name, {})),
            "happened": {word: step.totals[word] for word in _HAPPENED},
        }
        if expected is not None and name in expected[1]:
            line["expected"] = _plain(expected[1][name])
            line["expected_by"] = expected[0]
        found[name] = line
    return found


def _plain(document: Mapping[str, Any]) -> dict[str, int]:
    blocked = sum(document.get("blocked", {}).values())
    return {**{word: int(document.get(word, 0)) for word in _PLANNED}, "blocked": blocked}
