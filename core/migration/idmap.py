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
#: ids that are turned into numbers at once: on the way they take 100 bytes each
AT_ONCE = 100_000
#: characters of an id without and with its checksum
SHORT, FULL = 15, 18
NONE = np.int64(-1)
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NO_DIGIT = 255
_DIGIT = np.full(256, _NO_DIGIT, dtype=np.uint8)
_DIGIT[np.frombuffer(_ALPHABET, dtype=np.uint8)] = np.arange(62, dtype=np.uint8)
_CHECK = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", dtype=np.uint8)
_LETTERS = np.frombuffer(_ALPHABET, dtype=np.uint8)
#: places of A and Z in the alphabet
_FIRST_CAPITAL, _LAST_CAPITAL = 10, 35
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
        if len(ids) <= AT_ONCE:
            return self._encoded(ids)
        parts = (ids.slice(start, AT_ONCE) for start in range(0, len(ids), AT_ONCE))
        return np.concatenate([self._encoded(part) for part in parts])

    def _encoded(self, ids: pl.Series) -> Codes:
        lengths = ids.str.len_bytes().fill_null(0).to_numpy()
        codes = np.full(len(ids), NONE, dtype=np.int64)
        for size in (SHORT, FULL):
            fit = lengths == size
            if fit.all() and len(ids):
                return self._coded(_bytes(ids).reshape(-1, size)[:, :SHORT])
            if fit.any():
                chosen = _bytes(ids.filter(pl.Series(fit)))
                codes[fit] = self._coded(chosen.reshape(-1, size)[:, :SHORT])
        return codes

    def _coded(self, characters: npt.NDArray[np.uint8]) -> Codes:
        """Codes of rows of 15 characters; column by column, which numpy does fastest."""
        digits = np.take(_DIGIT, np.ascontiguousarray(characters.T))
        good = (digits != _NO_DIGIT).all(axis=0)
        heads, tails = _number(digits[:HEAD]), _number(digits[HEAD:])
        codes = (self._head_numbers(heads, good) << _TAIL_BITS) | tails
        codes[~good] = NONE
        return codes

    def decode(self, codes: Codes) -> pl.Series:
        """18-character ids; null where the code is -1."""
        present = codes != NONE
        if not present.any():
            return pl.Series([None], dtype=pl.String).new_from_index(0, len(codes))
        found = _texts(self._digits(codes if present.all() else codes[present]))
        if present.all():
            return found
        places = np.where(present, np.cumsum(present) - 1, 0)
        column = found.gather(pl.Series(places))
        return pl.select(pl.when(pl.Series(present)).then(column)).to_series()

    def _digits(self, codes: Codes) -> npt.NDArray[np.uint8]:
        """Base-62 digits of codes, one row per place."""
        digits = np.empty((SHORT, len(codes)), dtype=np.uint8)
        rest = codes & ((1 << _TAIL_BITS) - 1)
        for place in range(SHORT - 1, HEAD - 1, -1):
            higher = rest // 62
            digits[place] = rest - higher * 62
            rest = higher
        heads = codes >> _TAIL_BITS
        one = (heads == heads[0]).all()
        rest = self._heads[heads[:1] if one else heads]
        for place in range(HEAD - 1, -1, -1):
            higher = rest // 62
            digits[place] = rest - higher * 62
            rest = higher
        return digits

    def _head_numbers(self, heads: Codes, good: npt.NDArray[np.bool_]) -> Codes:
        if len(heads) and (heads == heads[0]).all() and good.any():
            # most columns hold ids of one object of one org
            unique, inverse = heads[:1], np.zeros(len(heads), dtype=np.int64)
        else:
            unique, inverse = np.unique(heads, return_inverse=True)
        with self._lock:
            wanted = unique if len(unique) == 1 else np.unique(heads[good])
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


