"""Rule 3.2: what people changed in the target after our write is theirs, in every later run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.org.engine import Pair, line
from tests.org.pairs import by_key, change, create, live
from tests.org.rule_orgs import KEYED, OBJECTS, plan, schema
from tests.org.two_orgs import empty_pair, two_orgs

_ACCOUNTS = plan(f"source: Account, {KEYED}")
_HOUR_S = 3600


orgs = two_orgs(schema(domain="old.example"), schema(domain="new.example"))
pair = empty_pair(*OBJECTS)


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


_PART = plan(f"source: Contact, {KEYED}, where: \"LastName != 'late'\"")
_WHOLE = plan(f"source: Contact, {KEYED}")


def circle(pair: Pair) -> dict[str, str]:
    """Two contacts that report to each other and a third below the one that comes late."""
    late, other = create(pair.source, "Contact", {"LastName": "late"}, {"LastName": "other"})
    (below,) = create(pair.source, "Contact", {"LastName": "below", "ReportsToId": late})
    change(pair.source, "Contact", late, ReportsToId=other)
    change(pair.source, "Contact", other, ReportsToId=late)
    return {"late": late, "other": other, "below": below}


def test_rule_4_1_a_lookup_that_waited_in_vain_is_filled_when_its_parent_comes_by_a_later_run(
    pair: Pair,
) -> None:
    """The rows themselves are as they were sent, so the load has nothing to do with them."""
    circle(pair)
    first = pair.run(_PART)
    before = line(pair.run(_PART), "contact")
    last = pair.run(_WHOLE)

    there = by_key(pair.target, "Contact", "LastName")
    assert (first["status"], line(first, "contact")["lookups_left_blank"]) == ("Partial", 2)
    assert (before["unchanged"], before["lookups_left_blank"], before["second_pass"]) == (2, 2, 0)
    assert last["status"] == "Succeeded"
    assert {name: there[name]["ReportsToId"] for name in ("other", "below")} == dict.fromkeys(
        ("other", "below"), there["late"]["Id"]
    )
    assert line(pair.run(_WHOLE), "contact")["unchanged"] == 3


@pytest.mark.parametrize(
    ("policy", "filled", "left_blank"),
    [("report", False, 1), ("keep", False, 0), ("overwrite", True, 0)],
)
def test_rule_3_2_a_lookup_that_can_be_filled_late_is_not_put_beside_what_people_changed(
    pair: Pair, policy: str, filled: bool, left_blank: int
) -> None:
    circle(pair)
    entry = f"source: Contact, {KEYED}, on_target_change: {policy}"
    pair.run(plan(f"{entry}, where: \"LastName != 'late'\""))
    later(pair)
    row = by_key(pair.target, "Contact", "LastName")["below"]
    change(pair.target, "Contact", row["Id"], Title="theirs")
    later(pair)

    document = pair.run(plan(entry))

    there = by_key(pair.target, "Contact", "LastName")
    assert there["below"]["Title"] == "theirs"
    assert (there["below"]["ReportsToId"] == there["late"]["Id"]) is filled
    assert there["other"]["ReportsToId"] == there["late"]["Id"]
    assert line(document, "contact")["lookups_left_blank"] == left_blank
    told = [f["code"] for f in pair.failures(document["run_id"])]
    assert told == ["TARGET_CHANGED"] * left_blank


_FAMILY = plan(
    f"source: Account, {KEYED}",
    f"source: Contact, {KEYED}, lookups: {{AccountId: {{missing: blank}}}}",
)


def _child_of_a_parent_that_is(pair: Pair, fate: str) -> str | None:
    """A contact comes after people merged or deleted the account's copy; the winner, if any."""
    (account,) = create(pair.source, "Account", {"Name": "A"})
    pair.run(_FAMILY)
    later(pair)
    (copy,) = (row["Id"] for row in live(pair.target, "Account"))
    winner = None
    if fate == "merged":
        (winner,) = create(pair.target, "Account", {"Name": "theirs", "Legacy_Id__c": "their own"})
        pair.target.json("POST", "/_sim/edit", {"merge": {"winner": winner, "losers": [copy]}})
    else:
        pair.target.json("POST", "/_sim/edit", {"delete": [copy]})
    later(pair)
    create(pair.source, "Contact", {"LastName": "C", "AccountId": account})
    return winner


@pytest.mark.parametrize("given", [{"mode": "delta"}, {"only": ("contact",)}, {}])
def test_rule_2_4_a_lookup_leads_to_the_record_that_won_though_its_parent_was_not_read(
    pair: Pair, given: dict[str, Any]
) -> None:
    winner = _child_of_a_parent_that_is(pair, "merged")

    document = pair.run(_FAMILY, **given)

    assert line(document, "contact")["inserted"] == 1
    assert [row["AccountId"] for row in live(pair.target, "Contact")] == [winner]


@pytest.mark.parametrize("given", [{"mode": "delta"}, {"only": ("contact",)}, {}])
def test_rule_2_4_a_lookup_at_a_record_that_is_gone_follows_its_policy(
    pair: Pair, given: dict[str, Any]
) -> None:
    """The org would refuse the whole row for the sake of an id that leads nowhere."""
    _child_of_a_parent_that_is(pair, "deleted")

    contact = line(pair.run(_FAMILY, **given), "contact")

    assert (contact["inserted"], contact["failed"], contact["lookups_left_blank"]) == (1, 0, 1)
    assert [row["AccountId"] for row in live(pair.target, "Contact")] == [None]
