"""Tests that analysts write into a plan: a source row in, the target fields that must come out.

    tests: [{in: {LastName2__c: " Ng "}, out: {LastName: "Ng"}}]

They run on the rules alone, without any org: fields that `in` leaves out are blank, lookups are not
resolved. `plans check` and the editor show what failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from core.domain.describe import Field, SObject
from core.domain.findings import Finding, Fix, Severity
from core.domain.plan import ObjectMapping, RowTest
from core.domain.rules import CompiledMapping, compile_mapping
from core.errors import UserError


@dataclass(frozen=True, slots=True)
class RowTestResult:
    """One expected field of one test."""

    #: from 1, as people count
    number: int
    field: str
    expected: str | None
    got: str | None
    passed: bool
    sentence: str


def run_row_tests(
    mapping: ObjectMapping,
    source: SObject,
    target: SObject,
    *,
    paths: Mapping[str, Field] | None = None,
) -> tuple[RowTestResult, ...]:
    """Every expected field of every test of the mapping, in order.

    Args:
        mapping: completed by auto-map.
    Raises:
        UserError: a rule of the mapping does not compile.
    """
    if not mapping.tests:
        return ()
    compiled = compile_mapping(mapping, source, target, paths=paths)
    return tuple(
        result
        for number, test in enumerate(mapping.tests, start=1)
        for result in _results(number, test, compiled)
    )


def row_test_findings(
    mapping: ObjectMapping, source: SObject, target: SObject
) -> Iterator[Finding]:
    """A blocker per failed expectation, or one passed finding; nothing without tests."""
    try:
        results = run_row_tests(mapping, source, target)
    except UserError as error:
        yield _finding(mapping, Severity.BLOCKER, error.happened)
        return
    failed = [result for result in results if not result.passed]
    for result in failed:
        yield _finding(mapping, Severity.BLOCKER, result.sentence, field=result.field)
    if results and not failed:
        tests = len(mapping.tests)
        said = "The test of the plan passes." if tests == 1 else f"All {tests} tests pass."
        yield _finding(mapping, Severity.PASSED, said)


def _results(number: int, test: RowTest, compiled: CompiledMapping) -> Iterator[RowTestResult]:
    known = {path.lower(): path for path in compiled.source_columns}
    unknown = [name for name in test.given if name.lower() not in known]
    given = {known[k.lower()]: v for k, v in test.given.items() if k.lower() in known}
    row = {path: [given.get(path)] for path in compiled.source_columns}
    done = compiled.apply(pl.DataFrame(row, schema=dict.fromkeys(row, pl.String)))
    said = dict(zip(done.failures["field"], done.failures["message"], strict=True))
    got = {name.lower(): done.frame[name][0] for name in done.frame.columns}
    for field, expected in test.expected.items():
        value = got.get(field.lower())
        wrong = _why_wrong(field, expected=expected or None, got=got, failures=said)
        if wrong and unknown:
            wrong += f" (no rule reads {', '.join(unknown)})"
        sentence = f"Test {number}: {wrong or f'{field} is as expected'}."
        yield RowTestResult(number, field, expected, value, wrong is None, sentence)


def _why_wrong(
    field: str,
    *,
    expected: str | None,
    got: Mapping[str, str | None],
    failures: Mapping[str, str],
) -> str | None:
    if field.lower() not in got:
        return f"no rule fills {field}, or it is a lookup, which tests do not resolve"
    if field in failures:
        return f"the row fails: {failures[field].rstrip('.')}"
    value = got[field.lower()]
    if value == expected:
        return None
    return f"{field} is {_shown(value)}, expected {_shown(expected)}"


def _shown(value: str | None) -> str:
    return "blank" if value is None else f"'{value[:60]}'"


def _finding(
    mapping: ObjectMapping, severity: Severity, sentence: str, *, field: str | None = None
) -> Finding:
    return Finding(severity, "row_test", sentence, mapping=mapping.name, field=field, fix=Fix.FIELD)
