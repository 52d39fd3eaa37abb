"""What a launch says of things that no undo takes back (rule 7.3)."""

from __future__ import annotations

import pytest

from core.domain.plan import parse_plan
from core.services.undoing import irreversible

HEAD = "orgbridge: 1\nname: x\nsource: a\ntarget: b\nobjects:\n"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("source: Account\n    operation: hard_delete", "deleted for good"),
        ("source: Account\n    operation: delete", "in the recycle bin"),
        ("source: Order\n    finally: {Status: Activated}", "an activation (Status) stays"),
        ("source: Contract", "an activation (Status) stays"),
        ("source: EmailMessage", "mail that was sent stays sent"),
    ],
)
def test_rule_7_3_what_cannot_be_undone_is_named(entry: str, says: str) -> None:
    found = irreversible(parse_plan(f"{HEAD}  - {entry}\n"))

    assert any(says in sentence for sentence in found), found


def test_rule_7_3_what_can_be_undone_is_not_named() -> None:
    plan = parse_plan(f"{HEAD}  - source: Account\n  - source: Contract\n    skip: [Status]\n")

    assert irreversible(plan) == ()
    assert irreversible(parse_plan(f"{HEAD}  - source: Contract\n    as: c\n"), only=["x"]) == ()
