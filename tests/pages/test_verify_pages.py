"""The pages on which people decide: empty, full, and after a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.services import duplicates, operations, plans
from tests.org.scripted_data import ScriptedData, described

Opened = Callable[..., AppTest]
TEXT = {"name": "LastName", "type": "string", "length": 80}


@pytest.fixture
def pair(bridge: Orgbridge, actor: Actor) -> Iterator[tuple[ScriptedData, ScriptedData]]:
    source, target = ScriptedData("00D000000000001EAA"), ScriptedData("00D000000000002EAA")
    source.register(bridge, actor, "Legacy")
    target.register(bridge, actor, "New")
    legacy = {"name": "Legacy__c", "type": "string", "length": 10, "custom": True, "label": "Old"}
    source.describes = {"Contact": described("Contact", TEXT, legacy)}
    target.describes = {"Contact": described("Contact", TEXT | {"length": 20})}
    people = [{"Id": f"00300000000000{n}AAA", "LastName": f"L{n % 2}"} for n in range(4)]
    source.rows = {"Contact": people}
    source.http.on("POST", "/composite/sobjects/Contact", _retrieved(people))
    yield source, target
    source.http.stop()
    target.http.stop()


def _retrieved(people):  # type: ignore[no-untyped-def]
    from tests.org.scripted_org import Reply

    by_id = {row["Id"]: row for row in people}
    return lambda seen: Reply(body=[by_id.get(one) for one in seen.json()["ids"]])


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("verify/differences.py", "Two orgs are needed"),
        ("verify/duplicates.py", "No org yet"),
        ("verify/extra_children.py", "No plan yet"),
    ],
)
def test_an_empty_page_says_what_fills_it(opened: Opened, file: str, words: str) -> None:
    page = opened(file)

    assert not page.exception and not page.error
    assert any(words in box.value for box in page.markdown)


def test_fields_are_compared_and_one_is_told_property_by_property(
    opened: Opened, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    page = opened("verify/differences.py", role=Role.ANALYST, a="Legacy", b="New")
    page.button(key="differences.act").click().run()

    assert not page.exception and not page.error
    table = page.dataframe[0].value
    assert table["field"].to_list() == ["Legacy__c", "LastName"]
    assert table["source"].to_list() == ["Text(10)", "Text(80)"]
    assert any("Its values have nowhere to go" in box.value for box in page.markdown)


def test_a_viewer_sees_no_button_that_asks_an_org(
    opened: Opened, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    page = opened("verify/differences.py", role=Role.VIEWER, a="Legacy", b="New")

    assert not page.exception
    assert "differences.act" not in {button.key for button in page.button}


def test_a_decision_takes_the_cluster_off_the_open_list(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    given = {"org": "Legacy", "object": "Contact", "method": "exact", "fields": ["LastName"]}
    entry = operations.launch(bridge, actor, "duplicates", given=given)
    page = opened("verify/duplicates.py", role=Role.ANALYST, org="Legacy", object="Contact")
    assert not page.exception and not page.error
    assert page.dataframe[0].value["records"].to_list() == [2, 2]

    page.button(key="duplicates.keep").click().run()

    assert not page.exception and not page.error
    board = duplicates.board(bridge, actor, log_id=entry.id)
    assert len(board.open) == 1
    assert [one.decision.survivor_id for one in board.clusters if one.decision] == [
        "003000000000000AAA"
    ]
    assert page.dataframe[0].value["records"].to_list() == [2]


def test_extra_children_are_listed_after_a_look(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    plan = "orgbridge: 1\nname: p\nsource: Legacy\ntarget: New\nobjects:\n  - source: Contact\n"
    plans.create(bridge, actor, parse_plan(plan))
    page = opened("verify/extra_children.py", role=Role.ANALYST)
    page.button(key="extra.act").click().run()

    assert not page.exception and not page.error
    assert any("No extra children" in box.value for box in page.markdown)
