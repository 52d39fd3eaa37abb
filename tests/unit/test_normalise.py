"""Sent against found: equal by type, and classes of differences."""

from __future__ import annotations

import polars as pl
import pytest

from core.domain.describe import Field
from core.domain.normalise import Difference, difference_expr, equal_expr, plain_text

RICH = Field("R", "textarea", html_formatted=True)
MONEY = Field("M", "currency", scale=2)

EQUAL: list[tuple[Field, str | None, str | None]] = [
    (Field("T", "string"), " a b ", "a b"),
    (Field("T", "textarea"), "a\nb", "a\r\nb"),
    (Field("T", "string"), None, ""),
    (Field("T", "string"), "  ", None),
    (MONEY, "1.005", "1.01"),
    (MONEY, "-1.005", "-1.01"),
    (MONEY, "10", "10.0"),
    (MONEY, "1.0E2", "100.00"),
    (MONEY, "123456789012345678.125", "123456789012345678.13"),
    (Field("N", "int"), "7.0", "7"),
    (Field("B", "boolean"), None, "false"),
    (Field("B", "boolean"), "TRUE", "true"),
    (Field("P", "multipicklist"), "b;a", "a;b"),
    (Field("P", "multipicklist"), "b;a;;a ", "a;b"),
    (Field("I", "reference"), "0012000000Vyk6P", "0012000000Vyk6PAAR"),
    (Field("D", "datetime"), "2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00.000+0000"),
    (Field("D", "date"), "2024-01-01", "2024-01-01"),
    (Field("H", "time"), "13:45:00", "13:45:00.000Z"),
    (Field("E", "email"), "Ann@X.example", "ann@x.example"),
    (RICH, "<p>A&amp;B</p>", '<div class="x">A&amp;B</div>'),
    (RICH, "<b>x</b>&nbsp;y<br>z", "<strong>x</strong> y<br />z"),
]
DIFFERENT: list[tuple[Field, str | None, str | None]] = [
    (Field("T", "string"), "a", "A"),
    (Field("T", "string"), "a", None),
    (MONEY, "1.01", "1.02"),
    (Field("B", "boolean"), "true", None),
    (Field("P", "multipicklist"), "a;b", "a"),
    (Field("I", "reference"), "0012000000Vyk6P", "0012000000Vyk6Q"),
    (Field("D", "datetime"), "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"),
    (RICH, "<p>a</p>", "<p>b</p>"),
]


@pytest.mark.parametrize(("field", "sent", "found"), EQUAL)
def test_rule_6_2_the_platforms_spelling_is_the_same_value(
    field: Field, sent: str | None, found: str | None
) -> None:
    assert is_equal(field, sent, found)
    assert is_equal(field, found, sent)


@pytest.mark.parametrize(("field", "sent", "found"), DIFFERENT)
def test_rule_6_2_other_values_are_other_values(
    field: Field, sent: str | None, found: str | None
) -> None:
    assert not is_equal(field, sent, found)


def is_equal(field: Field, sent: str | None, found: str | None) -> bool:
    frame = pl.DataFrame({"s": [sent], "f": [found]}, schema={"s": pl.String, "f": pl.String})
    return bool(frame.select(equal_expr(field, pl.col("s"), pl.col("f"))).item())


def classes(field: Field, rows: list[tuple[object, ...]], **facts: bool) -> list[str | None]:
    frame = pl.DataFrame(
        rows,
        schema={
            "sent": pl.String,
            "found": pl.String,
            "before": pl.String,
            "source_now": pl.String,
            "changed_since": pl.Boolean,
        },
        orient="row",
    )
    return frame.select(d=difference_expr(field, **facts))["d"].to_list()


def test_rule_6_2_each_difference_has_its_cause() -> None:
    rows: list[tuple[object, ...]] = [
        ("a", "a", None, "a", False),
        (" a", "a", None, " a", False),
        ("a", "x", None, "a", True),
        ("a", "x", None, "b", False),
        ("a", "A", None, "a", False),
        ("a", None, None, "a", False),
        ("a", "old", "old", "a", False),
    ]

    assert classes(Field("T", "string"), rows) == [
        None,
        Difference.NORMALISED,
        Difference.USER,
        Difference.SOURCE_CHANGED,
        Difference.AUTOMATION,
        Difference.LOST,
        Difference.LOST,
    ]


def test_rule_6_2_keys_and_lookups_and_quiet_orgs_have_no_automation_to_blame() -> None:
    row: list[tuple[object, ...]] = [("a", "x", None, "a", False)]

    assert classes(Field("T", "string"), row, is_protected=True) == [Difference.LOST]
    assert classes(Field("T", "string"), row, has_automation=False) == [Difference.LOST]
    assert classes(Field("T", "string"), row, is_derived=True) == [Difference.DERIVED]


def test_rule_3_5_states_compare_as_code_and_text() -> None:
    state = Field("BillingState", "string")
    frame = pl.DataFrame({"s": ["Bayern", "BY"], "f": ["by", "HE"]})
    codes = {"bayern": "by", "hessen": "he"}

    same = frame.select(e=equal_expr(state, pl.col("s"), pl.col("f"), equivalents=codes))[
        "e"
    ].to_list()

    assert same == [True, False]


def test_markup_without_words_is_blank() -> None:
    assert plain_text("<p>&nbsp;</p>") is None
    assert is_equal(RICH, "<p></p>", None)
