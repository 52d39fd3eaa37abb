"""One compared field: its values in normal form, coded, and how alike two of them are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA, JaroWinkler

Ints = NDArray[np.int64]
Levels = NDArray[np.int8]

#: agreement of two values; the order is that of likeness
EXACT, CLOSE, SIMILAR, DIFFERENT = 0, 1, 2, 3
LEVELS = 4
MISSING = -1
#: pairs compared at a time, which bounds the texts in memory
CHUNK_PAIRS = 250_000
#: rows by which the kind of a field is known
SAMPLE_ROWS = 5_000


class FieldKind(StrEnum):
    """What a field holds, which decides how its values are compared."""

    DIGITS = "digits"  # dates, phones, postcodes, numbers: edit distance
    NAME = "name"  # a word or two: Jaro-Winkler
    EMAIL = "email"  # edit distance: mailboxes of one domain are alike without being the same
    TEXT = "text"  # several words, order and abbreviations vary: tokens
    EMPTY = "empty"  # no value at all: not compared


@dataclass(frozen=True, slots=True)
class ComparedField:
    """A field's values by code; rows of the frame are the positions."""

    name: str
    kind: FieldKind
    #: distinct values in normal form; a code is a position in it
    values: pl.Series
    #: code per row, -1 for blank
    codes: Ints
    #: rows that hold a value, by code
    rows: Ints

    @property
    def frequency(self) -> NDArray[np.float64]:
        """Share of the filled rows that hold a value, by code."""
        return self.rows / max(int(self.rows.sum()), 1)

    def per_row(self, by_code: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """What every row gets of something that each value has; 0 where the row is blank."""
        found = np.zeros(len(self.codes), np.uint64)
        filled = self.codes >= 0
        found[filled] = by_code[self.codes[filled]]
        return found

    def agreement(self, left: Ints, right: Ints) -> Levels:
        """EXACT, MISSING, or DIFFERENT where a look at the texts has yet to tell."""
        a, b = self.codes[left], self.codes[right]
        levels = np.full(len(left), DIFFERENT, np.int8)
        levels[a == b] = EXACT
        levels[(a < 0) | (b < 0)] = MISSING
        return levels

    def refine(self, levels: Levels, left: Ints, right: Ints) -> None:
        """Grade the DIFFERENT ones among ``levels`` by likeness, in place."""
        unlike = np.flatnonzero(levels == DIFFERENT)
        for start in range(0, len(unlike), CHUNK_PAIRS):
            rows = unlike[start : start + CHUNK_PAIRS]
            a = self.values.gather(self.codes[left[rows]]).to_list()
            b = self.values.gather(self.codes[right[rows]]).to_list()
            levels[rows] = _likeness(self.kind, a, b)

    def levels(self, left: Ints, right: Ints) -> Levels:
        """The level of each pair of rows."""
        found = self.agreement(left, right)
        self.refine(found, left, right)
        return found


def compared_field(frame: pl.DataFrame, name: str) -> ComparedField:
    """The column in normal form, coded; each distinct text is looked at once."""
    texts = frame[name].cast(pl.String)
    distinct = texts.unique()
    normal = normal_text(distinct)
    kind = kind_of(normal_text(texts.head(SAMPLE_ROWS)))
    if kind is FieldKind.EMAIL:
        normal = distinct.str.strip_chars().str.to_lowercase().replace("", None)
    elif kind is FieldKind.DIGITS:
        normal = normal.str.replace_all(" ", "")
    values = normal.drop_nulls().unique()
    codes = _positions(normal, values)[_positions(texts, distinct)]
    rows = np.bincount(codes[codes >= 0], minlength=max(values.len(), 1))
    if kind is FieldKind.EMPTY and values.len():
        kind = kind_of(values.head(SAMPLE_ROWS))
    return ComparedField(name, kind, values, codes, rows)


def _positions(texts: pl.Series, among: pl.Series) -> Ints:
    """Where each text stands among the others; -1 for one that is not there (or null)."""
    places = pl.DataFrame({"text": among}).with_row_index("at")
    found = (
        texts.alias("text")
        .to_frame()
        .join(places, on="text", how="left", maintain_order="left", nulls_equal=True)
    )
    return np.asarray(found["at"].cast(pl.Int64).fill_null(-1).to_numpy(), np.int64)


def normal_text(texts: pl.Series) -> pl.Series:
    """Small letters without accents, punctuation as one space; null for blank."""
    plain = (
        pl.col("text")
        .str.to_lowercase()
        .str.normalize("NFKD")
        .str.replace_all(r"\p{M}", "")
        .str.replace_all(r"[^\p{L}\p{N}@]+", " ")
        .str.strip_chars()
    )
    found = texts.to_frame("text").select(plain)
    return found.select(pl.when(pl.col("text") != "").then(pl.col("text")))["text"]


def kind_of(texts: pl.Series) -> FieldKind:
    """What the field holds, by a look at some of its values in normal form."""
    sample = texts.drop_nulls()
    if sample.len() == 0:
        return FieldKind.EMPTY
    characters = int(sample.str.len_chars().sum())
    digits = int(sample.str.count_matches(r"\p{N}").sum())
    spaces = int(sample.str.count_matches(" ").sum())
    if int(sample.str.contains("@", literal=True).sum()) > 0.7 * sample.len():
        return FieldKind.EMAIL
    if digits > 0.6 * characters:
        return FieldKind.DIGITS
    return FieldKind.TEXT if spaces >= 1.5 * sample.len() else FieldKind.NAME


def _likeness(kind: FieldKind, a: list[str], b: list[str]) -> Levels:
    if kind is FieldKind.DIGITS:
        edits = process.cpdist(a, b, scorer=OSA.distance, score_cutoff=2, workers=-1)
        return _graded(edits <= 1, edits <= 2)
    if kind is FieldKind.EMAIL:
        edits = process.cpdist(a, b, scorer=OSA.distance, score_cutoff=3, workers=-1)
        mailboxes = [[text.partition("@")[0] for text in side] for side in (a, b)]
        same = np.array([x == y for x, y in zip(*mailboxes, strict=True)], dtype=np.bool_)
        return _graded(edits <= 1, (edits <= 3) | same)
    if kind is FieldKind.TEXT:
        sorted_ratio = process.cpdist(a, b, scorer=fuzz.token_sort_ratio, workers=-1)
        # a set ignores what one side has more; it counts a little less than the same words
        set_ratio = process.cpdist(a, b, scorer=fuzz.token_set_ratio, workers=-1)
        alike = np.maximum(sorted_ratio, 0.95 * set_ratio)
        return _graded(alike >= 90, alike >= 72)
    alike = process.cpdist(a, b, scorer=JaroWinkler.normalized_similarity, workers=-1)
    return _graded(alike >= 0.92, alike >= 0.82)


def _graded(close: NDArray[np.bool_], similar: NDArray[np.bool_]) -> Levels:
    return np.where(close, CLOSE, np.where(similar, SIMILAR, DIFFERENT)).astype(np.int8)
