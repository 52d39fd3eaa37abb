"""The claims of a proof, each with its verdict and a sentence that says what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.db.run_reads import UnfilledLine
from core.db.runs import RunRow
from core.domain import unfilled as words
from core.domain.states import FINISHED_RUNS
from core.reports.proof import HARMLESS, Check, CountProof, ObjectProof, Verdict

#: causes that a sentence names; the failures hold all
CAUSES_TOLD = 4


def checks_of(
    run: RunRow,
    objects: Sequence[ObjectProof],
    counts: Sequence[CountProof],
    *,
    resolved: int,
    unfilled: Sequence[UnfilledLine],
) -> tuple[Check, ...]:
    """Every claim of a proof, the plainest first."""
    return tuple(_checks(run, objects, counts, resolved=resolved, unfilled=unfilled))


def _checks(
    run: RunRow,
    objects: Sequence[ObjectProof],
    counts: Sequence[CountProof],
    *,
    resolved: int,
    unfilled: Sequence[UnfilledLine],
) -> Iterable[Check]:
    if run.status not in FINISHED_RUNS:
        said = f"The run is {run.status.value.lower()}: its figures are not final."
        yield Check("The run has ended", Verdict.OPEN, said)
        return
    yield _totals(objects)
    yield _arrived(objects, resolved=resolved)
    if run.mode == "undo":
        return
    if not any(one.is_compared for one in objects):
        yield Check("Every value as sent", Verdict.OPEN, _why_not_compared(run))
        return
    yield _as_sent(objects)
    yield _sums(objects)
    lookups = [line for line in unfilled if line.phase != "finally"]
    yield _lookups(objects, lookups)
    yield from _last_fields([line for line in unfilled if line.phase == "finally"])
    yield _counted(counts)
    yield _kept_promises(objects)
    yield from _moving_source(run)


def _why_not_compared(run: RunRow) -> str:
    if run.mode in ("dry-run", "trial"):
        return f"A {run.mode.replace('-', ' ')} leaves nothing in the target to compare with."
    if not run.options.get("verify", True):
        return "The comparison was switched off at launch."
    return f"Nothing was compared: the run is {run.status.value.lower()}."


def _totals(objects: Sequence[ObjectProof]) -> Check:
    wrong = [one.told for one in objects if not one.adds_up]
    read = sum(one.read for one in objects)
    if wrong:
        said = f"The rows read are not accounted for in {', '.join(wrong)}."
        return Check("Every row is accounted for", Verdict.BROKEN, said)
    said = f"{_rows(read)} read; each is in exactly one of the seven totals."
    return Check("Every row is accounted for", Verdict.PROVEN, said)


def _arrived(objects: Sequence[ObjectProof], *, resolved: int) -> Check:
    title = "Every row arrived"
    behind = sum(one.not_arrived for one in objects)
    if behind and resolved >= behind:
        said = f"{_rows(behind)} did not arrive in this run; all have since, in a retry."
        return Check(title, Verdict.NOTE, said)
    if behind:
        later = f"; {_rows(resolved)} arrived in a retry" if resolved else ""
        where = ", ".join(one.told for one in objects if one.not_arrived)
        said = f"{_rows(behind)} did not arrive as asked ({where}), each for a reason{later}."
        return Check(title, Verdict.BROKEN, said)
    return Check(title, Verdict.PROVEN, "No row was blocked, refused or left unprocessed.")


def _as_sent(objects: Sequence[ObjectProof]) -> Check:
    title = "Every value as sent"
    values, rows = sum(one.values for one in objects), sum(one.rows for one in objects)
    lost = sum(one.lost for one in objects)
    said = f"{values:,} values in {_rows(rows)} were read back and compared"
    if lost:
        where = ", ".join(one.told for one in objects if one.lost)
        return Check(title, Verdict.BROKEN, f"{said}; {lost:,} are lost ({where}).")
    others = sum(one.of_class(kind) for one in objects for kind in HARMLESS)
    if others:
        return Check(title, Verdict.NOTE, f"{said}; none is lost, {others:,} read otherwise.")
    return Check(title, Verdict.PROVEN, f"{said}; all are as sent.")


def _sums(objects: Sequence[ObjectProof]) -> Check:
    title = "Sums of number fields"
    summed = [(one, field) for one in objects for field in one.fields if field.sum_sent is not None]
    if not summed:
        return Check(title, Verdict.PROVEN, "No number field was sent.")
    apart = [(one, field) for one, field in summed if not field.sums_agree]
    if not apart:
        return Check(title, Verdict.PROVEN, f"The sums of {len(summed)} fields agree to the digit.")
    names = ", ".join(f"{one.told}.{field.name}" for one, field in apart)
    is_lost = any(field.lost for _, field in apart)
    said = f"{len(apart)} of {len(summed)} sums differ ({names})"
    reason = "values were lost" if is_lost else "the target or its users changed values since"
    return Check(title, Verdict.BROKEN if is_lost else Verdict.NOTE, f"{said}: {reason}.")


def _lookups(objects: Sequence[ObjectProof], unfilled: Sequence[UnfilledLine]) -> Check:
    title = "Lookups resolved"
    lookups = [field for one in objects for field in one.fields if field.is_lookup]
    resolved = sum(field.resolved for field in lookups)
    blank = sum(one.lookups_left_blank for one in objects)
    held = sum(field.held_back for field in lookups)
    said = f"{resolved:,} lookups point to records of the target"
    if not blank and not held:
        return Check(title, Verdict.PROVEN, f"{said}; none was left blank.")
    why = f" ({_causes(unfilled)})" if unfilled else ""
    said = f"{said}; {blank:,} left blank{why}, {_rows(held)} held back for one."
    return Check(title, Verdict.BROKEN, said)


def _last_fields(unfilled: Sequence[UnfilledLine]) -> Iterable[Check]:
    """Said only where it does not hold: most plans fill in nothing at the end."""
    rows = sum(line.rows for line in unfilled)
    if rows:
        said = f"Not on {_rows(rows)} ({_causes(unfilled)})."
        yield Check("Last fields filled in", Verdict.BROKEN, said)


def _causes(unfilled: Sequence[UnfilledLine]) -> str:
    """The causes that were met most often, each with how often."""
    told = [words.reason(line.where, line.rows, line.message) for line in unfilled[:CAUSES_TOLD]]
    more = sum(line.rows for line in unfilled[CAUSES_TOLD:])
    return "; ".join([*told, f"{more:,} for other causes"] if more else told)


def _counted(counts: Sequence[CountProof]) -> Check:
    title = "Rows in the target"
    if not counts:
        return Check(title, Verdict.OPEN, "The target was not counted before and after.")
    fewer = [one for one in counts if one.beyond < 0]
    more = [one for one in counts if one.beyond > 0]
    if fewer:
        said = ", ".join(f"{one.target} {-one.beyond:,} fewer" for one in fewer)
        return Check(title, Verdict.BROKEN, f"Rows left meanwhile that this run put there: {said}.")
    if more:
        said = ", ".join(f"{one.target} {one.beyond:,} more" for one in more)
        note = f"The target itself, or others, added rows meanwhile: {said}."
        return Check(title, Verdict.NOTE, note)
    said = f"All {len(counts)} objects hold what they held before, and what this run added."
    return Check(title, Verdict.PROVEN, said)


def _kept_promises(objects: Sequence[ObjectProof]) -> Check:
    title = "Done as foreseen"
    apart = [
        f"{one.told} {promise.bucket} {promise.happened:,} of {promise.promised:,}"
        for one in objects
        for promise in one.promises
        if promise.happened != promise.promised
    ]
    if not apart:
        return Check(title, Verdict.PROVEN, "Each bucket came out as it was foreseen.")
    shown = ", ".join(apart[:6]) + (" …" if len(apart) > 6 else "")
    return Check(title, Verdict.NOTE, f"Otherwise than foreseen: {shown}.")


def _moving_source(run: RunRow) -> Iterable[Check]:
    """What happened in the source meanwhile: drift is no loss, but no secret either (rule 1.1)."""
    lines = run.summary.get("objects", {}).values()
    drift = sum(int(line.get("drift", 0)) for line in lines)
    deleted = sum(int(line.get("deleted_in_source", 0)) for line in lines)
    said = []
    if drift:
        said.append(f"{_rows(drift)} changed in the source after reading began; a delta brings it")
    if deleted:
        said.append(f"{_rows(deleted)} left the source since the last run; the copies stay")
    if said:
        yield Check("The source meanwhile", Verdict.NOTE, f"{'. '.join(said)}.")


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
