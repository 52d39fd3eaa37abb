"""Likely duplicates: found on sets with truth, explained, and kept apart where asked."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.operations.matching import blocking
from core.operations.matching.fields import FieldKind, compared_field, kind_of, normal_text
from core.operations.matching.search import (
    Likeness,
    clusters_of,
    exact_groups,
    explain,
    likely_same,
)


def febrl(fixtures: Path, number: int) -> tuple[pl.DataFrame, list[str], np.ndarray]:
    path = fixtures / f"C_awkward_and_duplicates/febrl/dataset{number}.csv"
    frame = pl.read_csv(path, infer_schema=False)
    frame.columns = [name.strip() for name in frame.columns]
    frame = frame.with_columns(pl.all().str.strip_chars())
    truth = frame["rec_id"].str.extract(r"rec-(\d+)-").cast(pl.Int64).to_numpy()
    return frame, [name for name in frame.columns if name != "rec_id"], truth


def f1_of(found: Likeness, truth: np.ndarray) -> float:
    labels = np.arange(len(truth))
    labels[found.clusters["row"].to_numpy()] = found.clusters["cluster"].to_numpy()
    frame = pl.DataFrame({"label": labels, "truth": truth})

    def pairs(*names: str) -> int:
        sizes = frame.group_by(names).len()["len"].cast(pl.Int64)
        return int((sizes * (sizes - 1) // 2).sum())

    return 2 * pairs("label", "truth") / (pairs("label") + pairs("truth"))


@pytest.mark.real
def test_febrl_2_is_solved_without_a_threshold_set_by_hand(fixtures_dir: Path) -> None:
    frame, fields, truth = febrl(fixtures_dir, 2)

    assert f1_of(likely_same(frame, fields), truth) >= 0.97
    harder = [name for name in fields if name != "soc_sec_id"]
    assert f1_of(likely_same(frame, harder), truth) >= 0.97


@pytest.mark.real
def test_other_sets_with_truth_are_solved_by_the_same_defaults(fixtures_dir: Path) -> None:
    fake = pl.read_csv(
        fixtures_dir / "C_awkward_and_duplicates/splink/fake_1000.csv", infer_schema=False
    )
    path = (
        fixtures_dir / "C_awkward_and_duplicates/dedupe_benchmark/restaurant-nophone-training.csv"
    )
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines, skipinitialspace=True))
    places = pl.DataFrame(rows[1:], schema=rows[0], orient="row")

    persons = likely_same(fake, ["first_name", "surname", "dob", "city", "email"])
    tables = likely_same(places, ["name", "address", "city", "cuisine"])

    assert f1_of(persons, fake["cluster"].cast(pl.Int64).to_numpy()) >= 0.90
    assert f1_of(tables, places["unique_id"].to_physical().hash().to_numpy()) >= 0.80


@pytest.mark.real
def test_across_two_sides_only_pairs_of_different_sides_are_found(fixtures_dir: Path) -> None:
    frame, fields, _ = febrl(fixtures_dir, 2)
    side = frame["rec_id"].str.contains("dup").cast(pl.UInt8)

    found = likely_same(frame, fields, side=side)

    codes = side.to_numpy()
    assert found.pairs.height > 900
    assert (codes[found.pairs["left"].to_numpy()] != codes[found.pairs["right"].to_numpy()]).all()


def test_exact_groups_ignore_case_and_accents_but_not_blanks() -> None:
    frame = pl.DataFrame(
        {
            "name": ["Zoë Müller", "ZOE MULLER", "Ann", None, None, "Ann"],
            "city": ["Köln", "koln", "Ulm", None, None, "Bonn"],
        }
    )

    loose = exact_groups(frame, ["name", "city"])
    strict = exact_groups(frame, ["name", "city"], loose=False)

    assert loose.rows() == [(0, 0), (1, 0)]
    assert strict.height == 0
    assert exact_groups(frame, ["name"]).rows() == [(0, 0), (1, 0), (2, 2), (5, 2)]


def test_a_pair_is_explained_field_by_field() -> None:
    frame = pl.DataFrame({"name": ["Jon Smith", "John Smith"], "born": ["1971-05-24", None]})

    told = explain(frame, (0, 1), {"name": (8, 5, 1, -4), "born": (9, 6, 2, -3)})

    assert told == {"name": ("close", 5.0), "born": ("blank", 0.0)}


def test_nothing_to_compare_gives_nothing() -> None:
    empty = likely_same(pl.DataFrame({"a": [None, None]}, schema={"a": pl.String}), ["a"])

    assert (empty.pairs.height, empty.clusters.height, empty.compared) == (0, 0, 0)
    assert likely_same(pl.DataFrame({"a": ["x"]}), ["a"]).compared == 0


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1971-06-24", "0221 4712", "+49 30 1"], FieldKind.DIGITS),
        (["Ann", "von Berg"], FieldKind.NAME),
        (["435 la cienega blvd west", "3108 16th street south"], FieldKind.TEXT),
        ([None, "  "], FieldKind.EMPTY),
    ],
)
def test_a_field_is_known_by_its_values(texts: list[str | None], kind: FieldKind) -> None:
    assert kind_of(normal_text(pl.Series(texts, dtype=pl.String))) is kind


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)).filter(lambda p: p[0] != p[1])),
)
def test_clusters_are_the_connected_rows(pairs: list[tuple[int, int]]) -> None:
    ordered = [(min(pair), max(pair)) for pair in pairs]
    frame = pl.DataFrame(ordered, schema={"left": pl.UInt32, "right": pl.UInt32}, orient="row")

    cluster = dict(clusters_of(frame, 20).rows())

    assert set(cluster) == {row for pair in ordered for row in pair}
    assert all(cluster[left] == cluster[right] for left, right in ordered)
    assert all(head <= row and cluster[head] == head for row, head in cluster.items())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["ann", "bob", None, "cleo", "dora"]), min_size=2, max_size=30))
def test_a_block_holds_every_pair_of_equal_values_once(names: list[str | None]) -> None:
    field = compared_field(pl.DataFrame({"n": names}, schema={"n": pl.String}), "n")

    found = blocking.blocks([field]) if field.kind is not FieldKind.EMPTY else []

    pairs = sorted(
        (int(left), int(right))
        for block in found
        for left, right in zip(block.left, block.right, strict=True)
    )
    assert pairs == [
        (left, right)
        for left in range(len(names))
        for right in range(left + 1, len(names))
        if names[left] is not None and names[left] == names[right]
    ]


def crossed() -> pl.DataFrame:
    """Every first name with every last name once: alike by halves, none of them the same."""
    first = ["Ada", "Björn", "Chiara", "Dmitri", "Elif", "Femke", "Goran", "Klaus", "Igor", "Jana"]
    last = [
        "Ahlgren",
        "Moreau",
        "O'Brien",
        "Sandberg",
        "Tanaka",
        "Ueda",
        "Vega",
        "Wolf",
        "Xu",
        "Yi",
    ]
    people = [
        (
            a,
            b,
            f"{a}.{b}@customer.example".lower(),
            None if (n + m) % 3 else f"+47 4{n}{m}{n * 7}{m}",
        )
        for n, a in enumerate(first * 3)
        for m, b in enumerate(last * 3)
        if n < 10 or m < 20
    ]
    return pl.DataFrame(people, schema=["first", "last", "email", "phone"], orient="row").unique(
        ["first", "last"], maintain_order=True
    )


@pytest.mark.parametrize(
    "fields", [["first", "last", "email", "phone"], ["first", "last", "email"], ["first", "last"]]
)
def test_names_made_of_the_same_words_are_not_taken_for_duplicates(fields: list[str]) -> None:
    """Seen on a practice org: 41 colleagues of one first name were "96 % likely" the same."""
    frame = crossed()

    assert likely_same(frame, fields).clusters.height == 0
    planted = likely_same(pl.concat([frame, frame.head(5)]), fields)
    assert planted.clusters.height == 10
    assert planted.pairs["probability"].min() >= 0.9


def test_mailboxes_of_one_domain_are_told_apart() -> None:
    frame = pl.DataFrame(
        {"mail": ["ann.ng@a.example", "bob.no@a.example", "ANN.NG@other.example"] * 9}
    )
    field = compared_field(frame, "mail")

    assert field.kind is FieldKind.EMAIL
    assert field.levels(np.array([0, 0, 1]), np.array([1, 2, 2])).tolist() == [3, 2, 3]


def test_one_first_name_for_all_hides_nobody() -> None:
    """A field with one value tells nobody apart; a wrong letter in every repeat is no relative."""
    syllables = ("ka", "mi", "ro", "ten", "bel", "so", "var", "lin", "dor", "pe", "shu", "gra")
    rand = np.random.default_rng(3)
    names = ["".join(rand.choice(syllables, 3)).capitalize() for _ in range(500)]
    mails = [f"{number}@x.example" for number in rand.integers(10**8, 10**9, 500)]
    wrong = [f"{name[:2]}q{name[3:]}" for name in names[:40]]
    people = {"First": ["Anna"] * 540, "Last": names + wrong, "Mail": mails + mails[:40]}
    frame = pl.DataFrame(people)

    found = likely_same(frame, list(people))

    truth = np.array([*range(500), *range(40)])
    assert f1_of(found, truth) >= 0.7
    assert "First" not in found.weights
    same = likely_same(frame.select("First"), ["First"])
    assert same.clusters.height == frame.height
