"""Ids for rows of files: 18 characters as of a Salesforce record, made of the row's key.

A row that is delivered again gets the id that it had, so that the ledger knows it. The engine holds
an id in 64 bits and wants few different beginnings, which leaves 56 bits for the key: two keys that
fall on one id are found when a table is read, and the later row is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from core.domain.hashing import row_hashes, text_hash
from core.domain.ids import checksum_expr

Hashes = npt.NDArray[np.int64]

#: characters that the key's hash fills
_TAIL = 9
#: values of the character before them: 512 beginnings are all that a run may meet
_HEADS = 8
_SPACE = np.uint64(_HEADS * 62**_TAIL)
_LETTERS = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8
)


def key_hashes(page: pl.DataFrame, key: Sequence[str]) -> Hashes:
    """A hash per row of its key columns (blank at both ends ignored), of all columns without one.

    A row whose key is blank altogether is taken by all of its columns.
    """
    whole = row_hashes(page, page.columns).to_numpy()
    if not key:
        return whole
    trimmed = page.select(pl.col(name).str.strip_chars() for name in key)
    blank = trimmed.select(
        pl.all_horizontal(pl.all().fill_null("") == "").alias("blank")
    ).to_series()
    # by position: a key's hash does not depend on what its columns are called
    plain = trimmed.rename({name: f"{at:03d}" for at, name in enumerate(key)})
    hashes = row_hashes(plain, plain.columns).to_numpy()
    return np.where(blank.to_numpy(), whole, hashes)


def link_hashes(values: pl.Series) -> Hashes:
    """The hashes that rows with these single-column keys have."""
    return key_hashes(values.to_frame("key"), ["key"])


def repeated(hashes: Hashes) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Hashes that tell repeated rows apart, and which rows cannot be told from another key's.

    The first row of a key keeps its hash; the second, third … get one of their own each.
    """
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    same = np.concatenate(([False], ordered[1:] == ordered[:-1]))
    mended = hashes.copy()
    number = 0
    for at in np.flatnonzero(same):
        number = number + 1 if same[at - 1] else 1
        mended[order[at]] = text_hash(f"{int(ordered[at])}:{number}")
    places = mended.view(np.uint64) % _SPACE
    order = np.argsort(places, kind="stable")
    clash = np.zeros(len(places), dtype=np.bool_)
    clash[order[1:]] = places[order[1:]] == places[order[:-1]]
    return mended, clash


def ids_of(hashes: Hashes, sobject: str) -> pl.Series:
    """18-character ids, named ``Id``."""
    seed = xxhash.xxh3_64_intdigest(sobject.lower().encode())
    rest = hashes.view(np.uint64) % _SPACE
    digits = np.zeros((len(hashes), 15), dtype=np.uint8)
    for place in range(14, 14 - _TAIL, -1):
        rest, digit = np.divmod(rest, np.uint64(62))
        digits[:, place] = digit
    digits[:, 14 - _TAIL] = rest
    number = seed % 62**2
    digits[:, 0], digits[:, 1], digits[:, 2] = 61, number // 62, number % 62
    if not len(hashes):
        return pl.Series("Id", [], dtype=pl.String)
    short = pl.Series(_LETTERS[digits].reshape(-1).view("S15")).cast(pl.String).alias("Id")
    return short.to_frame().select(pl.concat_str("Id", checksum_expr(pl.col("Id"))))["Id"]
