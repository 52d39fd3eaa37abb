"""Extra children are deleted and tagged by runs, with their number typed; undo brings them back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.bootstrap import Orgbridge
from core.errors import ConflictError, UserError
from core.services import extra_children, launching, plans
from core.services.extra_children import Act, Place
from tests.org.engine import SCHEMA, Pair, connect, line
from tests.org.test_engine_rules import create, live
from tests.orgs import PracticeOrgs

PLACE = Place("engine", "contact", "AccountId")


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Iterator[Pair]:
    """One account with a contact was migrated; somebody then made three contacts by hand."""
    made = connect(
        bridge,
        practice_org(name="Legacy", schema=SCHEMA),
        practice_org(name="New", schema=SCHEMA),
    )
    (account,) = create(made.source, "Account", {"Name": "A"})
    create(made.source, "Contact", {"LastName": "Mine", "AccountId": account})
    made.run()
    parent = live(made.target, "Account")[0]["Id"]
    extra: list[dict[str, Any]] = [{"LastName": f"X{n}", "AccountId": parent} for n in range(3)]
    create(made.target, "Contact", *extra)
    yield made


def names(pair: Pair) -> list[str]:
    return sorted(str(row["LastName"]) for row in live(pair.target, "Contact"))


def test_extra_children_are_counted_tagged_and_deleted_by_runs(pair: Pair) -> None:
    here = (pair.bridge, pair.actor, PLACE)
    assert extra_children.records(*here).height == 3
    content = b"".join(extra_children.records_csv(*here))
    assert content.startswith(b"\xef\xbb\xbfid,parent,created\r\n")
    assert content.count(b"\r\n") == 4
    with pytest.raises(ConflictError, match="There are 3 extra Contact records now, not 2"):
        extra_children.launch(*here, Act(count=2))
    with pytest.raises(UserError, match="its name must be confirmed"):
        extra_children.launch(*here, Act(count=3))
    assert [row.name for row in plans.plans(pair.bridge, pair.actor)] == ["engine"]

    tag = Act(count=3, field="Description", value="=extra")
    tagged = extra_children.launch(*here, tag, enqueue=False)
    pair.carry(tagged)
    assert line(pair.document(tagged), "contact")["updated"] == 3
    assert [r["Description"] for r in live(pair.target, "Contact")].count("=extra") == 3
    pair.carry(launching.undo(pair.bridge, pair.actor, tagged, enqueue=False))
    assert [r["Description"] for r in live(pair.target, "Contact")].count("=extra") == 0

    act = Act(count=3, confirm="new", reason="made twice by hand")
    name = extra_children.launch(*here, act, enqueue=False)
    pair.carry(name)
    assert names(pair) == ["Mine"]
    assert extra_children.records(*here).height == 0

    undone = launching.undo(
        pair.bridge, pair.actor, name, confirm="new", reason="they were right", enqueue=False
    )
    pair.carry(undone)
    assert names(pair) == ["Mine", "X0", "X1", "X2"]
