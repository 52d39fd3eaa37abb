"""Recognising records: canonical keys, repeats, blanks, operations, twins."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.describe import Field
from core.domain.matching import (
    Action,
    Match,
    action_expr,
    action_for,
    equal_multisets,
    has_blank_part,
    key_expr,
    match_counts,
    match_keys,
    pair_twins,
    repeated,
)
from core.domain.plan import Operation


def keyed(rows: list[tuple[str, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"id": pl.String, "key": pl.String}, orient="row")


def keys(field: Field, *values: str | None) -> list[str | None]:
    frame = pl.DataFrame({"v": values}, schema={"v": pl.String})
    return frame.select(k=key_expr([field], ["v"]))["k"].to_list()


def test_rule_2_2_keys_compare_by_the_target_type() -> None:
    text, exact = Field("A", "string"), Field("A", "string", case_sensitive=True)

    assert keys(text, " Abc ", "ABC", "", None, "  ") == ["abc", "abc", None, None, None]
    assert keys(exact, " Abc ", "ABC") == ["Abc", "ABC"]
    assert keys(Field("A", "currency", scale=2), "1.50", "1.5", "1.504", "1.5E0") == ["1.5"] * 4
    assert keys(Field("A", "int"), "007", "7", "7.0") == ["7", "7", "7"]
    assert len(set(keys(Field("A", "reference"), "0012000000Vyk6P", "0012000000Vyk6PAAR"))) == 1
    assert (
        len(set(keys(Field("A", "datetime"), "2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00Z")))
        == 1
    )
    assert keys(Field("A", "boolean"), "TRUE", "1", "false") == ["true", "true", "false"]


def test_rule_2_2_blank_equals_blank_inside_a_composite_and_all_blank_is_no_key() -> None:
    fields = [Field("A", "string"), Field("B", "string")]
    frame = pl.DataFrame(
        {"a": ["x", "x", None, "xy", "x"], "b": [None, "", " ", None, "y"]},
        schema={"a": pl.String, "b": pl.String},
    )

    found = frame.select(k=key_expr(fields, ["a", "b"]), partly=has_blank_part(fields, ["a", "b"]))

    assert found["k"].to_list() == ["x\x1f", "x\x1f", None, "xy\x1f", "x\x1fy"]
    assert found["partly"].to_list() == [True, True, True, True, False]


def test_rule_2_3_keys_that_repeat_on_either_side_match_nothing() -> None:
    source = keyed([("s1", "a"), ("s2", "b"), ("s3", "b"), ("s4", "c"), ("s5", None), ("s6", "z")])
    target = keyed([("t1", "a"), ("t2", "b"), ("t3", "c"), ("t4", "c"), ("t5", None)])

    found = match_keys(source, target)

    assert dict(zip(found["id"], found["outcome"], strict=True)) == {
        "s1": Match.MATCHED,
        "s2": Match.REPEATED_IN_SOURCE,
        "s3": Match.REPEATED_IN_SOURCE,
        "s4": Match.REPEATED_IN_TARGET,
        "s5": Match.BLANK_KEY,
        "s6": Match.UNMATCHED,
    }
    assert found["target_id"].to_list() == ["t1", None, None, None, None, None]
    assert match_counts(found)[Match.REPEATED_IN_SOURCE] == 2


def test_rule_2_3_a_chosen_survivor_stands_for_its_group() -> None:
    source = keyed([("s1", "a"), ("s2", "a"), ("s3", "a"), ("s4", None), ("s5", None)])

    found = match_keys(source, keyed([("t1", "a")]), survivors=["s2"])
    both = match_keys(source, keyed([("t1", "a")]), survivors=["s1", "s2"])

    assert found["outcome"].to_list()[:3] == ["not_survivor", "matched", "not_survivor"]
    assert found["target_id"].to_list()[1] == "t1"
    assert both["outcome"].to_list()[:3] == ["repeated_in_source"] * 3
    assert found["outcome"].to_list()[3:] == ["blank_key"] * 2


@pytest.mark.parametrize(
    ("operation", "unmatched", "matched"),
    [
        (Operation.INSERT, Action.INSERT, Action.SKIP),
        (Operation.UPDATE, Action.SKIP, Action.UPDATE),
        (Operation.UPSERT, Action.INSERT, Action.UPDATE),
        (Operation.PRESERVE, Action.SKIP, Action.LINK),
        (Operation.DELETE, Action.SKIP, Action.DELETE),
        (Operation.HARD_DELETE, Action.SKIP, Action.DELETE),
    ],
)
def test_rule_2_7_operations_meet_their_match_outcomes(
    operation: Operation, unmatched: Action, matched: Action
) -> None:
    outcomes = pl.Series("o", [match.value for match in Match])

    acts = outcomes.to_frame().select(action_expr(operation, pl.col("o")))["o"].to_list()

    assert acts == [action_for(operation, match).value for match in Match]
    assert action_for(operation, Match.UNMATCHED) is unmatched
    assert action_for(operation, Match.MATCHED) is matched
    for blocked in (Match.BLANK_KEY, Match.REPEATED_IN_SOURCE, Match.REPEATED_IN_TARGET):
        assert action_for(operation, blocked) is Action.BLOCK


KEYS = st.lists(st.one_of(st.none(), st.sampled_from("abcd")), max_size=10)


@settings(max_examples=100, deadline=None)
@given(KEYS, KEYS)
def test_rule_2_3_matches_are_one_to_one_and_every_row_has_one_outcome(
    source_keys: list[str | None], target_keys: list[str | None]
) -> None:
    source = keyed([(f"s{n}", key) for n, key in enumerate(source_keys)])
    target = keyed([(f"t{n}", key) for n, key in enumerate(target_keys)])

    found = match_keys(source, target)

    assert found["id"].to_list() == source["id"].to_list()
    assert found["outcome"].null_count() == 0
    matched = found.filter(pl.col("outcome") == "matched")
    assert matched["target_id"].n_unique() == matched.height
    assert matched["target_id"].null_count() == 0
    counts = Counter(source_keys)
    for _, key, target_id, outcome in found.iter_rows():
        if key is None:
            assert outcome == "blank_key"
        elif counts[key] > 1:
            assert outcome == "repeated_in_source"
        else:
            partners = [f"t{n}" for n, k in enumerate(target_keys) if k == key]
            expected = {0: "unmatched", 1: "matched"}.get(len(partners), "repeated_in_target")
            assert outcome == expected
            assert target_id == (partners[0] if expected == "matched" else None)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=10), st.lists(st.integers(0, 3), max_size=10))
def test_rule_2_5_twins_pair_one_to_one(sent: list[int], found: list[int]) -> None:
    left = pl.DataFrame(
        {"row": range(len(sent)), "hash": sent}, schema_overrides={"hash": pl.Int64}
    )
    right = pl.DataFrame(
        {"target_id": [f"t{n}" for n in range(len(found))], "hash": found},
        schema_overrides={"hash": pl.Int64, "target_id": pl.String},
    )

    pairs = pair_twins(left, right)

    expected = sum((Counter(sent) & Counter(found)).values())
    assert pairs.height == expected
    assert pairs["row"].n_unique() == expected
    assert pairs["target_id"].n_unique() == expected
    for row, target_id, is_twin in pairs.iter_rows():
        assert sent[row] == found[int(target_id[1:])]
        assert is_twin == (sent.count(sent[row]) > 1)


def test_rule_6_3_multisets_are_equal_in_any_order_and_number() -> None:
    assert equal_multisets(pl.Series([1, 2, 2, None]), pl.Series([2, None, 1, 2]))
    assert not equal_multisets(pl.Series([1, 2, 2]), pl.Series([1, 1, 2]))
    assert not equal_multisets(pl.Series([1]), pl.Series([1, 1]))


def test_repeated_ignores_blanks() -> None:
    assert repeated(pl.Series(["a", None, "a", None, "b"])).to_list() == [
        True,
        False,
        True,
        False,
        False,
    ]
