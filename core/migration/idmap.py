"""Source id → target id for millions of records in 16 bytes each: ids as integers, sorted arrays.

A Salesforce id is 15 characters of base 62 (plus a checksum that says nothing new): 90 bits. Its
first six characters (object prefix, instance, reserved) take few values in one org, so they become
a number in a small table and the other nine fill 54 bits: an id is one int64. Looking a page of ids
up is a binary search of NumPy; nothing here loops over rows in Python.

    encode: text (15 or 18) ─▶ int64 (-1 for null or nonsense)      decode: int64 ─▶ 18-character
    text
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import BugError

Codes = npt.NDArray[np.int64]

#: characters of the id that go into the table of heads
HEAD = 6
TAIL = 9
NONE = np.int64(-1)
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGIT = np.full(256, 255, dtype=np.uint8)
_DIGIT[np.frombuffer(_ALPHABET, dtype=np.uint8)] = np.arange(62, dtype=np.uint8)
_POWERS = (62 ** np.arange(14, -1, -1, dtype=object))[-TAIL:].astype(np.int64)
_HEAD_POWERS = (62 ** np.arange(HEAD - 1, -1, -1)).astype(np.int64)
_CHECK = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", dtype=np.uint8)
_LETTERS = np.frombuffer(_ALPHABET, dtype=np.uint8)
#: 62**9 < 2**54
_TAIL_BITS = 54
#: heads that fit beside the tail in 63 bits
_HEADS_MAX = 512


class IdCodes:
    """The table of heads; one per process is enough for any number of orgs of one run.
    Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heads = np.empty(0, dtype=np.int64)

    def encode(self, ids: pl.Series) -> Codes:
        """Codes of ids (String); -1 where null or not 15 or 18 base-62 characters."""
        n = len(ids)
        codes = np.full(n, NONE, dtype=np.int64)
        lengths = ids.str.len_bytes()
        fit = (((lengths == 15) | (lengths == 18)).fill_null(False)).to_numpy()
        if not fit.any():
            return codes
        chosen = ids if fit.all() else ids.filter(pl.Series(fit))
        raw = _joined(chosen)
        digits = _DIGIT[raw.reshape(-1, 15)]
        good = (digits != 255).all(axis=1)
        wide = digits.astype(np.int64)
        heads = wide[:, :HEAD] @ _HEAD_POWERS
        tails = wide[:, HEAD:] @ _POWERS
        coded = (self._head_numbers(heads, good) << _TAIL_BITS) | tails
        coded[~good] = NONE
        codes[fit] = coded
        return codes

    def decode(self, codes: Codes) -> pl.Series:
        """18-character ids; null where the code is -1."""
        present = codes != NONE
        given = codes[present]
        digits = np.empty((len(given), 15), dtype=np.int64)
        rest = given & ((1 << _TAIL_BITS) - 1)
        for place in range(14, HEAD - 1, -1):
            rest, digits[:, place] = np.divmod(rest, 62)
        rest = self._heads[given >> _TAIL_BITS]
        for place in range(HEAD - 1, -1, -1):
            rest, digits[:, place] = np.divmod(rest, 62)
        text = np.empty((len(given), 18), dtype=np.uint8)
        text[:, :15] = _LETTERS[digits]
        upper = ((digits >= 10) & (digits < 36)).reshape(-1, 3, 5)
        text[:, 15:] = _CHECK[upper @ np.array([1, 2, 4, 8, 16])]
        # astype("U18") would cost 72 bytes a row; arrow takes the bytes as they are
        column = pl.Series(text.reshape(-1).view("S18")).cast(pl.String) if len(given) else None
        if column is None:
            return pl.Series([None] * len(codes), dtype=pl.String)
        if present.all():
            return column
        places = np.where(present, np.cumsum(present) - 1, 0)
        found = column.gather(pl.Series(places))
        return (
            pl.select(pl.when(pl.Series(present)).then(found)).to_series() if len(codes) else column
        )

    def _head_numbers(self, heads: Codes, good: npt.NDArray[np.bool_]) -> Codes:
        unique, inverse = np.unique(heads, return_inverse=True)
        with self._lock:
            wanted = np.unique(heads[good])
            new = wanted[~np.isin(wanted, self._heads)]
            if len(new):
                if len(self._heads) + len(new) > _HEADS_MAX:
                    raise BugError(
                        f"More than {_HEADS_MAX} kinds of ids in one run.",
                        state="Nothing of this page was sent.",
                    )
                self._heads = np.concatenate([self._heads, new])
            order = np.argsort(self._heads)
            at = np.searchsorted(self._heads, unique, sorter=order)
            numbers = order[np.minimum(at, len(order) - 1)] if len(order) else at * 0
        return np.asarray(numbers[inverse], dtype=np.int64)


def _joined(ids: pl.Series) -> npt.NDArray[np.uint8]:
    cut = ids.str.slice(0, 15).to_arrow()
    # the values of a string array without nulls lie end to end
    import pyarrow as pa

    flat = pa.concat_arrays([cut.cast(pa.large_binary())])
    offsets = np.frombuffer(flat.buffers()[1], dtype=np.int64)[
        flat.offset : flat.offset + len(flat) + 1
    ]
    return np.frombuffer(flat.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]


class IdMap:
    """One mapping's source codes → target codes; later entries replace earlier ones. Thread-safe.

    Additions collect unsorted and are merged in before the next look-up: loading adds, the next
    object looks up. Memory: 16 bytes a record, twice that while merging.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys = np.empty(0, dtype=np.int64)
        self._values = np.empty(0, dtype=np.int64)
        self._added: list[tuple[Codes, Codes]] = []

    def __len__(self) -> int:
        with self._lock:
            self._merge()
            return len(self._keys)

    def add(self, sources: Codes, targets: Codes) -> None:
        """Notes pairs; a target of -1 forgets the source."""
        with self._lock:
            self._added.append((sources, targets))

    def look_up(self, sources: Codes) -> Codes:
        """Target codes; -1 where the source is not known (or is -1)."""
        with self._lock:
            self._merge()
            keys, values = self._keys, self._values
        if not len(keys):
            return np.full(len(sources), NONE, dtype=np.int64)
        at = np.minimum(np.searchsorted(keys, sources), len(keys) - 1)
        return np.where(keys[at] == sources, values[at], NONE)

    def pairs(self) -> tuple[Codes, Codes]:
        """All pairs, sorted by source code."""
        with self._lock:
            self._merge()
            return self._keys, self._values

    def _merge(self) -> None:
        if not self._added:
            return
        keys = np.concatenate([self._keys, *(pair[0] for pair in self._added)])
        values = np.concatenate([self._values, *(pair[1] for pair in self._added)])
        self._added.clear()
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        # of equal keys the last one counts
        last = np.ones(len(keys), dtype=bool)
        last[:-1] = keys[:-1] != keys[1:]
        last &= (values != NONE) & (keys != NONE)
        self._keys, self._values = keys[last], values[last]
