"""Verdicts of a proof, from figures as a run stores them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from core.db.run_reads import LookupLine, StepLine
from core.db.runs import RunRow
from core.domain.states import RunState
from core.reports.proof import Proof, Verdict
from core.reports.proof_csv import proof_csv
from core.reports.proof_figures import proof_of
from core.reports.proof_html import proof_html

NOW = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
CLEAN = {
    "rows": 2,
    "missing": 0,
    "compared": {"Name": 2, "Total__c": 2},
    "fields": {},
    "lookups": {},
    "sums": {"Total__c": {"sent": "3.50", "found": "3.50"}},
}
READERS = {role: {"user": f"{role}@x.example", "sees_all": True} for role in ("source", "target")}


def row(*, mode: str = "full", status: RunState = RunState.SUCCEEDED, **summary: Any) -> RunRow:
    """A run of one object."""
    values: dict[str, Any] = dict.fromkeys(RunRow.__dataclass_fields__)
    stored = {
        "proof": {"account": CLEAN},
        "readers": READERS,
        "rows_before": {"Account": 5},
        "rows_after": {"Account": 7},
        **summary,
    }
    said = {"name": "x-1", "mode": mode, "requested_by": "mira", "target_name": "New"}
    kept = {"options": {}, "summary": stored, "buckets": {"account": {"insert": 2}}}
    return RunRow(**{**values, **said, **kept, "status": status})


def proven(*, compared: dict[str, Any] | None = None, **given: Any) -> Proof:
    """The proof of that run: two rows inserted."""
    stored = given if compared is None else {**given, "proof": {"account": compared}}
    return proof_of(row(**stored), [step(read_rows=2, inserted=2)], [])


def step(**given: Any) -> StepLine:
    """One object in its load."""
    words = dict.fromkeys(StepLine.__dataclass_fields__, 0)
    names = {"mapping_name": "account", "source_object": "Account", "target_object": "Account"}
    return StepLine(**{**words, **names, "operation": "upsert", "phase": "load", **given})


def verdicts(proof: Proof) -> dict[str, Verdict]:
    """By claim."""
    return {check.title: check.verdict for check in proof.checks}


def test_a_run_whose_every_figure_agrees_is_proven() -> None:
    found = proven()

    assert set(verdicts(found).values()) == {Verdict.PROVEN}
    assert found.verdict is Verdict.PROVEN


def test_rule_6_1_totals_that_do_not_add_up_break_a_proof() -> None:
    wrong = proof_of(row(), [step(read_rows=3, inserted=2)], [])

    assert verdicts(wrong)["Every row is accounted for"] is Verdict.BROKEN


def test_rule_6_2_only_lost_values_break_a_proof() -> None:
    changed = proven(compared={**CLEAN, "fields": {"Name": {"automation": 1, "normalised": 1}}})
    lost = proven(compared={**CLEAN, "fields": {"Name": {"lost": 1}}})
    gone = proven(compared={**CLEAN, "missing": 1})

    assert changed.verdict is Verdict.NOTE
    assert verdicts(lost)["Every value as sent"] is Verdict.BROKEN
    assert verdicts(gone)["Every value as sent"] is Verdict.BROKEN


def test_sums_that_differ_are_a_note_unless_values_were_lost() -> None:
    sums = {"Total__c": {"sent": "3.50", "found": "4.50"}}
    by_user = proven(compared={**CLEAN, "sums": sums, "fields": {"Total__c": {"user": 1}}})
    by_loss = proven(compared={**CLEAN, "sums": sums, "fields": {"Total__c": {"lost": 1}}})

    assert verdicts(by_user)["Sums of number fields"] is Verdict.NOTE
    assert verdicts(by_loss)["Sums of number fields"] is Verdict.BROKEN


def test_rows_that_left_the_target_break_a_proof_and_rows_it_made_are_a_note() -> None:
    fewer = proven(rows_after={"Account": 6})
    more = proven(rows_after={"Account": 9})

    assert verdicts(fewer)["Rows in the target"] is Verdict.BROKEN
    assert verdicts(more)["Rows in the target"] is Verdict.NOTE


def test_what_was_not_compared_is_never_called_proven() -> None:
    found = proven(mode="dry-run", proof={}, rows_before={}, rows_after={})

    assert found.verdict is Verdict.OPEN
    assert "dry run" in found.checks[-1].sentence


def test_a_run_that_has_not_ended_proves_nothing_yet() -> None:
    waiting = proof_of(row(status=RunState.WAITING_DECISION), [step(read_rows=9, inserted=2)], [])

    assert waiting.verdict is Verdict.OPEN
    assert [check.title for check in waiting.checks] == ["The run has ended"]


def test_rows_that_a_retry_brought_are_a_note_on_the_first_run() -> None:
    lines = [step(read_rows=3, inserted=2, failed=1)]

    first = verdicts(proof_of(row(), lines, []))
    mended = verdicts(proof_of(row(), lines, [], resolved=1))

    assert first["Every row arrived"] is Verdict.BROKEN
    assert mended["Every row arrived"] is Verdict.NOTE


def test_objects_are_told_by_the_orgs_own_spelling_or_by_their_name_in_the_plan() -> None:
    lines = [step(read_rows=3, inserted=2, failed=1)]
    named = [step(read_rows=3, inserted=2, failed=1, mapping_name="partners")]

    (plain,) = (c for c in proof_of(row(), lines, []).checks if c.title == "Every row arrived")
    (own,) = (c for c in proof_of(row(), named, []).checks if c.title == "Every row arrived")

    assert "(Account)" in plain.sentence
    assert "(partners)" in own.sentence


def test_rule_1_1_drift_of_the_source_is_told_and_is_no_loss() -> None:
    moved = proven(objects={"account": {"drift": 2, "deleted_in_source": 1}})

    assert moved.verdict is Verdict.NOTE
    assert "2 rows changed in the source" in moved.checks[-1].sentence
    assert "1 row left the source" in moved.checks[-1].sentence


def test_lookups_left_blank_are_named_by_field() -> None:
    behind = LookupLine("account", "ParentId", 1, 2)
    found = proof_of(row(), [step(read_rows=2, inserted=2)], [behind])

    parent = next(field for field in found.objects[0].fields if field.name == "ParentId")
    assert (parent.is_lookup, parent.left_blank, parent.held_back) == (True, 1, 2)
    assert verdicts(found)["Lookups resolved"] is Verdict.BROKEN


def test_rule_1_3_a_reader_who_does_not_see_all_heads_the_proof() -> None:
    some = {**READERS, "target": {"user": "kim@x.example", "sees_all": False}}
    found = proven(readers=some)

    page = proof_html(found, (), made_at=NOW).decode()
    assert found.heading == "As visible to kim@x.example in New"
    assert found.heading in page
    assert found.heading in proof_csv(found).decode("utf-8-sig")
    assert "As visible" not in proof_html(proven(), (), made_at=NOW).decode()
