"""Ids: the two spellings, the checksum, the vectorised form."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.ids import checksum, is_id, is_id_expr, key_prefix, to18, to18_expr
from core.errors import UserError

SHORT = st.text(
    alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    min_size=15,
    max_size=15,
)


def test_checksum_matches_recorded_ids() -> None:
    assert checksum("012000000000000") == "AAA"
    assert checksum("0012000000Vyk6P") == "AAR"


@settings(deadline=None)
@given(SHORT)
def test_rule_2_2_to18_is_stable_and_survives_lost_capitals(short: str) -> None:
    long = to18(short)

    assert is_id(long)
    assert to18(long) == long
    assert to18(long.lower()[:15] + long[15:]) == long
    assert to18(long.upper()) == long
    assert key_prefix(long) == short[:3]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(SHORT, st.none(), st.text(max_size=20)), max_size=20))
def test_vectorised_to18_equals_the_scalar(values: list[str | None]) -> None:
    frame = pl.DataFrame({"id": values}, schema={"id": pl.String})

    row = frame.select(long=to18_expr(pl.col("id")), ok=is_id_expr(pl.col("id")))

    expected = [None if v is None else to18(v) if len(v) == 15 and is_id(v) else v for v in values]
    assert row["long"].to_list() == expected
    assert row["ok"].to_list() == [None if v is None else is_id(v) for v in values]


@pytest.mark.parametrize("text", ["", "001", "0012000000Vyk6P!!!", "not an id at all", "0" * 17])
def test_to18_refuses_what_is_no_id(text: str) -> None:
    assert not is_id(text)
    with pytest.raises(UserError, match="not a Salesforce id"):
        to18(text)
