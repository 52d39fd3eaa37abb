"""Rule 3.2: what people changed in the target after our write is theirs, in every later run."""

from __future__ import annotations

import pytest

from core.bootstrap import Orgbridge
from tests.org.engine import Pair, connect, line
from tests.org.pairs import by_key, change, create, live
from tests.org.rule_orgs import KEYED, cleared, plan, schema
from tests.orgs import PracticeOrg, PracticeOrgs

_ACCOUNTS = plan(f"source: Account, {KEYED}")
_HOUR_S = 3600


@pytest.fixture(scope="module")
def orgs(module_practice_org: PracticeOrgs) -> tuple[PracticeOrg, PracticeOrg]:
    return (
        module_practice_org(name="Legacy", schema=schema(domain="old.example")),
        module_practice_org(name="New", schema=schema(domain="new.example")),
    )


@pytest.fixture
def pair(bridge: Orgbridge, orgs: tuple[PracticeOrg, PracticeOrg]) -> Pair:
    return cleared(connect(bridge, *orgs))


def later(pair: Pair) -> None:
    """An hour passes in both orgs."""
    for org in (pair.source, pair.target):
        org.json("POST", "/_sim/clock", {"move_s": _HOUR_S})


@pytest.mark.parametrize("verify", [True, False])
def test_rule_3_2_a_change_that_was_reported_is_reported_by_every_later_run(
    pair: Pair, verify: bool
) -> None:
    (account,) = create(pair.source, "Account", {"Name": "A"})
    pair.run(_ACCOUNTS, verify=verify)
    later(pair)
    change(pair.target, "Account", live(pair.target, "Account")[0]["Id"], Name="theirs")
    change(pair.source, "Account", account, Name="ours")

    told = []
    for _ in range(3):
        later(pair)
        told.append(line(pair.run(_ACCOUNTS, verify=verify), "account")["blocked"])

    assert told == [1, 1, 1]
    assert by_key(pair.target, "Account")[account]["Name"] == "theirs"


def test_rule_3_2_a_change_is_kept_though_a_run_between_had_nothing_to_write(pair: Pair) -> None:
    (account,) = create(pair.source, "Account", {"Name": "A"})
    pair.run(_ACCOUNTS)
    later(pair)
    change(pair.target, "Account", live(pair.target, "Account")[0]["Id"], Name="theirs")
    later(pair)
    between = pair.run(_ACCOUNTS)
    later(pair)
    change(pair.source, "Account", account, Name="ours")

    last = pair.run(_ACCOUNTS)

    assert line(between, "account")["unchanged"] == 1
    assert line(last, "account")["blocked"] == 1
    assert by_key(pair.target, "Account")[account]["Name"] == "theirs"


def test_rule_3_2_a_merged_record_keeps_what_its_winner_holds_in_every_later_run(
    pair: Pair,
) -> None:
    """The link leads to the winner from the first of them on, which nobody of us ever wrote."""
    create(pair.source, "Account", {"Name": "lost"})
    pair.run(_ACCOUNTS)
    later(pair)
    (winner,) = create(pair.target, "Account", {"Name": "theirs", "Legacy_Id__c": "their own"})
    loser = next(row["Id"] for row in live(pair.target, "Account") if row["Id"] != winner)
    pair.target.json("POST", "/_sim/edit", {"merge": {"winner": winner, "losers": [loser]}})
    later(pair)

    told = [line(pair.run(_ACCOUNTS), "account")["blocked"] for _ in range(2)]

    assert told == [1, 1]
    assert [row["Name"] for row in live(pair.target, "Account")] == ["theirs"]
    overwrites = plan(f"source: Account, {KEYED}, on_target_change: overwrite")
    assert line(pair.run(overwrites), "account")["updated"] == 1
    assert [row["Name"] for row in live(pair.target, "Account")] == ["lost"]
