"""Objects that name each other: what waits in the first run is known in the second (rule 4.1)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from core.bootstrap import Orgbridge
from core.db import runs
from tests.org.engine import SCHEMA, Pair, check_identity, connect, line
from tests.org.oracle import live
from tests.orgs import PracticeOrg, PracticeOrgs

CIRCLE = SCHEMA.replace(
    "    fields:\n",
    "    fields:\n"
    "      Main__c: {type: lookup, label: Main contact, to: Contact, children: Accounts__r}\n",
    1,
)
PLAN = """
orgbridge: 1
name: circle
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    defer: [Main__c]
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
    on_target_missing: recreate
"""
LAST = PLAN.replace(
    "defer: [Main__c]", "defer: [Main__c]\n    finally: {Phone: {constant: set last}}"
)


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    """Three accounts, each with a main contact that belongs to it."""
    source = practice_org(name="Legacy", schema=CIRCLE)
    target = practice_org(name="New", schema=CIRCLE)
    for n in range(3):
        account = create(source, "Account", {"Name": f"A{n}"})
        contact = create(source, "Contact", {"LastName": f"C{n}", "AccountId": account})
        source.json("PATCH", f"sobjects/Account/{account}", {"Main__c": contact})
    return connect(bridge, source, target)


def create(org: PracticeOrg, sobject: str, row: dict[str, Any]) -> str:
    """A record; its id."""
    return str(org.json("POST", f"sobjects/{sobject}", row)["id"])


def leads_home(pair: Pair) -> bool:
    """Every account names the contact that has its number and names it back."""
    contacts = {row["Id"]: row for row in live(pair.target, "Contact")}
    accounts = live(pair.target, "Account")
    return len(accounts) == 3 and all(
        row["Main__c"] in contacts and contacts[row["Main__c"]]["AccountId"] == row["Id"]
        for row in accounts
    )


def test_rule_4_1_a_second_run_of_a_circle_writes_nothing(pair: Pair) -> None:
    """Also where somebody edited a record whose source did not change: it is no conflict."""
    first = pair.run(PLAN)
    edited = live(pair.target, "Account")[0]["Id"]
    pair.target.json("PATCH", f"sobjects/Account/{edited}", {"Phone": "by hand"})

    document = pair.run(PLAN)

    assert line(first, "account")["second_pass"] == 3
    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    check_identity(document)
    assert [line(document, name)["unchanged"] for name in ("account", "contact")] == [3, 3]
    assert line(document, "account")["second_pass"] == 0
    with pair.bridge.session(pair.actor.workspace_id) as session:
        assert runs.chunks_done(session, pair.row(document["run_id"]).id) == 0
    assert leads_home(pair)


def test_rule_4_1_a_parent_that_is_made_anew_in_its_turn_is_followed(pair: Pair) -> None:
    """The ledger named the old record; the second pass finds the new one."""
    pair.run(PLAN)
    gone = live(pair.target, "Contact")[0]["Id"]
    pair.target.json("DELETE", f"sobjects/Contact/{gone}")

    document = pair.run(PLAN)
    again = pair.run(PLAN)

    assert line(document, "contact")["inserted"] == 1
    assert line(document, "account")["second_pass"] == 1
    assert leads_home(pair)
    assert line(again, "account")["second_pass"] == 0
    assert line(again, "account")["unchanged"] == 3


def test_rule_4_1_lookups_that_lead_there_already_are_not_sent_again(pair: Pair) -> None:
    """Records that are met for the first time, found by their key: nobody knows yet what they hold;
    only the one whose lookup leads elsewhere is written, and set last is only what was written."""
    pair.run(PLAN)
    stray, *others = (row["Id"] for row in live(pair.target, "Account"))
    with pair.bridge.owner_session() as session:
        session.execute(text("DELETE FROM record_link"))
    pair.target.json("PATCH", f"sobjects/Account/{stray}", {"Main__c": None})

    met = pair.run(LAST)
    again = pair.run(LAST)

    assert [line(met, name)["unchanged"] for name in ("account", "contact")] == [3, 3]
    assert line(met, "account")["second_pass"] == 1
    assert line(again, "account")["second_pass"] == 0
    check_identity(met)
    assert leads_home(pair)
    phones = {row["Id"]: row["Phone"] for row in live(pair.target, "Account")}
    assert phones == {stray: "set last", **dict.fromkeys(others)}


def test_rule_4_1_a_lookup_that_waits_is_not_emptied_meanwhile(pair: Pair) -> None:
    """Also where blanks empty fields: what leads home stays, what nobody comes for is emptied."""
    pair.run(PLAN)
    stray, other, _ = live(pair.target, "Account")
    gone = next(r for r in live(pair.target, "Contact") if r["Id"] == stray["Main__c"])
    with pair.bridge.owner_session() as session:
        session.execute(text("DELETE FROM record_link"))
    for account, change in ((stray, {"Main__c": other["Main__c"]}), (other, {"Phone": "by hand"})):
        pair.target.json("PATCH", f"sobjects/Account/{account['Id']}", change)
    pair.target.json("DELETE", f"sobjects/Contact/{gone['Id']}")
    clearing = PLAN.replace("defer: [Main__c]", "defer: [Main__c]\n    blanks: clear").replace(
        "on_target_missing: recreate", f"where: LastName != '{gone['LastName']}'"
    )

    document = pair.run(clearing)

    now = {row["Id"]: row for row in live(pair.target, "Account")}
    figures = line(document, "account")
    assert (figures["updated"], figures["unchanged"], figures["second_pass"]) == (1, 2, 1)
    assert figures["lookups_left_blank"] == 1
    assert now[stray["Id"]]["Main__c"] is None
    assert now[other["Id"]]["Main__c"] == other["Main__c"]
    assert now[other["Id"]]["Phone"] is None
    check_identity(document)
