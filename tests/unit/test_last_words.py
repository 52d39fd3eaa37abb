"""What a terminal says of a run at its end."""

from __future__ import annotations

from typing import Any

import pytest

from terminal.progress import CAUSES_TOLD, figures


def document(*unfilled: dict[str, Any], blank: int) -> dict[str, Any]:
    one = {"as": "contact", "read": 9, "inserted": 9, "lookups_left_blank": blank}
    return {
        "run_id": "move-1121-abcde",
        "status": "Partial",
        "seconds": 3,
        "objects": [one],
        "unfilled": list(unfilled),
    }


def cause(number: int, phase: str = "second_pass") -> dict[str, Any]:
    return {
        "where": f"Contact.Field{number}__c",
        "phase": phase,
        "rows": number,
        "message": "The record did not arrive.",
    }


def test_a_run_without_failed_rows_says_why_it_is_partial(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures(document(cause(2), cause(1, "finally"), blank=2))

    said = capsys.readouterr().out
    assert "Partial, 3 s; 2 lookups left blank, last fields of 1 row not filled in" in said
    assert "Contact.Field2__c 2: the record did not arrive" in said


def test_many_causes_lead_to_the_file_of_errors(capsys: pytest.CaptureFixture[str]) -> None:
    figures(document(*map(cause, range(1, CAUSES_TOLD + 2)), blank=21))

    said = capsys.readouterr().out
    assert said.count("the record did not arrive") == CAUSES_TOLD
    assert "runs errors move-1121-abcde --csv" in said


def test_a_run_that_left_nothing_blank_says_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    figures(document(blank=0))

    assert capsys.readouterr().out.endswith("move-1121-abcde: Partial, 3 s\n")
