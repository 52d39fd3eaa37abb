"""A text that must not be seen: its repr, str and format are masked."""

from __future__ import annotations

import hmac
from typing import Never

MASK = "********"


class Secret:
    """Holds a token, password or key; only `reveal` gives it away.

    Two secrets are equal when their texts are (compared in constant time). It cannot be pickled,
    so it never reaches a job's arguments or a cache by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; call it at the last moment and keep it nowhere."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> Never:
        raise TypeError("a Secret is not written out")
