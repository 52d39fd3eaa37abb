"""Passwords, one-time codes and tokens: how they are made, hashed and compared.

Passwords are for people and slow to guess (argon2id). Tokens and codes are random, long enough that
a fast hash keeps them, and found by that hash.
"""

from __future__ import annotations

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import UserError

PASSWORD_MIN_CHARS = 12
PASSWORD_MAX_CHARS = 1_000  # argon2 reads all of it: an upper bound keeps a request cheap

#: argon2-cffi's defaults: RFC 9106, low-memory profile (64 MiB, 3 passes), about 50 ms
_PASSWORDS = PasswordHasher()
#: a key of 256 random bits needs no stretching: one pass over 1 MiB
_KEYS = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)

#: no 0/O, 1/I/L: read aloud and typed from a terminal
_CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE_GROUPS, _CODE_GROUP_CHARS = 4, 5  # 20 characters of 31: 99 bits

#: verified when nobody has the name, so that a wrong name takes as long as a wrong password
_NOBODY = _PASSWORDS.hash(secrets.token_hex(16))


def password_hash(password: str) -> str:
    """Hash of a password that is good enough.

    Raises:
        UserError: too short or too long.
    """
    if len(password) < PASSWORD_MIN_CHARS:
        raise UserError(
            f"The password has fewer than {PASSWORD_MIN_CHARS} characters.",
            next_step="Choose a longer one; a short sentence is easy to remember.",
        )
    if len(password) > PASSWORD_MAX_CHARS:
        raise UserError(f"The password has more than {PASSWORD_MAX_CHARS} characters.")
    return _PASSWORDS.hash(password)


def is_password(password: str, hashed: str | None) -> bool:
    """Whether it is the password; takes equally long for a person who has none."""
    try:
        _PASSWORDS.verify(hashed or _NOBODY, password[:PASSWORD_MAX_CHARS])
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None


def needs_rehash(hashed: str) -> bool:
    """Whether the stored hash was made with weaker settings than today's."""
    return _PASSWORDS.check_needs_rehash(hashed)


def key_hash(secret: str) -> str:
    """Hash of an API key's secret part."""
    return _KEYS.hash(secret)


def is_key(secret: str, hashed: str) -> bool:
    """Whether it is the API key's secret part."""
    try:
        return _KEYS.verify(hashed, secret)
    except (VerificationError, InvalidHashError):
        return False


def new_token() -> str:
    """256 random bits for a URL or a cookie."""
    return secrets.token_urlsafe(32)


def new_code() -> str:
    """A one-time code for people to type: ``K7QMX-…`` in four groups."""
    return "-".join(
        "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_GROUP_CHARS))
        for _ in range(_CODE_GROUPS)
    )


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def code_hash(code: str) -> str:
    """What is stored of a one-time code; case, spaces and dashes do not matter."""
    return token_hash("".join(char for char in code.upper() if char.isalnum()))
