"""Find records that are likely the same: exact groups and scored clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import polars as pl

from core.operations.matching.blocking import Block, blocks, union
from core.operations.matching.fields import (
    CLOSE,
    DIFFERENT,
    EXACT,
    MISSING,
    SIMILAR,
    ComparedField,
    FieldKind,
    Ints,
    Levels,
    compared_field,
    normal_text,
)
from core.operations.matching.weights import Floats, Weights, estimate

#: pairs at or above are taken as the same unless a person says otherwise
ACCEPT_FROM = 0.9
#: pairs at or above are shown
SHOW_FROM = 0.5
#: bits below the shown ones up to which a pair is looked at to the end
MARGIN_BITS = 5.0


@dataclass(frozen=True, slots=True)
class Likeness:
    """What was found, by row positions of the frame that was searched."""

    #: left, right (UInt32, left < right), probability (Float64), bits (Float64); best first
    pairs: pl.DataFrame
    #: row (UInt32), cluster (UInt32, the smallest row in it); rows of clusters of two and more
    clusters: pl.DataFrame
    #: bits by level (exact, close, similar, different) of every compared field
    weights: Mapping[str, tuple[float, float, float, float]]
    #: pairs that were looked at
    compared: int


def exact_groups(frame: pl.DataFrame, fields: Sequence[str], *, loose: bool = True) -> pl.DataFrame:
    """Rows that agree on all of the fields: ``row``, ``cluster`` (the smallest row of the group).

    Args:
        loose: compare in normal form (case, accents, punctuation do not count).

    Rows in which every field is blank agree with nothing. Cost: one hash per row, in DuckDB.
    """
    keys = {
        f"k{at}": normal_text(frame[name].cast(pl.String)) if loose else frame[name].cast(pl.String)
        for at, name in enumerate(fields)
    }
    keyed = pl.DataFrame(keys).with_row_index("row")
    keyed = keyed.filter(~pl.all_horizontal(pl.col(list(keys)).is_null())).to_arrow()
    names = ", ".join(keys)
    with duckdb.connect() as database:
        database.register("keyed", keyed)
        found = database.execute(
            f"SELECT row, min(row) OVER same AS cluster, count(*) OVER same AS size FROM keyed "  # noqa: S608 own column names
            f"WINDOW same AS (PARTITION BY {names}) QUALIFY size > 1 ORDER BY cluster, row"
        ).fetchnumpy()
    columns = {name: np.asarray(found[name], np.uint32) for name in ("row", "cluster")}
    return pl.DataFrame(columns)


def likely_same(
    frame: pl.DataFrame,
    fields: Sequence[str],
    *,
    side: pl.Series | None = None,
    accept_from: float = ACCEPT_FROM,
    show_from: float = SHOW_FROM,
) -> Likeness:
    """Pairs and clusters of likely duplicates, thresholds estimated from the data.

    Args:
        fields: columns to compare; values are read as text.
        side: a code per row; only rows of different sides are compared (source against target).
        accept_from, show_from: probabilities from which pairs are joined, and shown.

    Cost: about five pairs a row; texts of at most 250,000 pairs in memory at a time.
    """
    compared = [compared_field(frame, name) for name in fields]
    filled = [field for field in compared if field.kind is not FieldKind.EMPTY]
    if not filled or frame.height < 2:
        return _nothing()
    # one value for all tells nobody apart, and its key would pair everybody with everybody
    compared = [field for field in filled if field.values.len() > 1] or filled
    given = blocks(compared, side=side)
    left, right = union(frame.height, given, side=side)
    if not len(left):
        return _nothing()
    weights = estimate(compared, given)
    total = frame.height * (frame.height - 1) / 2
    floor = _bits_to_show(weights, total, show_from)
    bits, kept = _scored(compared, weights, (left, right), floor=floor)
    probability = _probabilities(bits, weights, total)
    shown = probability >= show_from
    pairs = pl.DataFrame(
        {
            "left": left[kept][shown].astype(np.uint32),
            "right": right[kept][shown].astype(np.uint32),
            "probability": probability[shown],
            "bits": bits[shown],
        }
    )
    pairs = pl.concat([pairs, _agreeing(filled, side=side)])
    pairs = pairs.sort(
        "probability", "bits", "left", "right", descending=[True, True, False, False]
    )
    pairs = pairs.unique(["left", "right"], keep="first", maintain_order=True)
    joined = pairs.filter(pl.col("probability") >= accept_from)
    told = {field.name: tuple(map(float, weights.bits(field.name))) for field in compared}
    return Likeness(pairs, clusters_of(joined, frame.height), told, len(left))  # type: ignore[arg-type]  # four levels


def explain(
    frame: pl.DataFrame, pair: tuple[int, int], weights: Mapping[str, Sequence[float]]
) -> dict[str, tuple[str, float]]:
    """Why two rows are (not) the same: level in words and bits, by field."""
    words = {EXACT: "same", CLOSE: "close", SIMILAR: "similar", DIFFERENT: "different"}
    rows = frame.select(list(weights))[list(pair)]
    found = {}
    for name, bits in weights.items():
        field = compared_field(rows, name)
        if field.kind is FieldKind.EMPTY:
            continue
        level = int(field.levels(np.array([0]), np.array([1]))[0])
        found[name] = ("blank", 0.0) if level == MISSING else (words[level], float(bits[level]))
    return found


def clusters_of(pairs: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Connected rows under their smallest member: ``row``, ``cluster``."""
    parent = np.arange(rows)

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    for left, right in zip(pairs["left"].to_list(), pairs["right"].to_list(), strict=True):
        a, b = root(left), root(right)
        if a != b:
            parent[max(a, b)] = min(a, b)
    members = np.unique(np.concatenate([pairs["left"].to_numpy(), pairs["right"].to_numpy()]))
    heads = [root(int(row)) for row in members]
    schema = {"row": pl.UInt32, "cluster": pl.UInt32}
    return pl.DataFrame({"row": members, "cluster": heads}, schema=schema).sort("cluster", "row")


