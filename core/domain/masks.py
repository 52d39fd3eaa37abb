"""Masks: values that tell nobody who they were about, the same for the same value and salt.

A masked value is made from a keyed hash of the original, so that relations hold (one e-mail address
masks alike in every object) and nobody without the salt can try values. Blank stays blank.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import polars as pl

from core.domain.canonical import map_unique
from core.domain.describe import Field
from core.domain.plan import Mask

#: reserved by RFC 2606: nothing sent there can arrive
MASK_MAIL_DOMAIN = "example.invalid"
REDACTED = "REDACTED"
_HASH_LENGTH = 32

_STARTS = "ba be bi bo bu da de di do du fa fe fi ga go ha he ka ke ki ko la le li lo".split()
_MIDDLES = "ma me mi mo mu na ne ni no nu pa pe po ra re ri ro ru sa se si so ta te to".split()
_ENDS = "la len lin lo mar na nis ra ren rin ro sa sen son ta tin va vin wen zo".split()


def masked(mask: Mask, values: pl.Expr, *, salt: bytes, target: Field) -> pl.Expr:
    """The masked values of a Utf8 expression, within the target's length."""
    if mask is Mask.BLANK:
        return pl.lit(None, dtype=pl.String)
    if mask is Mask.REDACT:
        return pl.when(values.is_not_null()).then(pl.lit(_cut(REDACTED, target)))
    if mask is Mask.YEAR:
        return pl.when(values.str.contains(r"^\d{4}-")).then(
            pl.concat_str(values.str.slice(0, 4), pl.lit("-01-01"), values.str.slice(10))
        )
    change = _CHANGES[mask]
    length = target.length if target.is_text and target.length else None

    def mask_batch(batch: pl.Series) -> pl.Series:
        return map_unique(batch, lambda text: _cut(change(text, salt), target, length))

    return values.map_batches(mask_batch, return_dtype=pl.String)


def _digest(text: str, salt: bytes, *, size: int = 16) -> bytes:
    key = hashlib.blake2b(salt).digest() if len(salt) > hashlib.blake2b.MAX_KEY_SIZE else salt
    return hashlib.blake2b(text.encode(), digest_size=size, key=key).digest()


def _email(text: str, salt: bytes) -> str:
    # addresses differ by case only on paper
    return f"user-{_digest(text.strip().lower(), salt, size=10).hex()}@{MASK_MAIL_DOMAIN}"


def _name(text: str, salt: bytes) -> str:
    digest = _digest(text, salt)
    syllables = [
        _STARTS[digest[0] % len(_STARTS)],
        _MIDDLES[digest[1] % len(_MIDDLES)],
        _MIDDLES[digest[2] % len(_MIDDLES)],
        _ENDS[digest[3] % len(_ENDS)],
    ]
    return "".join(syllables).capitalize()


def _hash(text: str, salt: bytes) -> str:
    return _digest(text, salt).hex()[:_HASH_LENGTH]


def _layout(text: str, salt: bytes) -> str:
    """Letters and digits replaced one by one; signs, spaces and length kept."""
    stream = hashlib.shake_256(salt + b"\x00" + text.encode()).digest(len(text))
    return "".join(_replace(letter, byte) for letter, byte in zip(text, stream, strict=True))


def _phone(text: str, salt: bytes) -> str:
    stream = hashlib.shake_256(salt + b"\x00" + text.encode()).digest(len(text))
    return "".join(
        str(byte % 10) if letter.isdigit() else letter
        for letter, byte in zip(text, stream, strict=True)
    )


def _replace(letter: str, byte: int) -> str:
    if letter.isdigit():
        return str(byte % 10)
    if letter.isalpha():
        masked_letter = chr(ord("a") + byte % 26)
        return masked_letter.upper() if letter.isupper() else masked_letter
    return letter


_CHANGES: dict[Mask, Callable[[str, bytes], str]] = {
    Mask.EMAIL: _email,
    Mask.NAME: _name,
    Mask.HASH: _hash,
    Mask.TEXT: _layout,
    Mask.PHONE: _phone,
}


def _cut(text: str, target: Field, length: int | None = None) -> str:
    limit = length if length is not None else target.length if target.is_text else 0
    if not limit or len(text) <= limit:
        return text
    if text.endswith(f"@{MASK_MAIL_DOMAIN}"):
        # keep it an address: cut what stands before the domain
        return text[: max(1, limit - len(MASK_MAIL_DOMAIN) - 1)] + f"@{MASK_MAIL_DOMAIN}"
    return text[:limit]
