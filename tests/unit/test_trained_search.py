"""The trained duplicate search: Splink's weights in our shape; a sentence where it is missing."""

from __future__ import annotations

import random
import sys

import polars as pl
import pytest

from core.errors import UserError
from core.operations.matching.search import explain
from core.operations.matching.trained import trained


def people(rows: int = 300) -> pl.DataFrame:
    """Persons of whom every third occurs again, with a typing error in the surname."""
    rand = random.Random(5)
    firsts = ["ann", "bo", "carla", "dmitri", "eve", "farid", "greta", "hugo", "ines", "jun"]
    lines: list[dict[str, str]] = []
    for number in range(rows):
        person = {
            "first": rand.choice(firsts),
            "last": "".join(rand.choices("abcdefghij", k=8)),
            "mail": f"m{number}@x.example",
            "zip": f"{rand.randrange(10, 60)}000",
        }
        lines.append({**person, "truth": str(number)})
        if number % 3 == 0:
            spoilt = person["last"][:-1] + "z"
            lines.append({**person, "last": spoilt, "truth": str(number)})
    return pl.DataFrame(lines)


def test_weights_are_learnt_and_twins_are_found() -> None:
    pytest.importorskip("splink")
    frame = people()

    found = trained(frame, ["first", "last", "mail", "zip"])

    assert found.clusters.height == 200
    truth = frame["truth"].gather(found.clusters["row"])
    assert (
        found.clusters.with_columns(truth)
        .group_by("cluster")
        .agg(pl.col("truth").n_unique())["truth"]
        .to_list()
        == [1] * 100
    )
    exact, _, _, different = found.weights["mail"]
    assert exact > 5
    assert different <= 0
    first, second = found.pairs.row(0)[:2]
    assert explain(frame, (first, second), found.weights)["mail"][0] == "same"
    side = pl.Series([0] * frame.height)
    assert trained(frame, ["first", "last", "mail"], side=side).pairs.is_empty()


def test_records_that_share_nothing_get_a_sentence() -> None:
    with pytest.raises(UserError, match="share no values"):
        trained(pl.DataFrame({"a": ["1", "2", "3"]}), ["a"])


def test_without_splink_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)

    with pytest.raises(UserError, match="needs Splink, which is not installed") as refused:
        trained(people(30), ["first", "last"])

    assert "requirements-splink.txt" in refused.value.next_step
