"""Tests inside plans: what passes, what fails and how it is said."""

from __future__ import annotations

from typing import Any

from core.domain.describe import Field, Fields, SObject
from core.domain.findings import Severity
from core.domain.plan import ObjectMapping, plan_from_document
from core.plans.row_tests import row_test_findings, run_row_tests

SOURCE = SObject(
    "A",
    Fields(
        (
            Field("Id", "id"),
            Field("Last__c", "string"),
            Field("Kind__c", "picklist"),
            Field("Boss__c", "reference", reference_to=("A",)),
        )
    ),
)
TARGET = SObject(
    "B",
    Fields(
        (
            Field("LastName", "string"),
            Field("Kind__c", "picklist"),
            Field("Boss__c", "reference", reference_to=("B",)),
        )
    ),
)
FIELDS = {
    "LastName": {"expression": "trim(Last__c)"},
    "Kind__c": {"from": "Kind__c", "values": {"x": "X"}, "otherwise": "reject"},
    "Boss__c": "Boss__c",
}


def mapping(*tests: dict[str, Any]) -> ObjectMapping:
    return plan_from_document(
        {
            "orgbridge": 1,
            "name": "p",
            "source": "a",
            "target": "b",
            "objects": [{"source": "A", "target": "B", "fields": FIELDS, "tests": list(tests)}],
        }
    ).objects[0]


def test_expectations_pass_or_say_what_came_instead() -> None:
    results = run_row_tests(
        mapping(
            {"in": {"Last__c": " Ng "}, "out": {"LastName": "Ng", "Kind__c": None}},
            {"in": {"last__C": "O"}, "out": {"LastName": "P"}},
            {"in": {"Kind__c": "y", "Nope": "1"}, "out": {"Kind__c": "Y", "Boss__c": "1"}},
        ),
        SOURCE,
        TARGET,
    )

    assert [result.passed for result in results] == [True, True, False, False, False]
    assert results[2].sentence == "Test 2: LastName is 'O', expected 'P'."
    assert "the row fails: Kind__c = 'y'" in results[3].sentence
    assert "(no rule reads Nope)" in results[3].sentence
    assert "which tests do not resolve" in results[4].sentence


def test_findings_block_or_pass() -> None:
    good = {"in": {"Last__c": "a"}, "out": {"LastName": "a"}}
    bad = {"in": {"Last__c": "a"}, "out": {"LastName": "b"}}

    assert list(row_test_findings(mapping(), SOURCE, TARGET)) == []
    (passed,) = row_test_findings(mapping(good), SOURCE, TARGET)
    assert passed.severity is Severity.PASSED
    (blocker,) = row_test_findings(mapping(good, bad), SOURCE, TARGET)
    assert (blocker.severity, blocker.field) == (Severity.BLOCKER, "LastName")


def test_rules_that_do_not_compile_are_a_finding() -> None:
    source = SObject("A", Fields((Field("Id", "id"),)))

    (blocker,) = row_test_findings(mapping({"in": {}, "out": {}}), source, TARGET)

    assert blocker.severity is Severity.BLOCKER
    assert "has no field 'Last__c'" in blocker.sentence
