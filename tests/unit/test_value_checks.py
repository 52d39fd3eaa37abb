"""Values that the org would refuse, and ids inside text."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.blanks import CLEAR
from core.domain.describe import Field, PicklistValue
from core.domain.hidden_ids import ids_in_text, rewritten
from core.domain.ids import to18
from core.domain.value_checks import counted, value_failures

CHOICES = (PicklistValue("a"), PicklistValue("b"), PicklistValue("old", active=False))


def wrong(field: Field, *values: str | None, inserting: bool = True) -> list[tuple[int, str]]:
    frame = pl.DataFrame({field.name: values}, schema={field.name: pl.String})
    failures = value_failures(frame, [field], inserting=inserting)
    return list(zip(failures["row"], failures["code"], strict=True))


@pytest.mark.parametrize(
    ("field", "good", "bad", "code"),
    [
        (Field("F", "string", length=3), "äöü", "äöüß", "STRING_TOO_LONG"),
        (Field("F", "email", length=80), "a@b.example", "a@b", "INVALID_EMAIL_ADDRESS"),
        (Field("F", "double", precision=5, scale=2), "-999.99", "1000", "NUMBER_OUTSIDE"),
        (Field("F", "double", precision=5, scale=2), "0000.5", "1e3", "INVALID_NUMBER"),
        (Field("F", "int", digits=9), "2147483647", "2147483648", "NUMBER_OUTSIDE"),
        (Field("F", "date"), "2024-02-29", "2023-02-29", "INVALID_DATE"),
        (Field("F", "datetime"), "2024-01-01T00:00:00.000Z", "2024-01-01", "INVALID_DATE"),
        (Field("F", "boolean"), "true", "yes", "INVALID_BOOLEAN"),
        (Field("F", "reference"), "0012000000Vyk6PAAR", "0012000000Vyk6PAAQ", "MALFORMED_ID"),
        (
            Field("F", "picklist", restricted_picklist=True, picklist_values=CHOICES),
            "a",
            "old",
            "INVALID_OR_NULL",
        ),
        (
            Field("F", "multipicklist", restricted_picklist=True, picklist_values=CHOICES),
            "a;b",
            "a;c",
            "INVALID_OR_NULL",
        ),
    ],
)
def test_values_that_the_org_refuses_are_found_first(
    field: Field, good: str, bad: str, code: str
) -> None:
    found = wrong(field, good, bad, None, CLEAR)

    assert [row for row, _ in found] == [1]
    assert found[0][1].startswith(code)


def test_blanks_fail_only_where_something_is_required() -> None:
    required = Field("F", "string", nillable=False)
    defaulted = Field("F", "string", nillable=False, defaulted_on_create=True)

    assert [row for row, _ in wrong(required, "x", None, CLEAR)] == [1, 2]
    assert wrong(defaulted, None) == []
    assert [row for row, _ in wrong(required, None, CLEAR, inserting=False)] == [1]


def test_unrestricted_picklists_take_any_text() -> None:
    assert wrong(Field("F", "picklist", picklist_values=CHOICES, length=40), "new") == []


def test_failures_are_sentences_and_are_counted() -> None:
    fields = [Field("A", "string", length=1), Field("B", "int")]
    frame = pl.DataFrame({"A": ["xx", "yy"], "B": ["1", "x"], "C": ["?", "?"]})

    failures = value_failures(frame, fields, inserting=True)

    assert failures["message"][0] == "A 'xx' is longer than 1 characters."
    assert list(counted(failures)) == [("A", "STRING_TOO_LONG", 2), ("B", "INVALID_NUMBER", 1)]


OLD, NEW = "0012000000Vyk6PAAR", str(to18("0019999999AbcDe"))
KNOWN = pl.DataFrame({"source_id": [OLD], "target_id": [NEW]})


def test_rule_5_2_ids_in_text_are_rewritten_in_the_length_they_have() -> None:
    texts = pl.Series(
        [
            f"see https://x.example/{OLD}?a={OLD[:15]}&b=0032000000Vyk6QAAB",
            f'{{"id":"{OLD}"}}',
            "Internationalization supercalifragilis",
            None,
            f"x{OLD}",
        ]
    )

    done = rewritten(texts, KNOWN)

    assert done.texts.to_list()[:4] == [
        f"see https://x.example/{NEW}?a={NEW[:15]}&b=0032000000Vyk6QAAB",
        f'{{"id":"{NEW}"}}',
        "Internationalization supercalifragilis",
        None,
    ]
    assert done.texts[4] == f"x{OLD}"
    assert done.replaced == 3


def test_rule_5_2_ids_that_lead_nowhere_are_counted() -> None:
    lost = str(to18("0032000000Vyk6Q"))

    done = rewritten(pl.Series([f"a {lost} b {lost[:15]}"]), KNOWN)

    assert (done.replaced, done.left) == (0, 1)
    assert ids_in_text(pl.Series([lost]))["is_sure"].to_list() == [True]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_rule_5_2_text_around_ids_stays_as_it_is(before: str, after: str) -> None:
    text = f"{before} {OLD} {after}"

    done = rewritten(pl.Series([text]), KNOWN)

    assert done.texts[0] == f"{before} {NEW} {after}"
