"""Salesforce ids and names: the checksum, the two spellings of an id, the key prefix.

An id has 15 case-sensitive base-62 characters; the 18-character spelling adds three that say which
of them are capitals, so that it survives tools that ignore case. Orgbridge stores and compares 18.
Source of the checksum: "Record IDs and the Case Safe Id"; it held for 197 of 197 recorded ids.
"""

from __future__ import annotations

import re
from typing import NewType

import polars as pl

from core.errors import UserError

OrgId = NewType("OrgId", str)
SObjectName = NewType("SObjectName", str)
FieldName = NewType("FieldName", str)
RecordId = NewType("RecordId", str)
Soql = NewType("Soql", str)

SHORT_LENGTH = 15
LONG_LENGTH = 18
PREFIX_LENGTH = 3
CHECKSUM_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
BLOCK = 5

#: the record type that means "none": it is never stored on a record and never sent
MASTER_RECORD_TYPE_ID = RecordId("012000000000000AAA")

_SHORT = re.compile(r"[A-Za-z0-9]{15}\Z")
_LONG = re.compile(r"[A-Za-z0-9]{15}[A-Za-z0-5]{3}\Z")

#: what an id looks like inside a longer text; every hit still has to pass `is_id`
ID_IN_TEXT = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?(?![A-Za-z0-9])")


def checksum(short_id: str) -> str:
    """The three characters that follow a 15-character id.

    >>> checksum("0012000000Vyk6P")
    'AAR'
    """
    blocks = (short_id[start : start + BLOCK] for start in range(0, SHORT_LENGTH, BLOCK))
    return "".join(CHECKSUM_ALPHABET[_capital_bits(block)] for block in blocks)


def is_id(text: str) -> bool:
    """Whether the text is a well-formed id: 15 characters, or 18 with the right checksum."""
    if len(text) == SHORT_LENGTH:
        return _SHORT.match(text) is not None
    return _LONG.match(text) is not None and text[SHORT_LENGTH:] == checksum(text[:SHORT_LENGTH])


def to18(text: str) -> RecordId:
    """The 18-character spelling of an id, with the capitals put back if a tool lost them.

    Raises:
        UserError: the text is no id.
    """
    text = text.strip()
    if _SHORT.match(text):
        return RecordId(text + checksum(text))
    if _LONG.match(text):
        restored = _restore_case(text)
        if restored is not None:
            return RecordId(restored)
    raise UserError(
        f"'{text[:40]}' is not a Salesforce id.",
        next_step="An id has 15 letters and digits, or 18 with a checksum at the end.",
    )


def key_prefix(record_id: str) -> str:
    """The first three characters, which name the kind of record."""
    return record_id[:PREFIX_LENGTH]


def to18_expr(ids: pl.Expr) -> pl.Expr:
    """15-character ids of a Utf8 column as 18; anything else (18, blank, no id) as it is."""
    is_short = ids.str.len_bytes() == SHORT_LENGTH
    is_short = is_short & ids.str.contains(r"^[A-Za-z0-9]{15}$")
    return pl.when(is_short).then(pl.concat_str(ids, checksum_expr(ids))).otherwise(ids)


def checksum_expr(ids: pl.Expr) -> pl.Expr:
    """The checksum of each id of a Utf8 column, from its first 15 characters."""
    return pl.concat_str(*(_block_letter(ids, start) for start in range(0, SHORT_LENGTH, BLOCK)))


def is_id_expr(ids: pl.Expr) -> pl.Expr:
    """Per row whether it is a well-formed id; null stays null."""
    short = ids.str.contains(r"^[A-Za-z0-9]{15}$")
    long = ids.str.contains(r"^[A-Za-z0-9]{15}[A-Z0-5]{3}$")
    return short | (long & (ids.str.slice(SHORT_LENGTH) == checksum_expr(ids)))


def _capital_bits(block: str) -> int:
    return sum(1 << position for position, letter in enumerate(block) if "A" <= letter <= "Z")


def _restore_case(long_id: str) -> str | None:
    """The id with the capitals that its checksum names; None if it names a digit."""
    letters: list[str] = []
    for number, mark in enumerate(long_id[SHORT_LENGTH:].upper()):
        bits = CHECKSUM_ALPHABET.index(mark)
        block = long_id[number * BLOCK : (number + 1) * BLOCK]
        for position, letter in enumerate(block):
            is_capital = bool(bits >> position & 1)
            if is_capital and not letter.isalpha():
                return None
            letters.append(letter.upper() if is_capital else letter.lower())
    return "".join(letters) + long_id[SHORT_LENGTH:].upper()


def _block_letter(ids: pl.Expr, start: int) -> pl.Expr:
    bits = pl.sum_horizontal(
        ids.str.slice(start + position, 1).is_between(pl.lit("A"), pl.lit("Z")).cast(pl.UInt8)
        * (1 << position)
        for position in range(BLOCK)
    )
    return pl.lit(CHECKSUM_ALPHABET).str.slice(bits.cast(pl.Int64), 1)
