"""Duplicate search by Splink: match weights learnt from the records by its own training.

An optional extra (requirements-splink.txt); the default search needs nothing of it. The result has
the shape of `core.operations.matching.search.likely_same`, with Splink's weights in it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from core.errors import UserError
from core.operations.matching.fields import normal_text
from core.operations.matching.search import ACCEPT_FROM, SHOW_FROM, Likeness, clusters_of

if TYPE_CHECKING:
    from splink import Linker

#: likeness (Jaro-Winkler) from which texts count as close, and as similar
CLOSE_FROM, SIMILAR_FROM = 0.92, 0.8
#: a key is sought by when it makes at most so many pairs a record
PAIRS_A_RECORD = 40
#: pairs of strangers by which chance agreement is learnt
RANDOM_PAIRS = 1_000_000
#: keys by which training looks at pairs
TRAINING_KEYS = 3
#: never quite certain, so that a weight stays a number
LEAST = 1e-9

_SOURCE_OF_WARNINGS = "splink"


def trained(
    frame: pl.DataFrame,
    fields: Sequence[str],
    *,
    side: pl.Series | None = None,
    accept_from: float = ACCEPT_FROM,
    show_from: float = SHOW_FROM,
) -> Likeness:
    """As `likely_same`, with weights that Splink trained on these records.

    Raises:
        UserError: Splink is not installed, or the records share too little to learn from.
    """
    given = pl.DataFrame({name: normal_text(frame[name].cast(pl.String)) for name in fields})
    filled = [name for name in fields if given[name].n_unique() > 1]
    keys = _keys(given, filled)
    # records brought together by every field leave none to learn from
    by = [key for key in keys if len(key) < len(filled)][:TRAINING_KEYS]
    if frame.height < 2 or not by:
        raise UserError(
            "The records share no values by which a trained search could learn.",
            next_step="Name other fields, or search without training.",
        )
    linker, close = _linker(given.select(filled), keys)
    try:
        _train(linker, keys, by=by)
        frames = linker.inference.predict(threshold_match_probability=show_from)
        found = pl.DataFrame(frames.as_pandas_dataframe())  # type: ignore[no-untyped-call]  # splink 5.0
        weights = _weights(linker, filled)
    finally:
        close()
    pairs = _pairs(found, side)
    joined = pairs.filter(pl.col("probability") >= accept_from)
    return Likeness(pairs, clusters_of(joined, frame.height), weights, found.height)


def _linker(given: pl.DataFrame, keys: Sequence[tuple[str, ...]]) -> tuple[Linker, Any]:
    try:
        import duckdb
        from splink import Linker, SettingsCreator, block_on
        from splink import comparison_library as compare
        from splink.backends.duckdb import DuckDBAPI
    except ImportError as missing:
        raise UserError(
            "The trained search needs Splink, which is not installed here.",
            state="Nothing was searched.",
            next_step="pip install -r requirements-splink.txt, or search without training.",
        ) from missing
    # it tells its progress as warnings of its own logger
    logging.getLogger(_SOURCE_OF_WARNINGS).setLevel(logging.ERROR)
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            compare.JaroWinklerAtThresholds(name, [CLOSE_FROM, SIMILAR_FROM])
            for name in given.columns
        ],
        blocking_rules_to_generate_predictions=[block_on(*key) for key in keys],
    )
    database = duckdb.connect()
    api = DuckDBAPI(connection=database)
    table = given.with_row_index("unique_id").with_columns(pl.col("unique_id").cast(pl.Int64))
    held = api.register(table.to_arrow())
    return Linker(held, settings, log_level=logging.ERROR), database.close


def _train(
    linker: Linker, keys: Sequence[tuple[str, ...]], *, by: Sequence[tuple[str, ...]]
) -> None:
    from splink import block_on

    training = linker.training
    training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS, seed=1)
    pure = sorted(keys, key=len, reverse=True)
    training.estimate_probability_two_random_records_match([block_on(*pure[0])], recall=0.8)
    for key in by:
        training.estimate_parameters_using_expectation_maximisation(block_on(*key))


def _keys(given: pl.DataFrame, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Fields, and pairs of fields, that bring few enough records together; the purest first."""
    most = PAIRS_A_RECORD * max(given.height, 50)
    sizes: dict[tuple[str, ...], int] = {}
    for width in (1, 2):
        for key in combinations(names, width):
            if width > 1 and any((name,) in sizes for name in key):
                continue
            counts = given.select(key).drop_nulls().group_by(key).len()["len"].cast(pl.Int64)
            pairs = int((counts * (counts - 1) // 2).sum())
            if 0 < pairs <= most:
                sizes[key] = pairs
    return sorted(sizes, key=lambda key: sizes[key])


def _weights(linker: Linker, names: Sequence[str]) -> dict[str, tuple[float, float, float, float]]:
    """Bits of exact, close, similar and different, by field."""
    model = linker.misc.save_model_to_json()
    found: dict[str, tuple[float, float, float, float]] = {}
    for name, comparison in zip(names, model["comparisons"], strict=True):
        levels = [one for one in comparison["comparison_levels"] if not one.get("is_null_level")]
        bits = [
            math.log2(
                max(one.get("m_probability") or LEAST, LEAST)
                / max(one.get("u_probability") or LEAST, LEAST)
            )
            for one in levels
        ]
        exact, near, like, other = bits
        found[name] = (exact, near, like, other)
    return found


def _pairs(found: pl.DataFrame, side: pl.Series | None) -> pl.DataFrame:
    left = found["unique_id_l"].cast(pl.UInt32).to_numpy()
    right = found["unique_id_r"].cast(pl.UInt32).to_numpy()
    pairs = pl.DataFrame(
        {
            "left": np.minimum(left, right),
            "right": np.maximum(left, right),
            "probability": found["match_probability"].cast(pl.Float64),
            "bits": found["match_weight"].cast(pl.Float64),
        }
    )
    if side is not None:
        apart = side.gather(pairs["left"]) != side.gather(pairs["right"])
        pairs = pairs.filter(apart)
    return pairs.sort("probability", "left", "right", descending=[True, False, False])
