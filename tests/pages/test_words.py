"""The vocabulary of states is whole, and figures read the same everywhere."""

from __future__ import annotations

import doctest
import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.domain.findings import Severity
from core.domain.plan import KeySpec, Operation
from core.domain.states import RunState, StepState
from core.services.plans import PlanRow
from pages.parts import boxes, export, figures, plan_keys, run_plan, words


@pytest.mark.parametrize("state", [*RunState, *StepState])
def test_every_state_has_a_word(state: RunState | StepState) -> None:
    assert state.value.lower() in words.STATUSES
    assert words.word(words.STATUSES, state).label


@pytest.mark.parametrize(
    ("vocabulary", "members"), [(words.SEVERITIES, Severity), (words.OPERATIONS, Operation)]
)
def test_every_severity_and_operation_has_a_word(
    vocabulary: dict[str, words.Word], members: type[Severity] | type[Operation]
) -> None:
    assert {member.value for member in members} <= set(vocabulary)


def test_while_orgs_are_asked_they_are_named() -> None:
    """Who waits sees which org keeps him waiting."""
    pages = Path(words.__file__).parents[1]
    nameless = re.compile(r'(?:asking|spinner)\("[^"]*|asks = "[^"]*|asking\(f?"[^"]*both orgs')
    found = [
        f"{path.name}: {said}"
        for path in pages.rglob("*.py")
        for said in nameless.findall(path.read_text())
    ]

    assert found == ['log_parts.py: asking("Counting the entries of each day…'], "asks no org"
    row = PlanRow(**{each.name: None for each in fields(PlanRow)})  # type: ignore[arg-type]
    assert words.named_orgs(row) == "the orgs"
    both = replace(row, source_org="Acme Legacy", target_org="Acme New")
    assert words.named_orgs(both) == "Acme Legacy and Acme New"


def test_a_key_without_a_field_says_what_rows_are_matched_by() -> None:
    assert plan_keys.name_of(KeySpec()) == run_plan.match_words({}) == "records moved before"
    keyed = {"key": {"source": ["Id"], "target": ["Legacy_Id__c"]}}
    assert run_plan.match_words(keyed) == "Id → Legacy_Id__c"


def test_production_is_red_and_says_so_in_words() -> None:
    badge = words.org_badge("Acme", "production")

    assert badge.startswith(":red-badge[")
    assert "PRODUCTION" in badge


def test_names_of_people_and_orgs_cannot_draw_markdown() -> None:
    nasty = "![x](http://evil.example/p.png) <b> :material/home: `code` $a$ # h"

    shown = boxes.escaped(nasty)

    for mark in "[]():`<>$#":
        assert mark not in shown.replace(f"\\{mark}", "") or mark in "()"


@pytest.mark.parametrize("module", [boxes, export, figures])
def test_the_examples_in_docstrings_hold(module: object) -> None:
    outcome = doctest.testmod(module)  # type: ignore[arg-type]  # a module

    assert outcome.attempted
    assert not outcome.failed


def test_times_are_told_by_how_far_they_are() -> None:
    now = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)

    assert figures.when(datetime(2026, 11, 21, 14, 2, tzinfo=UTC), now=now) == "14:02"
    assert figures.when(datetime(2026, 11, 20, 2, 0, tzinfo=UTC), now=now) == "Yesterday 02:00"
    assert figures.when(datetime(2026, 1, 5, 9, 7, tzinfo=UTC), now=now) == "5 Jan 2026 09:07"
    assert figures.ago(datetime(2026, 11, 21, 12, 29, tzinfo=UTC), now=now) == "2 h ago"
    assert figures.when(None) == "—"
