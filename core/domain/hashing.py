"""Stable 64-bit hashes of rows and fields: the same text has the same hash for ever.

Hashes are kept in the ledger between runs, so they depend on nothing but the canonical text: not on
the process, the platform, or the version of polars (whose own hash makes no such promise). XXH3
over UTF-8; blank and empty are the same, and fields cannot run into each other. Figures stand in
benchmarks/RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import xxhash

#: part of every hash: raise it when canonical text changes, and every row counts as changed once
HASH_VERSION = "1"

_MARK = "\x1f"
_ESCAPE = "\x1e"


def row_hashes(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """One hash per row over these Utf8 columns, by name, in any order.

    Returns:
        Int64 (signed, as PostgreSQL's bigint), named ``hash``.
    """
    ordered = sorted(columns, key=str.lower)
    seed = xxhash.xxh3_64_intdigest("\x1f".join([HASH_VERSION, *map(str.lower, ordered)]))
    if not ordered:
        texts = pl.Series([""], dtype=pl.String).new_from_index(0, frame.height)
    else:
        texts = _row_texts(frame.select(pl.col(name).fill_null("") for name in ordered))
    digest = xxhash.xxh3_64_intdigest
    unsigned = [digest(text, seed) for text in texts]
    return pl.Series("hash", unsigned, dtype=pl.UInt64).reinterpret(signed=True)


def field_hashes(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """One hash per field of every row; null where the field is blank."""
    return pl.DataFrame([_value_hashes(frame[name]) for name in columns])


def text_hash(text: str) -> int:
    """The hash of one text, as `row_hashes` and `field_hashes` make it."""
    return _signed(xxhash.xxh3_64_intdigest(HASH_VERSION + text))


def _row_texts(values: pl.DataFrame) -> pl.Series:
    """Rows as texts in which values cannot run into each other.

    A mark stands between values; rows that hold the mark themselves are written with it escaped.
    """
    joined = pl.concat_str(pl.all(), separator=_MARK).alias("hash")
    texts = values.select(joined)["hash"]
    odd = (texts.str.count_matches(_MARK, literal=True) != values.width - 1) | texts.str.contains(
        _ESCAPE, literal=True
    )
    if not odd.any():
        return texts
    escaped = values.filter(odd).select(
        pl.all()
        .str.replace_all(_ESCAPE, _ESCAPE + "0", literal=True)
        .str.replace_all(_MARK, _ESCAPE + "1", literal=True)
    )
    return texts.scatter(odd.arg_true(), escaped.select(joined)["hash"])


def _value_hashes(values: pl.Series) -> pl.Series:
    digest = xxhash.xxh3_64_intdigest
    unsigned = [digest(HASH_VERSION + text) if text else None for text in values]
    return pl.Series(values.name, unsigned, dtype=pl.UInt64).reinterpret(signed=True)


def _signed(unsigned: int) -> int:
    return unsigned - (1 << 64) if unsigned >= 1 << 63 else unsigned