def _texts(digits: npt.NDArray[np.uint8]) -> pl.Series:
    """18-character ids of base-62 digits: the checksum tells which letters are capitals."""
    text = np.empty((digits.shape[1], FULL), dtype=np.uint8)
    text[:, :SHORT] = np.take(_LETTERS, digits).T
    upper = ((digits >= _FIRST_CAPITAL) & (digits <= _LAST_CAPITAL)).view(np.uint8)
    for part in range(3):
        bits = upper[part * 5 : part * 5 + 5]
        number = bits[0] | bits[1] << 1 | bits[2] << 2 | bits[3] << 3 | bits[4] << 4
        text[:, SHORT + part] = np.take(_CHECK, number)
    # astype("U18") would cost 72 bytes a row; arrow takes the bytes as they are
    return pl.Series(text.reshape(-1).view("S18")).cast(pl.String)


def _number(digits: npt.NDArray[np.uint8]) -> Codes:
    """Base-62 numbers; one row of digits per place."""
    number: Codes = digits[0].astype(np.int64)
    for place in digits[1:]:
        number *= 62
        number += place
    return number


def _bytes(ids: pl.Series) -> npt.NDArray[np.uint8]:
    """The text of a column without nulls, end to end."""
    flat = ids.to_arrow(compat_level=pl.CompatLevel.oldest())
    offsets = np.frombuffer(flat.buffers()[1], dtype=np.int64)[
        flat.offset : flat.offset + len(flat) + 1
    ]
    return np.frombuffer(flat.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]


class Places:
    """Where codes stand in a column of them; of equal ones the last counts.

    Memory: none beside a column that is in order, else 12 bytes a code. It must stay as it is.
    """

    def __init__(self, codes: Codes) -> None:
        self._order: npt.NDArray[np.int32] | None = None
        if not _in_order(codes):
            self._order = np.argsort(codes, kind="stable").astype(np.int32)
            codes = codes[self._order]
        self._codes = codes

    def look_up(self, codes: Codes) -> Codes:
        """Places of these codes; -1 where one is not in the column (or is -1)."""
        found = np.full(len(codes), NONE)
        if not len(self._codes):
            return found
        for start in range(0, len(codes), AT_ONCE):
            part = codes[start : start + AT_ONCE]
            at = np.searchsorted(self._codes, part, side="right") - 1
            hit = (self._codes[at] == part) & (part != NONE)
            places = at if self._order is None else self._order[at]
            found[start : start + AT_ONCE][hit] = places[hit]
        return found


class IdMap:
    """One mapping's source codes → target codes; later entries replace earlier ones. Thread-safe.

    Additions collect unsorted and are merged in before the next look-up: loading adds, the next
    object looks up. Memory: 16 bytes a record, twice that while merging. What is new is put between
    what is there; what is added to an empty map in the order of its sources is kept as it is, and
    must not change.
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
        if not len(sources):
            return
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
        keys, values = self._newest()
        if len(self._keys):
            at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            known = self._keys[at] == keys
            held = self._values
            if known.any():
                held = held.copy()  # who looked up before still reads the old ones
                held[at[known]] = values[known]
            if not known.all():
                keys, values = keys[~known], values[~known]
                at = np.searchsorted(self._keys, keys)
                held = np.insert(held, at, values)
                self._keys = np.insert(self._keys, at, keys)
            keys, values = self._keys, held
        kept = values != NONE
        self._keys, self._values = (keys, values) if kept.all() else (keys[kept], values[kept])

    def _newest(self) -> tuple[Codes, Codes]:
        """What was added, sorted by source; of equal sources the last one."""
        keys, values = self._added[0]
        if len(self._added) > 1:
            keys, values = (np.concatenate(one) for one in zip(*self._added, strict=True))
        self._added.clear()
        if not _in_order(keys):
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            values = values[order]
        last = np.ones(len(keys), dtype=bool)
        last[:-1] = keys[:-1] != keys[1:]
        last &= keys != NONE
        return (keys, values) if last.all() else (keys[last], values[last])


def _in_order(codes: Codes) -> bool:
    return bool((codes[:-1] <= codes[1:]).all())
