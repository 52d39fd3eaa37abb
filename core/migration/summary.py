"""A run's figures: one line per mapping, one status over all, one identity everywhere (rule
6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.db.run_state import StepRow
from core.domain.states import DONE_STEPS, RunState, StepState

#: read is the sum of the seven that follow it
_SEVEN = ("inserted", "updated", "unchanged", "skipped", "blocked", "failed", "not_processed")
#: what makes a step partial, as people say it
_LEFT = {
    "blocked": ("row", "blocked"),
    "failed": ("row", "failed"),
    "not_processed": ("row", "not processed"),
    "lookups_left_blank": ("lookup", "left blank"),
}
#: phases beside the load, as a run's story names them
PASSES = {"second_pass": "second pass", "finally": "last fields", "undo": "undo"}


def objects_of(steps: Iterable[StepRow]) -> dict[str, dict[str, int]]:
    """Figures by mapping name; the passes after the load add only what they alone count."""
    found: dict[str, dict[str, int]] = {}
    for step in steps:
        line = found.setdefault(step.mapping_name, {})
        if step.phase in ("load", "undo"):
            line["read"] = step.totals["read_rows"]
            line.update({name: step.totals[name] for name in _SEVEN})
            line["twins"] = step.totals["twins"]
            line["drift"] = int(step.cursor.get("drift", 0))
            line["deleted_in_source"] = int(step.cursor.get("deleted", 0))
        if step.phase == "finally":
            line["finally_failed"] = step.totals["failed"] + step.totals["not_processed"]
        for name in ("lookups_left_blank", "second_pass"):
            line[name] = line.get(name, 0) + step.totals[name]
    return found


def status_of(steps: Iterable[StepRow]) -> RunState:
    """Succeeded only when every row is ok."""
    return RunState.PARTIAL if any(map(_left_rows, steps)) else RunState.SUCCEEDED


def step_status(step: StepRow) -> StepState:
    """How a step that is done ended."""
    return StepState.PARTIAL if _left_rows(step) else StepState.SUCCEEDED


def _left_rows(step: StepRow) -> bool:
    return any(step.totals[name] for name in _LEFT)


def left_behind(step: StepRow) -> str:
    """Why a step is partial: ``3 rows blocked, 1,204 lookups left blank``; else nothing."""
    counts = ((step.totals[name], *words) for name, words in _LEFT.items())
    return ", ".join(
        f"{count:,} {noun}{'' if count == 1 else 's'} {how}" for count, noun, how in counts if count
    )


def settled(step: StepRow) -> str:
    """What a load says at its end."""
    left = left_behind(step)
    return f"{step.mapping_name}: every row is settled" + (f"; {left}" if left else "")


def ids_left(mapping: str, field: str, count: int) -> str:
    """Ids of records within a text that this plan does not move."""
    return (
        f"{mapping}: {count:,} ids in the text of {field} lead to no record that was moved; "
        "they stay as they are."
    )


def run_document(row: Any, steps: Iterable[Any]) -> dict[str, Any]:
    """The JSON of `run --json` and `runs show --json`.

    Args:
        row: a RunRow of core.db.runs.
        steps: its step rows as mappings, in loading order.
    """
    lines: dict[str, dict[str, Any]] = {}
    for step in steps:
        line = lines.setdefault(
            step["mapping_name"],
            {
                "as": step["mapping_name"],
                "source": step["source_object"],
                "target": step["target_object"],
            },
        )
        if step["phase"] in ("load", "undo"):
            line["read"] = int(step["read_rows"])
            line.update({name: int(step[name]) for name in _SEVEN})
            if step["status"] not in DONE_STEPS:
                # of a run that stands or still moves: the rest was not processed until now
                line["not_processed"] += line["read"] - sum(line[name] for name in _SEVEN)
        for name in ("lookups_left_blank", "twins", "second_pass"):
            line[name] = line.get(name, 0) + int(step[name])
    summary = row.summary
    # what was meant beside what happened, once the run is over; after a dry run what that foresaw
    for name, figures in summary.get("compared", {}).items():
        if name in lines:
            lines[name]["compared"] = figures
    return {
        "run_id": row.name,
        "status": row.status.value,
        "seconds": summary.get("seconds", 0),
        "api_calls": summary.get("api_calls", {"source": 0, "target": 0}),
        "objects": list(lines.values()),
    }
