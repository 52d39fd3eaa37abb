"""Canonical text: one spelling per value, stable, and the value unchanged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.canonical import canonical, rounded
from core.domain.describe import Field

NUMBER = Field("N", "double", precision=18, scale=4)
MOMENT = Field("D", "datetime")


def spelt(field: Field, *values: str | None) -> list[str | None]:
    frame = pl.DataFrame({"v": values}, schema={"v": pl.String})
    return frame.select(c=canonical(field, pl.col("v")))["c"].to_list()


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("007", "7"),
        ("+1.50", "1.5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("100", "100"),
        ("1.0E2", "100"),
        ("1e-3", "0.001"),
        ("123456789012345678.125", "123456789012345678.125"),
        (" 1.10 ", "1.1"),
        ("1,000", "1,000"),
        ("abc", "abc"),
        ("1e999999", "1e999999"),
        ("", None),
        (None, None),
    ],
)
def test_numbers_have_one_spelling(given_text: str | None, expected: str | None) -> None:
    assert spelt(NUMBER, given_text, "12.30", "7") == [expected, "12.3", "7"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20),
        max_size=8,
    )
)
def test_numbers_keep_their_value_and_stay_when_spelt_again(numbers: list[Decimal]) -> None:
    texts = [str(number) for number in numbers]

    once = spelt(NUMBER, *texts)

    assert [Decimal(str(text)) for text in once] == numbers
    assert spelt(NUMBER, *once) == once


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.datetimes(datetime(1700, 1, 2), datetime(3999, 12, 30)), st.integers(-14, 14)),
        max_size=6,
    )
)
def test_moments_are_utc_to_the_millisecond(moments: list[tuple[datetime, int]]) -> None:
    texts, expected = [], []
    for moment, hours in moments:
        cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        zoned = cut.replace(tzinfo=timezone(timedelta(hours=hours)))
        texts.append(zoned.isoformat(timespec="milliseconds"))
        in_utc = zoned.astimezone(UTC)
        expected.append(in_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"))

    assert spelt(MOMENT, *texts) == expected
    assert spelt(MOMENT, *[t.replace("Z", "+0000") for t in expected]) == expected


def test_moments_of_every_wire_are_one() -> None:
    same = "2011-07-07T00:37:00.000Z"

    assert (
        spelt(
            MOMENT,
            "2011-07-07T00:37:00.000+0000",
            "2011-07-07T00:37:00Z",
            "2011-07-07T02:37:00+02:00",
            "2011-07-07T02:37+02:00",
            same,
        )
        == [same] * 5
    )
    assert spelt(MOMENT, "soon", "2011-13-07T00:37:00Z", None) == [
        "soon",
        "2011-13-07T00:37:00Z",
        None,
    ]


@settings(deadline=None)
@given(st.decimals(-(10**12), 10**12, places=6), st.integers(0, 4))
def test_rounding_is_half_up_at_the_scale(number: Decimal, scale: int) -> None:
    frame = pl.DataFrame({"v": spelt(NUMBER, str(number))}, schema={"v": pl.String})

    text = frame.select(r=rounded(pl.col("v"), scale))["r"][0]

    step = Decimal(1).scaleb(-scale)
    away = abs(Decimal(text) - number)
    assert away <= step / 2
    assert Decimal(text) % step == 0
    if away == step / 2:
        assert abs(Decimal(text)) > abs(number)
