"""Two objects, a lookup and a self lookup, from one practice org to another, and again."""

from __future__ import annotations

import pytest

from core.bootstrap import Orgbridge
from core.services import run_reads
from tests.org.engine import SCHEMA, Pair, check_identity, connect, line
from tests.orgs import PracticeOrgs


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    """Accounts in three generations, contacts that report to one another."""
    source = practice_org(name="Legacy", schema=SCHEMA)
    target = practice_org(name="New", schema=SCHEMA)
    fill(source, accounts=30, contacts=60)
    return connect(bridge, source, target)


def fill(org, *, accounts: int, contacts: int) -> None:
    made = []
    for start in range(0, accounts, 10):
        rows = [
            {
                "attributes": {"type": "Account"},
                "Name": f'Account {n} “ü”, "q"',
                "Description": f"line 1\nline {n} 😀",
                **({"ParentId": made[n - 10]} if n >= 10 else {}),
            }
            for n in range(start, start + 10)
        ]
        said = org.json("POST", "composite/sobjects", {"records": rows})
        made += [row["id"] for row in said]
    people: list[str] = []
    for start in range(0, contacts, 20):
        rows = [
            {
                "attributes": {"type": "Contact"},
                "LastName": f"Person {n}",
                "Email": f"p{n}@example.com",
                "AccountId": made[n % accounts],
                **({"ReportsToId": people[n - 20]} if n >= 20 else {}),
            }
            for n in range(start, start + 20)
        ]
        said = org.json("POST", "composite/sobjects", {"records": rows})
        people += [row["id"] for row in said]


def test_every_row_arrives_once_with_its_lookups(pair: Pair) -> None:
    document = pair.run()

    check_identity(document)
    assert document["status"] == "Succeeded"
    assert line(document, "account")["inserted"] == 30
    assert line(document, "contact")["inserted"] == 60
    there = {row["Legacy_Id__c"]: row for row in pair.target.rows("Account")}
    by_id = {row["Id"]: row for row in pair.target.rows("Account")}
    for row in pair.source.rows("Account"):
        copy = there[row["Id"]]
        assert copy["Name"] == row["Name"]
        parent = by_id[copy["ParentId"]]["Legacy_Id__c"] if copy["ParentId"] else None
        assert parent == row["ParentId"]
    people = {row["Legacy_Id__c"]: row for row in pair.target.rows("Contact")}
    person_ids = {row["Id"]: row["Legacy_Id__c"] for row in people.values()}
    for row in pair.source.rows("Contact"):
        copy = people[row["Id"]]
        assert by_id[copy["AccountId"]]["Legacy_Id__c"] == row["AccountId"]
        assert person_ids.get(copy["ReportsToId"]) == row["ReportsToId"]


def test_a_run_keeps_its_plan_with_everything_said(pair: Pair) -> None:
    """The auto-map's fields too, with the path and the parents of every lookup."""
    name = pair.launch(mode="dry-run")
    pair.carry(name)

    account, contact = run_reads.mappings(pair.bridge, pair.actor, name)

    assert (account.name, contact.name) == ("account", "contact")
    assert account.document["rules"]["Description"] == {"from": "Description"}
    assert account.document["lookups"]["ParentId"]["later"]
    parent = contact.document["lookups"]["AccountId"]
    assert (parent["from"], parent["parents"]) == ("AccountId", ["account"])


def test_a_second_run_writes_nothing(pair: Pair) -> None:
    pair.run()

    document = pair.run()

    check_identity(document)
    assert line(document, "account")["unchanged"] == 30
    assert line(document, "contact")["unchanged"] == 60
    assert document["status"] == "Succeeded"
