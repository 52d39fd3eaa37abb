"""Words of a command line as values: ``NAME=VALUE`` pairs."""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import UserError

#: help of the option that answers rule 8.3
EMAIL = "Who gets e-mail from the target: off, masked or wanted."


def named_values(words: Iterable[str]) -> dict[str, str]:
    """The pairs by name.

    Raises:
        UserError: a word is no pair.
    """
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name.strip():
            raise UserError(
                f"{word[:80]!r} is not NAME=VALUE.",
                state="Nothing was launched.",
                next_step="Such as --set plan=sales-core.",
            )
        found[name.strip()] = value
    return found
