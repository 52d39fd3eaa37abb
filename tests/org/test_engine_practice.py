"""The practice pair as it is shipped: a run and its undo leave the target as it was."""

from __future__ import annotations

from typing import Any

from core.bootstrap import Orgbridge
from core.services import launching
from tests.org.engine import check_identity, connect, line
from tests.orgs import PracticeOrg, PracticeOrgs

PLAN = """
orgbridge: 1
name: practice
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    fields: {Segment__c: {constant: Moved}}
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
"""


def state(org: PracticeOrg, sobject: str) -> dict[str, dict[str, Any]]:
    """Live rows by id, without what every write changes."""
    moving = ("SystemModstamp", "LastModifiedDate", "LastModifiedById")
    return {
        row["Id"]: {k: v for k, v in row.items() if k not in moving}
        for row in org.rows(sobject)
        if not row["IsDeleted"]
    }


def test_a_run_on_the_practice_pair_is_undone_whole(
    bridge: Orgbridge, practice_org: PracticeOrgs
) -> None:
    source = practice_org(name="Legacy", seed="northwind-legacy")
    target = practice_org(name="New", seed="northwind-new")
    pair = connect(bridge, source, target)
    before = {name: state(target, name) for name in ("Account", "Contact")}
    document = pair.run(PLAN)
    check_identity(document)
    proof = pair.summary(document)["proof"]

    made = launching.undo(bridge, pair.actor, document["run_id"], enqueue=False)
    pair.carry(made)

    assert line(document, "account")["inserted"] > 0
    assert proof["account"]["differences"]["lost"] == 0
    assert proof["contact"]["differences"]["lost"] == 0
    assert line(pair.document(made), "account")["blocked"] == 0
    assert {name: state(target, name) for name in ("Account", "Contact")} == before
