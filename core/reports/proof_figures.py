"""From what a run stored to its proof.

    steps' totals ──┐
    values compared ┼─▶ per object: identity · rows and fields as sent · sums · lookups · buckets
    rows counted ───┘                └─▶ checks ─▶ verdict

Pure: the same stored figures give the same proof. What was not compared is said to be so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from core.db.run_reads import LookupLine, StepLine, UnfilledLine
from core.db.runs import RunRow
from core.domain.plan import Operation
from core.reports.proof import (
    SEVEN,
    CountProof,
    FieldProof,
    ObjectProof,
    Promise,
    Proof,
    Reader,
)
from core.reports.proof_checks import checks_of

#: bucket → the total in which its rows are counted once they are settled
_BUCKETS = {
    "insert": "inserted",
    "update": "updated",
    "delete": "updated",
    "unchanged": "unchanged",
    "skipped": "skipped",
    "blocked": "blocked",
}
_DELETES = {Operation.DELETE.value, Operation.HARD_DELETE.value}


def proof_of(
    run: RunRow,
    steps: Sequence[StepLine],
    lookups: Iterable[LookupLine],
    *,
    resolved: int = 0,
    unfilled: Sequence[UnfilledLine] = (),
) -> Proof:
    """The proof of a run.

    Args:
        run: with its summary (``proof``, ``rows_before``, ``rows_after``, ``readers``) and buckets.
        steps: all passes over all its objects.
        lookups: rows whose lookups were not resolved.
        resolved: rows that did not arrive in this run and have since, in a retry.
        unfilled: why rows that arrived are without a lookup or their last fields.
    """
    unresolved = {(line.mapping_name, line.field): line for line in lookups}
    objects = tuple(
        _object(name, passes, run, unresolved) for name, passes in _by_mapping(steps).items()
    )
    counts = tuple(_counts(run, objects))
    return Proof(
        run=run.name,
        plan=run.plan_name or "",
        version=run.plan_version,
        mode=run.mode,
        status=run.status.value,
        source=run.source_name or "",
        target=run.target_name or "",
        requested_by=run.requested_by,
        reason=run.reason,
        started_at=run.started_at,
        finished_at=run.finished_at,
        watermark=run.watermark,
        readers=tuple(_readers(run)),
        objects=objects,
        counts=counts,
        checks=checks_of(run, objects, counts, resolved=resolved, unfilled=unfilled),
    )


def _by_mapping(steps: Sequence[StepLine]) -> dict[str, list[StepLine]]:
    found: dict[str, list[StepLine]] = {}
    for step in steps:
        found.setdefault(step.mapping_name, []).append(step)
    return found


def _object(
    name: str,
    passes: Sequence[StepLine],
    run: RunRow,
    unresolved: Mapping[tuple[str, str], LookupLine],
) -> ObjectProof:
    main = next((step for step in passes if step.phase in ("load", "undo")), passes[0])
    compared = run.summary.get("proof", {}).get(name)
    totals = {word: int(getattr(main, word)) for word in SEVEN}
    return ObjectProof(
        name=name,
        source=main.source_object,
        target=main.target_object,
        operation=main.operation,
        read=main.read_rows,
        totals=totals,
        twins=main.twins,
        lookups_left_blank=sum(step.lookups_left_blank for step in passes),
        second_pass=sum(step.second_pass for step in passes),
        is_compared=compared is not None,
        rows=int((compared or {}).get("rows", 0)),
        missing=int((compared or {}).get("missing", 0)),
        fields=tuple(_fields(name, compared or {}, unresolved)),
        promises=tuple(_promises(run.buckets.get(name, {}), totals, main)),
    )


def _fields(
    mapping: str,
    compared: Mapping[str, Any],
    unresolved: Mapping[tuple[str, str], LookupLine],
) -> Iterable[FieldProof]:
    lookups = compared.get("lookups", {})
    sums = compared.get("sums", {})
    asked_for = {field for name, field in unresolved if name == mapping}
    names = {*compared.get("compared", {}), *compared.get("fields", {}), *asked_for}
    for name in sorted(names):
        both = sums.get(name)
        behind = unresolved.get((mapping, name))
        yield FieldProof(
            name=name,
            is_lookup=name in lookups or behind is not None,
            compared=int(compared.get("compared", {}).get(name, 0)),
            resolved=int(lookups.get(name, 0)),
            differences=dict(compared.get("fields", {}).get(name, {})),
            sum_sent=Decimal(both["sent"]) if both else None,
            sum_found=Decimal(both["found"]) if both else None,
            left_blank=behind.left_blank if behind else 0,
            held_back=behind.held_back if behind else 0,
        )


def _promises(
    buckets: Mapping[str, Any], totals: Mapping[str, int], step: StepLine
) -> Iterable[Promise]:
    if step.phase == "undo" or not buckets:
        return
    is_delete = step.operation in _DELETES
    for bucket, total in _BUCKETS.items():
        if bucket == ("update" if is_delete else "delete"):
            continue
        promised = buckets.get(bucket, 0)
        if isinstance(promised, Mapping):
            promised = sum(promised.values())
        if promised or totals[total]:
            yield Promise(bucket, int(promised), totals[total])


def _counts(run: RunRow, objects: Sequence[ObjectProof]) -> Iterable[CountProof]:
    before, after = run.summary.get("rows_before", {}), run.summary.get("rows_after", {})
    for target in sorted({one.target for one in objects}):
        if before.get(target) is None or after.get(target) is None:
            continue
        here = [one for one in objects if one.target == target]
        yield CountProof(
            target=target,
            before=int(before[target]),
            inserted=sum(one.totals["inserted"] for one in here),
            deleted=sum(one.totals["updated"] for one in here if one.operation in _DELETES),
            after=int(after[target]),
        )


def _readers(run: RunRow) -> Iterable[Reader]:
    names = {"source": run.source_name, "target": run.target_name}
    for role, said in run.summary.get("readers", {}).items():
        yield Reader(role, names.get(role) or role, str(said["user"]), said["sees_all"])
