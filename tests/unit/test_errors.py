"""An error's message reads as sentences, whatever words of an org it begins with."""

from __future__ import annotations

import pytest

from core.errors import RefusedError, UserError


@pytest.mark.parametrize(
    ("happened", "message"),
    [
        ("The org said no: bad value (A_CODE 400)", "The org said no: bad value (A_CODE 400). Go."),
        ("It is gone.", "It is gone. Go."),
        ("What is “this?”", "What is “this?” Go."),
        ("Wait…", "Wait… Go."),
    ],
)
def test_what_happened_ends_before_the_next_sentence(happened: str, message: str) -> None:
    assert str(RefusedError(happened, next_step="Go.")) == message


def test_nothing_is_added_where_nothing_follows() -> None:
    assert str(UserError("no name")) == "no name"
    assert str(UserError("")) == ""
