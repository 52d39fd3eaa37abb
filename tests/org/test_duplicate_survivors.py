"""The next run follows what was decided about duplicates: one record, all children on it."""

from __future__ import annotations

import pytest

from core.bootstrap import Orgbridge
from core.db import orgs as org_rows
from core.services import duplicates, operations
from tests.org.engine import SCHEMA, Pair, check_identity, connect, line
from tests.org.test_engine_rules import create, live
from tests.orgs import PracticeOrgs

PLAN = """
orgbridge: 1
name: engine
source: legacy
target: new
objects:
  - source: Account
  - source: Contact
"""


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    return connect(
        bridge,
        practice_org(name="Legacy", schema=SCHEMA),
        practice_org(name="New", schema=SCHEMA),
    )


def decide(pair: Pair, org: str, ids: list[str], **values: str) -> None:
    with pair.bridge.session(pair.actor.workspace_id) as session:
        found = org_rows.org_named(session, org)
    assert found is not None
    duplicates.decide(
        pair.bridge,
        pair.actor,
        (found.id, "Account"),
        record_ids=ids,
        decision="keep",
        survivor_id=ids[0],
        values=values,
    )


def parents(pair: Pair) -> dict[str, str]:
    names = {row["Id"]: row["Name"] for row in live(pair.target, "Account")}
    return {row["LastName"]: names[row["AccountId"]] for row in live(pair.target, "Contact")}


def test_the_survivor_takes_the_losers_children_and_the_chosen_values(pair: Pair) -> None:
    one, two, other = create(
        pair.source,
        "Account",
        {"Name": "Acme", "Phone": "1"},
        {"Name": "ACME Inc", "Phone": "2"},
        {"Name": "Other"},
    )
    create(
        pair.source,
        "Contact",
        {"LastName": "A", "AccountId": one},
        {"LastName": "B", "AccountId": two},
        {"LastName": "C", "AccountId": other},
    )
    decide(pair, "legacy", [one, two], Phone=two)

    document = pair.run(PLAN)

    check_identity(document)
    assert (line(document, "account")["inserted"], line(document, "account")["skipped"]) == (2, 1)
    kept = {row["Name"]: row["Phone"] for row in live(pair.target, "Account")}
    assert kept == {"Acme": "2", "Other": None}
    assert parents(pair) == {"A": "Acme", "B": "Acme", "C": "Other"}


def test_decisions_after_a_run_move_children_at_the_next(pair: Pair) -> None:
    """In the source, and in the target between records that were there or came by us."""
    one, two, three = create(
        pair.source, "Account", {"Name": "Acme"}, {"Name": "ACME Inc"}, {"Name": "acme"}
    )
    create(
        pair.source,
        "Contact",
        {"LastName": "B", "AccountId": two},
        {"LastName": "C", "AccountId": three},
    )
    pair.run(PLAN)
    assert parents(pair) == {"B": "ACME Inc", "C": "acme"}
    decide(pair, "legacy", [one, two])
    there = {row["Name"]: row["Id"] for row in live(pair.target, "Account")}
    decide(pair, "new", [there["Acme"], there["acme"]])

    document = pair.run(PLAN)

    check_identity(document)
    assert line(document, "contact")["updated"] == 2
    assert parents(pair) == {"B": "Acme", "C": "Acme"}
    again = pair.run(PLAN)
    assert line(again, "contact")["unchanged"] == 2


@pytest.mark.parametrize("kept_with", ["legacy", "new"])
def test_a_record_that_the_target_has_already_takes_the_children(
    pair: Pair, kept_with: str
) -> None:
    """Found by a search across both orgs, begun from either side; nothing is sent twice."""
    one, other = create(pair.source, "Account", {"Name": "ACME Inc"}, {"Name": "Other"})
    (there,) = create(pair.target, "Account", {"Name": "Acme"})
    children = [{"LastName": "A", "AccountId": one}, {"LastName": "B", "AccountId": other}]
    create(pair.source, "Contact", *children)
    across = "new" if kept_with == "legacy" else "legacy"
    given = {"org": kept_with, "object": "Account", "across": across, "fields": ["Name"]}
    entry = operations.launch(pair.bridge, pair.actor, "duplicates", given=given)
    board = duplicates.board(pair.bridge, pair.actor, log_id=entry.id)
    ids = (one, there) if kept_with == "legacy" else (there, one)
    cluster = duplicates.Cluster("k", None, ids, ({}, {}), {}, None, (0, 1))

    shown = duplicates.compared(pair.bridge, pair.actor, board.places, cluster=cluster)
    duplicates.decide(
        pair.bridge,
        pair.actor,
        board.places[0],
        record_ids=ids,
        decision="keep",
        survivor_id=there,
        elsewhere=board.elsewhere(cluster),
    )
    document = pair.run(PLAN)

    names = {name: values for name, values, _ in shown.fields}["Name"]
    assert set(names) == {"ACME Inc", "Acme"}
    assert {len(numbers) for numbers in shown.children.values()} == {2}
    assert shown.children["Contact.AccountId"] == ((1, 0) if kept_with == "legacy" else (0, 1))
    check_identity(document)
    assert (line(document, "account")["inserted"], line(document, "account")["skipped"]) == (1, 1)
    assert parents(pair) == {"A": "Acme", "B": "Other"}
    again = pair.run(PLAN)
    assert line(again, "contact")["unchanged"] == 2
