"""Stable 64-bit hashes of rows and fields: the same text has the same hash for ever.

Hashes are kept in the ledger between runs, so they depend on nothing but the canonical text: not on
the process, the platform, or the version of polars (whose own hash makes no such promise). XXH3
over UTF-8; blank and empty are the same, fields cannot run into each other, and line ends count as
LF, in which orgs give them back. Whole columns are hashed at once (polars-hash); figures stand in
benchmarks/RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh
import xxhash

#: part of every hash: raise it when canonical text changes, and every row counts as changed once
HASH_VERSION = "1"

_MARK = "\x1f"
_ESCAPE = "\x1e"
#: bytes that are looked through at once: what is made of them stays near the processor
_BLOCK_BYTES = 1 << 18


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
    return _digests(texts, seed)


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
    returns, marks, escapes = _occurrences(texts, "\r", _MARK, _ESCAPE)
    if returns:
        values = values.select(pl.all().str.replace_all("\r\n?", "\n"))
        texts = values.select(joined)["hash"]
    if marks == (values.width - 1) * len(texts) and not escapes:
        return texts
    odd = (texts.str.count_matches(_MARK, literal=True) != values.width - 1) | texts.str.contains(
        _ESCAPE, literal=True
    )
    escaped = values.filter(odd).select(
        pl.all()
        .str.replace_all(_ESCAPE, _ESCAPE + "0", literal=True)
        .str.replace_all(_MARK, _ESCAPE + "1", literal=True)
    )
    return texts.scatter(odd.arg_true(), escaped.select(joined)["hash"])


def _occurrences(texts: pl.Series, *characters: str) -> list[int]:
    """How often these characters of one byte stand in all texts together: one look over the bytes,
    since values hardly hold them."""
    content = texts.to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()[2]
    raw: npt.NDArray[np.uint8] = np.frombuffer(content or b"", dtype=np.uint8)
    found = [0] * len(characters)
    for start in range(0, len(raw), _BLOCK_BYTES):
        block = raw[start : start + _BLOCK_BYTES]
        for at, character in enumerate(characters):
            found[at] += int(np.count_nonzero(block == ord(character)))
    return found


def _value_hashes(values: pl.Series) -> pl.Series:
    filled = pl.when(pl.col("v").str.len_bytes() > 0).then(pl.col("v"))
    texts = values.to_frame("v").select(pl.concat_str(pl.lit(HASH_VERSION), filled))
    return _digests(texts.to_series(), 0).alias(values.name)


def _digests(texts: pl.Series, seed: int) -> pl.Series:
    """XXH3 of every text as Int64; null of null."""
    column = plh.col("text").nchash.xxh3_64(seed=seed)
    made = texts.alias("text").to_frame().select(column.alias("hash"))
    return made.to_series().reinterpret(signed=True)


def _signed(unsigned: int) -> int:
    return unsigned - (1 << 64) if unsigned >= 1 << 63 else unsigned
