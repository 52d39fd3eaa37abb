"""Which pairs of rows are worth a look: those that share a key, for a few keys that share little.

Comparing all pairs of a million rows would take years. Rows that share a value, or the beginnings
of two, are few; which such keys to use is decided by counting the pairs that each would give.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.operations.matching.fields import ComparedField, FieldKind, Ints

#: up to here every pair is compared
ALL_PAIRS_ROWS = 1_500
#: rows by which keys are judged when there are more
SAMPLE_ROWS = 100_000
#: letters of the beginnings (and of the ends, for digits) that make a key together
AFFIX = 4
#: sets of three beginnings that are tried
MOST_TRIPLES = 120
#: an odd number that spreads hashes when keys are joined
MIXER = np.uint64(0x9E3779B97F4A7C15)

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many pairs may be looked at."""

    pairs_per_rule: int
    pairs: int
    rules: int

    @classmethod
    def for_rows(cls, rows: int) -> Budget:
        """Generous for few rows; five pairs a row for many."""
        if rows > 2 * SAMPLE_ROWS:
            return cls(pairs_per_rule=rows, pairs=5 * rows, rules=10)
        return cls(pairs_per_rule=max(300_000, rows), pairs=3_000_000, rules=40)


@dataclass(frozen=True, slots=True)
class Block:
    """The pairs that one key gave."""

    #: fields that the key is made of: alike in every pair, so they teach nothing here
    fields: tuple[str, ...]
    left: Ints
    right: Ints


@dataclass(frozen=True, slots=True)
class _Part:
    """One ingredient of a key: a hash per row, 0 where the field is blank."""

    field: str
    hashes: Hashes
    #: the whole value, not only its beginning or end
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    parts: tuple[_Part, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(part.field for part in self.parts)

    def key(self, step: int = 1) -> Hashes:
        """The key of every ``step``-th row; 0 where a part is blank."""
        key = self.parts[0].hashes[::step].copy()
        for part in self.parts[1:]:
            other = part.hashes[::step]
            blank = (key == 0) | (other == 0)
            key = key * MIXER + other
            key[blank] = 0
        return key


def blocks(
    fields: Sequence[ComparedField], *, side: pl.Series | None = None, budget: Budget | None = None
) -> list[Block]:
    """Blocks of candidate pairs, ``left < right`` within each.

    Args:
        side: a code per row; only pairs of different sides are given (source against target).
    """
    rows = len(fields[0].codes)
    budget = budget or Budget.for_rows(rows)
    chosen: list[Block] = []
    spent = 0
    used: Counter[str] = Counter()
    per_field = max(2, -(-2 * budget.rules // len(fields)))
    with duckdb.connect() as database:
        for rule in _by_size(fields, rows, budget):
            if len(chosen) >= budget.rules or any(used[name] >= per_field for name in rule.fields):
                continue
            if any(set(block.fields) < set(rule.fields) for block in chosen):
                continue
            key = rule.key()
            pairs = _pairs_of(key)
            if pairs == 0 or pairs > budget.pairs_per_rule or spent + pairs > budget.pairs:
                continue
            chosen.append(Block(rule.fields, *_joined(database, key, side)))
            spent += pairs
            used.update(rule.fields)
    return chosen


def union(rows: int, given: Sequence[Block], *, side: pl.Series | None = None) -> tuple[Ints, Ints]:
    """Every pair of the blocks once; all pairs there are where rows are few."""
    if rows <= ALL_PAIRS_ROWS:
        left, right = np.triu_indices(rows, 1)
        if side is not None:
            codes = side.to_numpy()
            apart = codes[left] != codes[right]
            left, right = left[apart], right[apart]
        return left.astype(np.int64), right.astype(np.int64)
    if not given:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    coded = np.unique(np.concatenate([block.left * rows + block.right for block in given]))
    return coded // rows, coded % rows


def _by_size(fields: Sequence[ComparedField], rows: int, budget: Budget) -> list[_Rule]:
    """Rules in order of the pairs they give, judged on a sample; hopeless ones left out."""
    step = max(rows // SAMPLE_ROWS, 1)
    scale = step**2
    judged: list[tuple[int, int, _Rule]] = []
    for rule in _rules(fields, large=step > 1):
        pairs = _pairs_of(rule.key(step)) * scale
        if pairs <= 2 * budget.pairs_per_rule:
            judged.append((pairs, len(judged), rule))
    return [rule for _, _, rule in sorted(judged, key=lambda item: item[:2])]


def _rules(fields: Sequence[ComparedField], *, large: bool) -> Iterator[_Rule]:
    """Single values, pairs of beginnings; for many rows also pairs of values, three beginnings."""
    wholes = [_Part(field.name, _hashes(field, field.values), whole=True) for field in fields]
    affixes = [part for field in fields for part in _affixes(field)]
    for whole in wholes:
        yield _Rule((whole,))
    for field in fields:
        if field.kind is FieldKind.TEXT:
            yield _Rule((_Part(field.name, _rarest_word(field)),))
    sets: list[Iterator[tuple[_Part, ...]]] = [itertools.combinations(affixes, 2)]
    if large:
        sets.append(itertools.combinations(wholes, 2))
        sets.append(itertools.islice(itertools.combinations(affixes, 3), MOST_TRIPLES))
    for parts in itertools.chain(*sets):
        if len({part.field for part in parts}) == len(parts):
            yield _Rule(parts)


def _affixes(field: ComparedField) -> list[_Part]:
    found = [_Part(field.name, _hashes(field, field.values.str.slice(0, AFFIX)))]
    if field.kind is FieldKind.DIGITS:
        found.append(_Part(field.name, _hashes(field, field.values.str.slice(-AFFIX))))
    return found


def _hashes(field: ComparedField, texts: pl.Series) -> Hashes:
    """A hash per row of something that is told of each value; 0 where the row is blank."""
    return field.per_row(texts.hash().to_numpy())


def _rarest_word(field: ComparedField) -> Hashes:
    """The word of each row that fewest other rows have, but some have."""
    words = (
        pl.DataFrame({"text": field.values, "rows": field.rows[: field.values.len()]})
        .with_row_index("value")
        .with_columns(pl.col("text").str.split(" ").list.eval(pl.element().hash()).alias("word"))
        .explode("word")
    )
    sized = words.with_columns(pl.col("rows").sum().over("word").alias("held"))
    rarest = (
        sized.filter(pl.col("held") > 1)
        .group_by("value")
        .agg(pl.col("word").get(pl.col("held").arg_min()))
    )
    hashes = np.zeros(max(field.values.len(), 1), np.uint64)
    hashes[rarest["value"].to_numpy()] = rarest["word"].to_numpy()
    return field.per_row(hashes)


def _pairs_of(key: Hashes) -> int:
    ordered = np.sort(key[key != 0])
    if not len(ordered):
        return 0
    edges = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - np.uint64(1)))
    sizes = np.diff(edges, append=len(ordered)).astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def _joined(
    database: duckdb.DuckDBPyConnection, key: Hashes, side: pl.Series | None
) -> tuple[Ints, Ints]:
    rows = np.flatnonzero(key)
    sides = rows if side is None else side.to_numpy()[rows]
    keyed = pl.DataFrame({"k": key[rows], "i": rows, "s": sides}).to_arrow()
    database.register("keyed", keyed)
    found = database.execute(
        "SELECT a.i AS l, b.i AS r FROM keyed a JOIN keyed b ON a.k = b.k AND a.i < b.i "
        "WHERE a.s <> b.s"
    ).fetchnumpy()
    database.unregister("keyed")
    return np.asarray(found["l"], np.int64), np.asarray(found["r"], np.int64)
