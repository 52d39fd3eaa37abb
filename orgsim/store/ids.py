"""Record ids: 15 case-sensitive characters, three more that make them safe where case is lost.

    001 5f0 000000Bq3 XYZ
    │   │   │         └ checksum: per block of five characters, which of them are capitals
    │   │   └ nine base-62 digits, ascending (ASCII order of the digits is numeric order)
    │   └ two characters of the org, and a zero
    └ key prefix of the object

The checksum was verified on 197 recorded ids.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_DIGIT_TABLE = np.frombuffer(_DIGITS, dtype=np.uint8)
_CHECK_TABLE = np.frombuffer(_CHECK, dtype=np.uint8)
_NUMBER_WIDTH = 9
_BITS = np.array([1, 2, 4, 8, 16], dtype=np.uint8)


def checksum(short: str) -> str:
    """The three checksum characters of a 15-character id."""
    made = ""
    for block in (short[0:5], short[5:10], short[10:15]):
        index = sum(1 << place for place, char in enumerate(block) if "A" <= char <= "Z")
        made += chr(_CHECK[index])
    return made


def to18(record_id: str) -> str | None:
    """The 18-character form of a 15- or 18-character id; None when it is no id.

    An 18-character id in the wrong letter case is mended by its checksum, as Salesforce does.
    """
    if not record_id.isascii() or not record_id.isalnum():
        return None
    if len(record_id) == 15:
        return record_id + checksum(record_id)
    if len(record_id) != 18:
        return None
    tail = record_id[15:].upper()
    if checksum(record_id[:15]) == tail:
        return record_id[:15] + tail
    return _mended(record_id, tail)


def _mended(record_id: str, tail: str) -> str | None:
    chars = list(record_id[:15])
    for block, code in enumerate(tail.encode()):
        if code not in _CHECK:
            return None
        bits = _CHECK.index(code)
        for place in range(5):
            at = block * 5 + place
            capital = bits >> place & 1
            if capital and not chars[at].isalpha():
                return None
            chars[at] = chars[at].upper() if capital else chars[at].lower()
    return "".join(chars) + tail


def make_ids(prefix: str, pod: str, *, first: int, count: int) -> pl.Series:
    """``count`` ascending 18-character ids from number ``first``: a string series named Id."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    made = np.empty((count, 18), dtype=np.uint8)
    made[:, :6] = np.frombuffer(f"{prefix}{pod}0".encode(), dtype=np.uint8)
    for place in range(14, 14 - _NUMBER_WIDTH, -1):
        numbers, digit = np.divmod(numbers, 62)
        made[:, place] = _DIGIT_TABLE[digit]
    made[:, 15:] = _checksums(made[:, :15])
    return pl.Series("Id", made.view("S18").ravel()).cast(pl.String)


def _checksums(short: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    capital = ((short >= ord("A")) & (short <= ord("Z"))).astype(np.uint8)
    index = (capital.reshape(-1, 3, 5) * _BITS).sum(axis=2, dtype=np.uint8)
    made: npt.NDArray[np.uint8] = _CHECK_TABLE[index]
    return made


def all_exact(ids: pl.Series) -> bool:
    """Whether every value of a string series is an 18-character id with its true checksum."""
    if not len(ids):
        return True
    raw = ids.cast(pl.Binary).to_numpy()
    made = np.asarray(raw, dtype="S18")
    if not (ids.str.len_bytes() == 18).all():
        return False
    chars = made.view(np.uint8).reshape(-1, 18)
    if not np.isin(chars, _DIGIT_TABLE).all():
        return False
    return bool((_checksums(chars[:, :15]) == chars[:, 15:]).all())
