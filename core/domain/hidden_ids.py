"""Record ids inside text: URLs, JSON, rich text (rule 5.2).

An id of 18 characters proves itself by its checksum; one of 15 only by being known. Found ids are
counted; the rule ``ids: rewrite`` replaces those whose record was migrated and leaves the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from core.domain.ids import is_id_expr, to18_expr

# polars' regular expressions have no look-around: what stands on either side is taken along. Words
# shorter than an id are left out at once: most texts hold no other, and a word is a row below
_CANDIDATE = r"[A-Za-z0-9]{15,}"
_FOUND = {"row": pl.get_index_type(), "spelt": pl.String, "id": pl.String, "is_sure": pl.Boolean}


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Text with its ids replaced."""

    texts: pl.Series
    #: ids replaced
    replaced: int
    #: ids with a right checksum that lead to no migrated record
    left: int


def ids_in_text(texts: pl.Series) -> pl.DataFrame:
    """All well-formed ids inside the texts.

    Returns:
        ``row`` (position), ``spelt`` (as it stands), ``id`` (18 characters), ``is_sure`` (the
        checksum proves it); one line per occurrence.
    """
    held = texts.alias("spelt").to_frame().with_row_index("row")
    held = held.filter(pl.col("spelt").str.contains(_CANDIDATE))
    if held.is_empty():
        return pl.DataFrame(schema=_FOUND)
    return (
        held.with_columns(pl.col("spelt").str.extract_all(_CANDIDATE))
        .explode("spelt", empty_as_null=True, keep_nulls=True)
        .drop_nulls("spelt")
        .filter(
            pl.col("spelt").str.len_bytes().is_in([15, 18])
            & is_id_expr(pl.col("spelt"))
            # a word without a digit is a word
            & pl.col("spelt").str.contains(r"\d")
        )
        .with_columns(id=to18_expr(pl.col("spelt")), is_sure=pl.col("spelt").str.len_bytes() == 18)
    )


def rewritten(texts: pl.Series, new_ids: pl.DataFrame) -> Rewritten:
    """The texts with known ids replaced, each in the length in which it stood.

    Args:
        new_ids: ``source_id``, ``target_id``, both 18 characters: what the ledger knows of the ids
            that `ids_in_text` found.
    """
    found = ids_in_text(texts).join(
        new_ids.select(id="source_id", new="target_id"), on="id", how="left"
    )
    known = found.filter(pl.col("new").is_not_null()).with_columns(
        new=pl.when(pl.col("is_sure")).then(pl.col("new")).otherwise(pl.col("new").str.slice(0, 15))
    )
    left = found.filter(pl.col("new").is_null() & pl.col("is_sure")).height
    if known.is_empty():
        return Rewritten(texts, 0, left)
    by_row = known.unique(["row", "spelt"]).group_by("row", maintain_order=True).agg("spelt", "new")
    changed = texts.to_list()
    for row, spelt, new in by_row.iter_rows():
        changed[row] = _replaced(str(changed[row]), dict(zip(spelt, new, strict=True)))
    return Rewritten(pl.Series(texts.name, changed, dtype=pl.String), known.height, left)


def _replaced(text: str, new: dict[str, str]) -> str:
    """Whole words only, all at once, so that a new id is never taken for an old one."""
    out: list[str] = []
    word: list[str] = []
    for letter in (*text, ""):
        if letter and letter.isascii() and letter.isalnum():
            word.append(letter)
            continue
        spelt = "".join(word)
        out += [new.get(spelt, spelt), letter]
        word = []
    return "".join(out)
