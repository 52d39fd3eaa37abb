"""Ids as integers: nothing is lost on the way there and back, and the last word counts."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.ids import to18
from core.migration.idmap import NONE, IdCodes, IdMap, Places

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEADS = st.sampled_from(["001Yq0", "003Yq0", "a005e0", "zzz999"])
_IDS = st.builds(lambda head, tail: head + tail, _HEADS, st.text(_LETTERS, min_size=9, max_size=9))


@given(st.lists(st.one_of(st.none(), _IDS), max_size=30))
@settings(max_examples=60, deadline=None)
def test_an_id_comes_back_with_18_characters(ids: list[str | None]) -> None:
    codes = IdCodes()

    found = codes.decode(codes.encode(pl.Series(ids, dtype=pl.String)))

    assert found.to_list() == [None if one is None else to18(one) for one in ids]


def test_15_and_18_characters_are_one_id_and_nonsense_is_none() -> None:
    codes = IdCodes()

    found = codes.encode(pl.Series(["001Yq00013qXFTp", "001Yq00013qXFTpMAO", "x", "", None]))

    assert found[0] == found[1] != NONE
    assert found[2:].tolist() == [NONE] * 3


def test_a_map_gives_the_last_target_and_forgets_on_demand() -> None:
    links = IdMap()
    links.add(np.array([1, 2, 3]), np.array([10, 20, 30]))
    links.look_up(np.array([1]))
    links.add(np.array([2, 3, 4]), np.array([21, NONE, 40]))

    assert links.look_up(np.array([1, 2, 3, 4, 5, NONE])).tolist() == [
        10, 21, NONE, 40, NONE, NONE,
    ]  # fmt: skip
    assert len(links) == 3


@given(st.lists(st.integers(-1, 8), max_size=12), st.lists(st.integers(-1, 9), max_size=12))
@settings(max_examples=200, deadline=None)
def test_a_place_is_that_of_the_last_equal_code(column: list[int], asked: list[int]) -> None:
    last = {code: place for place, code in enumerate(column)} | {int(NONE): int(NONE)}

    found = Places(np.array(column, dtype=np.int64)).look_up(np.array(asked, dtype=np.int64))

    assert found.tolist() == [last.get(code, int(NONE)) for code in asked]


@given(st.lists(st.lists(st.tuples(st.integers(-1, 8), st.integers(-1, 9)), max_size=6)))
@settings(max_examples=200, deadline=None)
def test_a_map_says_what_was_added_last(portions: list[list[tuple[int, int]]]) -> None:
    links, told = IdMap(), dict[int, int]()
    for portion in portions:
        pairs = np.array(portion, dtype=np.int64).reshape(-1, 2)
        links.add(pairs[:, 0].copy(), pairs[:, 1].copy())
        told.update(portion)
        expected = [told.get(code, -1) if code >= 0 else -1 for code in range(-1, 9)]
        assert links.look_up(np.arange(-1, 9)).tolist() == expected


def test_text_that_is_as_long_as_an_id_in_bytes_has_no_code() -> None:
    """Short, long and odd ids in one column; letters outside ASCII take several bytes."""
    ids = pl.Series(["ééééééééé", "éabcdefghijklm", None, "", "001Hs00000Abcd!", "001Hs00000Abcde"])
    codes = IdCodes()

    encoded = codes.encode(ids)

    assert [int(code) for code in encoded[:5]] == [-1] * 5
    assert codes.decode(encoded).to_list()[:5] == [None] * 5
    assert codes.decode(encoded)[5].startswith("001Hs00000Abcde")
