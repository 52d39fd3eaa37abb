"""Hashes: stable for ever, blind to order and blanks, sharp for everything else."""

from __future__ import annotations

import time

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.hashing import field_hashes, row_hashes, text_hash

CELLS = st.one_of(st.none(), st.text(max_size=5), st.text("\x1e\x1f01\r\n", max_size=4))


def test_rule_3_3_hashes_never_change_between_versions() -> None:
    """If this fails every row of every ledger counts as changed: raise HASH_VERSION knowingly."""
    page = pl.DataFrame({"Name": ["Ünï", None], "AccountId": ["001000000000001AAA", None]})

    assert row_hashes(page, page.columns).to_list() == [FIRST, BLANK]
    assert field_hashes(page, ["Name"])["Name"].to_list() == [text_hash("Ünï"), None]
    assert text_hash("Ünï") == UNI


FIRST = 5570291943970229242
BLANK = -8247794475913806156
UNI = -2705401814865713600


@settings(max_examples=100, deadline=None)
@given(st.tuples(CELLS, CELLS), st.tuples(CELLS, CELLS))
def test_rule_3_3_equal_hashes_mean_equal_rows(
    one: tuple[str | None, str | None], other: tuple[str | None, str | None]
) -> None:
    page = pl.DataFrame([one, other], schema={"A": pl.String, "B": pl.String}, orient="row")

    first, second = row_hashes(page, ["A", "B"]).to_list()

    same = [_plain(a) for a in one] == [_plain(a) for a in other]
    assert (first == second) == same
    assert row_hashes(page.select("B", "A"), ["B", "A"]).to_list() == [first, second]


def _plain(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").replace("\r", "\n")


def test_rule_3_3_line_ends_count_as_orgs_give_them_back() -> None:
    page = pl.DataFrame({"A": ["one\r\ntwo", "one\ntwo", "one\rtwo", "one two"], "B": ["x"] * 4})

    windows, unix, mac, none = row_hashes(page, page.columns)

    assert windows == unix == mac != none


def test_rows_without_fields_hash_alike() -> None:
    assert row_hashes(pl.DataFrame({"A": ["x", "y"]}), []).n_unique() == 1


def test_a_hundred_thousand_rows_take_seconds_at_most() -> None:
    rows = 100_000
    page = pl.DataFrame({f"c{n}": [f"value {n} {row}" for row in range(rows)] for n in range(5)})

    began = time.perf_counter()
    hashes = row_hashes(page, page.columns)

    assert time.perf_counter() - began < 10
    assert hashes.n_unique() == rows
