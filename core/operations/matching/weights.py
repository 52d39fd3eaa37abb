"""How much each level of agreement says, estimated from the data by expectation and maximisation.

``m`` is how often a level occurs among records that are the same, ``u`` among strangers. ``u``
comes from random pairs. ``m`` comes from blocks: within the pairs of one key, the fields outside
the key are a mixture of the two, which EM takes apart. A block in which few pairs are the same
teaches about households and towns instead, so the purest blocks are listened to first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.operations.matching.blocking import Block
from core.operations.matching.fields import (
    CLOSE,
    EXACT,
    LEVELS,
    MISSING,
    ComparedField,
    Ints,
    Levels,
)

Floats = NDArray[np.float64]

RANDOM_PAIRS = 200_000
#: pairs of one block that EM looks at
BLOCK_PAIRS = 20_000
#: matches heard of before less pure blocks are not listened to any more
ENOUGH_MATCHES = 50
#: what is believed of m before anything is seen, and how many matches that belief weighs
PRIOR = np.array([0.80, 0.10, 0.05, 0.05])
PRIOR_MATCHES = 4.0
#: records that are the same agree exactly or nearly on most fields; a mixture whose "same" do not
#: has found something else (colleagues, relatives, names made of the same words)
LEAST_ALIKE = 0.6
#: a rare value says at most so many bits more than the field's average
RARITY_BITS = 8.0


@dataclass(frozen=True, slots=True)
class Weights:
    """Bits for and against being the same, by field and level."""

    m: Mapping[str, Floats]
    u: Mapping[str, Floats]
    #: matches that the purest block let expect; a first guess
    expected_matches: float

    def bits(self, field: str) -> Floats:
        """log2(m/u) by level."""
        found: Floats = np.log2(self.m[field] / self.u[field])
        return found

    def exact_bits(self, field: ComparedField, codes: Ints) -> Floats:
        """Bits of an exact agreement: more for a rare value, fewer for a common one."""
        rarity = np.log2(self.u[field.name][EXACT] / field.frequency[codes])
        exact = self.bits(field.name)[EXACT]
        found: Floats = exact + np.clip(rarity, -RARITY_BITS, RARITY_BITS)
        return found


def estimate(fields: Sequence[ComparedField], blocks: Sequence[Block], *, seed: int = 1) -> Weights:
    """Weights for these fields; the same data give the same weights."""
    rand = np.random.default_rng(seed)
    u = _strangers(fields, rand)
    heard: dict[str, list[tuple[float, float, Floats]]] = {field.name: [] for field in fields}
    expected = 1.0
    for block in blocks:
        free = [field for field in fields if field.name not in block.fields]
        if not free or not len(block.left):
            continue
        share, m = _mixture(free, _sample(block, rand), u)
        if np.mean([m[field.name][[EXACT, CLOSE]].sum() for field in free]) < LEAST_ALIKE:
            continue
        matches = share * len(block.left)
        expected = max(expected, matches if share > 0.5 else 0.0)
        for field in free:
            heard[field.name].append((share, matches, m[field.name]))
    return Weights({name: _purest(found) for name, found in heard.items()}, u, expected)


def _strangers(fields: Sequence[ComparedField], rand: np.random.Generator) -> dict[str, Floats]:
    rows = len(fields[0].codes)
    left, right = rand.integers(0, rows, RANDOM_PAIRS), rand.integers(0, rows, RANDOM_PAIRS)
    apart = left != right
    left, right = left[apart], right[apart]
    found = {}
    for field in fields:
        levels = field.levels(left, right)
        seen = np.bincount(levels[levels != MISSING], minlength=LEVELS) + 0.5
        u = seen / seen.sum()
        # that two rows hold one value is known exactly from how often each value occurs
        u[EXACT] = max(float((field.frequency**2).sum()), 1e-9)
        found[field.name] = u
    return found


def _sample(block: Block, rand: np.random.Generator) -> Block:
    if len(block.left) <= BLOCK_PAIRS:
        return block
    picked = rand.choice(len(block.left), BLOCK_PAIRS, replace=False)
    return Block(block.fields, block.left[picked], block.right[picked])


def _mixture(
    fields: Sequence[ComparedField], block: Block, u: Mapping[str, Floats]
) -> tuple[float, dict[str, Floats]]:
    """Share of the same among the block's pairs, and m of each field."""
    table = np.stack([field.levels(block.left, block.right) for field in fields], axis=1)
    patterns, counts = np.unique(table, axis=0, return_counts=True)
    share = 0.1
    m = {field.name: PRIOR.copy() for field in fields}
    for _ in range(60):
        odds = share / (1 - share) * np.exp2(_pattern_bits(fields, patterns, m=m, u=u))
        weight = odds / (1 + odds) * counts
        for at, field in enumerate(fields):
            m[field.name] = _shares(patterns[:, at], weight)
        before, share = share, float(np.clip(weight.sum() / counts.sum(), 1e-9, 0.999))
        if abs(before - share) < 1e-7:
            break
    return share, m


def _pattern_bits(
    fields: Sequence[ComparedField],
    patterns: Levels,
    *,
    m: Mapping[str, Floats],
    u: Mapping[str, Floats],
) -> Floats:
    bits = np.zeros(len(patterns))
    for at, field in enumerate(fields):
        told = patterns[:, at] != MISSING
        ratio = np.log2(m[field.name] / u[field.name])
        bits[told] += ratio[patterns[told, at]]
    return np.clip(bits, -80, 80)


def _shares(levels: Levels, weight: Floats) -> Floats:
    told = levels != MISSING
    seen = PRIOR * PRIOR_MATCHES
    seen = seen + np.bincount(levels[told], weights=weight[told], minlength=LEVELS)
    found: Floats = seen / seen.sum()
    return found


def _purest(heard: list[tuple[float, float, Floats]]) -> Floats:
    if not heard:
        return PRIOR
    taken, matches = [], 0.0
    for share, expected, m in sorted(heard, key=lambda item: -item[0]):
        taken.append((expected + 1e-6, m))
        matches += expected
        if matches >= ENOUGH_MATCHES or share < 0.01:
            break
    found: Floats = np.average(
        [m for _, m in taken], axis=0, weights=[expected for expected, _ in taken]
    )
    return found
