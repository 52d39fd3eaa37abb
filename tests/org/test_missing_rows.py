"""Rows that are missing in the target are told by reason, filed, and launched by themselves."""

from __future__ import annotations

import pytest

from core.bootstrap import Orgbridge
from core.errors import ConflictError
from core.operations.missing_rows import Reason
from core.services import missing, operations
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
    key: {source: Id, target: Legacy_Id__c}
    where: "Name != 'left out'"
"""


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    return connect(
        bridge,
        practice_org(name="Legacy", schema=SCHEMA),
        practice_org(name="New", schema=SCHEMA),
    )


def test_missing_rows_are_told_apart_and_just_those_are_launched(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "there"}, {"Name": "left out"}, {"Name": "gone"})
    pair.run(PLAN)
    (gone,) = [row["Id"] for row in live(pair.target, "Account") if row["Name"] == "gone"]
    pair.target.json("POST", "/_sim/edit", {"delete": [gone]})
    create(pair.source, "Account", {"Name": "new 1"}, {"Name": "new 2"})
    here = {"plan": "engine", "mapping": "account"}

    found = missing.rows(pair.bridge, pair.actor, **here)
    counted = dict(found.group_by("reason").len().iter_rows())
    assert counted == {"filtered": 1, "deleted_since": 1, "never_sent": 2}
    content = b"".join(missing.rows_csv(pair.bridge, pair.actor, **here))
    assert content.startswith(b"\xef\xbb\xbfsource_id,reason,")
    assert content.count(b"\r\n") == 5

    name = missing.launch(pair.bridge, pair.actor, **here, enqueue=False)
    pair.carry(name)
    document = pair.document(name)
    check_identity(document)
    figures = line(document, "account")
    assert (figures["read"], figures["inserted"]) == (2, 2)
    assert {row["Name"] for row in live(pair.target, "Account")} == {"there", "new 1", "new 2"}

    with pytest.raises(ConflictError, match="No row of Account is missing"):
        missing.launch(pair.bridge, pair.actor, **here, enqueue=False)
    given = {"plan": "engine", "explain": ["account"]}
    entry = operations.launch(pair.bridge, pair.actor, "record_counts", given=given)
    told = entry.result["missing"]["account"]
    assert told["reasons"] == {str(Reason.DELETED_SINCE): 1, str(Reason.FILTERED): 1}
    for reason, called in ((Reason.DELETED_SINCE, "gone"), (Reason.FILTERED, "left out")):
        assert [told["names"][one] for one in told["samples"][str(reason)]] == [called]