def _agreeing(compared: Sequence[ComparedField], *, side: pl.Series | None) -> pl.DataFrame:
    """Pairs that agree on everything compared: taken as the same however common their values are.

    Two filled fields are asked for where more than one is compared, so that near-empty records are
    not thrown together.
    """
    codes = pl.DataFrame({f"c{at}": field.codes for at, field in enumerate(compared)})
    filled = np.sum([field.codes >= 0 for field in compared], axis=0)
    enough = pl.Series(filled >= min(2, len(compared)), dtype=pl.Boolean)
    groups = codes.with_row_index("row").filter(enough)
    pairs = groups.select(
        pl.col("row").shift(1).over(codes.columns).alias("left"), pl.col("row").alias("right")
    ).drop_nulls("left")
    if side is not None:
        apart = side.gather(pairs["left"]) != side.gather(pairs["right"])
        pairs = pairs.filter(apart)
    return pairs.select(
        "left",
        "right",
        pl.lit(ACCEPT_FROM).alias("probability"),
        pl.lit(0.0).alias("bits"),
    )


def _scored(
    fields: Sequence[ComparedField], weights: Weights, pairs: tuple[Ints, Ints], *, floor: float
) -> tuple[Floats, Ints]:
    """Bits of the pairs that can still reach ``floor``, and their positions.

    First by codes alone, taking the best for whatever is not equal; then field by field, the
    telling ones first, dropping pairs as they become hopeless. Most texts are never compared.
    """
    left, right = pairs
    levels = {field.name: field.agreement(left, right) for field in fields}
    hope = sum(
        (_hoped(field, weights, levels[field.name], left=left) for field in fields),
        start=np.zeros(len(left)),
    )
    kept = np.flatnonzero(hope >= floor)
    hope = hope[kept]
    for field in sorted(fields, key=lambda one: -np.ptp(weights.bits(one.name)[CLOSE:])):
        here = levels.pop(field.name)[kept]
        open_ones = here == DIFFERENT
        field.refine(here, left[kept], right[kept])
        bits = weights.bits(field.name)
        best = max(bits[CLOSE:])
        hope[open_ones] += bits[here[open_ones]] - best
        alive = hope >= floor
        kept, hope = kept[alive], hope[alive]
    return hope, kept


def _hoped(field: ComparedField, weights: Weights, levels: Levels, *, left: Ints) -> Floats:
    bits = np.zeros(len(levels))
    equal = levels == EXACT
    bits[equal] = weights.exact_bits(field, field.codes[left[equal]])
    bits[levels == DIFFERENT] = max(weights.bits(field.name)[CLOSE:])
    return bits


def _bits_to_show(weights: Weights, total: float, show_from: float) -> float:
    prior = min(weights.expected_matches / total, 0.5)
    return float(np.log2(show_from / (1 - show_from)) - np.log2(prior / (1 - prior))) - MARGIN_BITS


def _probabilities(bits: Floats, weights: Weights, total: float) -> Floats:
    """Bits and the share of true pairs among all, which the bits themselves tell."""
    prior = min(weights.expected_matches / total, 0.5)
    found: Floats = np.zeros(len(bits))
    for _ in range(30):
        found = 1 / (1 + np.exp2(np.clip(-(bits + np.log2(prior / (1 - prior))), -200, 200)))
        before, prior = prior, float(np.clip(found.sum() / total, 1e-15, 0.5))
        if abs(prior - before) < 1e-4 * before:
            break
    return found


def _nothing() -> Likeness:
    pairs = pl.DataFrame(
        schema={
            "left": pl.UInt32,
            "right": pl.UInt32,
            "probability": pl.Float64,
            "bits": pl.Float64,
        }
    )
    return Likeness(pairs, pl.DataFrame(schema={"row": pl.UInt32, "cluster": pl.UInt32}), {}, 0)


__all__ = ["SIMILAR", "Block", "Likeness", "clusters_of", "exact_groups", "explain", "likely_same"]
