"""A trial: the org itself looks at real rows and takes none (rule 8.1).

Up to 200 rows of each object that needs no other one go in a single all-or-none request whose last
row is poisoned, so that the org must roll back. What it says of the other rows is what it would say
in earnest, up to the moment of rolling back: after-triggers may not have run, and auto-numbers may
be used up.
"""

from __future__ import annotations

from collections import Counter

import polars as pl

from core.db.run_state import Failure, StepRow
from core.domain.states import StepState
from core.errors import BugError
from core.migration.context import RunContext
from core.migration.extract import read_columns, select
from core.migration.load_collections import json_records
from core.migration.match import fresh
from core.migration.prepare import SOURCE, prepare
from core.migration.spec import ID, Step
from core.migration.transform import StepRules
from core.salesforce.records import RowOutcome, WriteOptions

#: rows of one trial: one request, with the poisoned one in it
ROWS = 199
_ROLLED_BACK = "ALL_OR_NONE_OPERATION_ROLLED_BACK"


def try_step(run: RunContext, step: Step, row: StepRow, rules: StepRules) -> None:
    """Tries the first rows of a mapping; refusals become row failures, everything else is skipped.

    Raises:
        BugError: the org kept rows all the same; they were deleted at once.
    """
    soql = f"{select(step, read_columns(step, rules.source_columns))} LIMIT {ROWS}"
    totals: Counter[str] = Counter()
    failures: list[Failure] = []
    for frame in run.source.query_frames(soql, api="rest"):
        page = rules.seal(frame)
        matches = fresh(run.ids.encode(page.get_column(ID)))
        made = prepare(step, page, matches, rules=rules, translator=run.translator, ids=run.ids)
        totals.update(made.totals)
        failures += made.failures
        for rows in made.inserts:
            refused = _refusals(run, step, rows)
            failures += refused
            totals["failed"] += len(refused)
            totals["skipped"] += rows.height - len(refused)
    looked_at = f"{step.told}: the org looked at {totals['read_rows']:,} rows"
    with run.store.commit() as commit:
        commit.step(row.id, status=StepState.SUCCEEDED, totals=totals)
        commit.failures(row.id, failures)
        commit.event(looked_at, step=step.name)


def _refusals(run: RunContext, step: Step, rows: pl.DataFrame) -> list[Failure]:
    records = json_records(step, rows)
    poison = {**records[-1], **_poison(step)}
    load = step.mapping.load
    options = WriteOptions(
        duplicate_rules=load.duplicate_rules, assignment_rules=load.assignment_rules
    )
    name = step.target.name
    said = run.target.create_records(name, [*records, poison], all_or_none=True, options=options)
    _take_back(run, step, said)
    sources = rows.get_column(SOURCE).to_list()
    found = []
    for source_id, outcome in zip(sources, said, strict=False):
        for error in outcome.errors[:1]:
            if error.code != _ROLLED_BACK:
                found.append(
                    Failure("failed", error.code, error.message, source_id, None, error.fields)
                )
    return found


def _poison(step: Step) -> dict[str, str]:
    """A value that no org takes: a text longer than its field."""
    for entry in step.target.fields.values():
        if entry.type == "string" and entry.createable and 0 < entry.length <= 255:
            return {entry.name: "x" * (entry.length + 1)}
    raise BugError(
        f"{step.target.name} has no text field; a trial cannot make the org roll back.",
        state="Nothing was sent.",
        next_step="Leave the object out of the trial (--only).",
    )


def _take_back(run: RunContext, step: Step, said: list[RowOutcome]) -> None:
    kept = [outcome.record_id for outcome in said if outcome.success and outcome.record_id]
    if kept:
        run.target.delete_records(step.target.name, kept)
        raise BugError(
            f"The org kept {len(kept)} rows of a trial of {step.target.name}.",
            state="They were deleted at once; look into the recycle bin.",
        )
