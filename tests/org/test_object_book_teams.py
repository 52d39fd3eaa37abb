"""Quotes, teams and entitlements between two practice orgs: entries of the object book whose
objects an org has only where the feature is switched on (rule 4.2)."""

from __future__ import annotations

from typing import Any

import pytest

from core.bootstrap import Orgbridge
from tests.org.engine import Pair, check_identity, connect, line
from tests.org.pairs import create, live
from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError

SCHEMA = """
org:
  features: [account_teams, opportunity_teams, quotes, entitlements]
  users:
    - {username: ann@x.example, first: Ann, last: Lee, email: ann@x.example}
standard: [Account, Product2, Pricebook2, PricebookEntry, Opportunity, Quote, QuoteLineItem,
           AccountTeamMember, OpportunityTeamMember, Asset, Entitlement, Contact, Contract,
           OpportunityLineItem]
"""
#: children first, so that only lookups and the object book make the order
OBJECTS = (
    "QuoteLineItem", "Quote", "OpportunityTeamMember", "AccountTeamMember", "Entitlement",
    "Opportunity", "PricebookEntry", "Pricebook2", "Product2", "Account",
)  # fmt: skip
HEAD = """
orgbridge: 1
name: deals
source: legacy
target: new
users: {object: User, match: Username, missing: running_user}
objects:
"""
PLAN = HEAD + "".join(f"  - source: {name}\n" for name in OBJECTS)


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    return connect(
        bridge, practice_org(name="Legacy", schema=SCHEMA), practice_org(name="New", schema=SCHEMA)
    )


def person(org: PracticeOrg) -> Any:
    """The id of the user who is on the teams."""
    return next(row["Id"] for row in live(org, "User") if row["Username"] == "ann@x.example")


def one(org: PracticeOrg, sobject: str) -> dict[str, Any]:
    """The only record of an object."""
    (row,) = live(org, sobject)
    return row


def deal(org: PracticeOrg) -> dict[str, str]:
    """An account with support and a team, an opportunity with a team and a quote of two lines."""
    standard = next(row["Id"] for row in live(org, "Pricebook2") if row["IsStandard"])
    ann = person(org)
    (account,) = create(org, "Account", {"Name": "Acme"})
    (product,) = create(org, "Product2", {"Name": "Pump", "IsActive": True})
    price = {"Product2Id": product, "Pricebook2Id": standard, "IsActive": True, "UnitPrice": 10}
    (entry,) = create(org, "PricebookEntry", price)
    sale = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2030-01-01"}
    (opportunity,) = create(org, "Opportunity", {**sale, "AccountId": account})
    (quote,) = create(
        org, "Quote",
        {"Name": "First", "OpportunityId": opportunity, "Pricebook2Id": standard, "Tax": 4},
    )  # fmt: skip
    item = {"QuoteId": quote, "PricebookEntryId": entry, "UnitPrice": 10}
    create(org, "QuoteLineItem", {**item, "Quantity": 2}, {**item, "Quantity": 3, "Discount": 50})
    create(
        org, "AccountTeamMember",
        {"AccountId": account, "UserId": ann, "TeamMemberRole": "Sales Rep"},
    )  # fmt: skip
    create(
        org, "OpportunityTeamMember",
        {"OpportunityId": opportunity, "UserId": ann, "TeamMemberRole": "Sales Manager"},
    )  # fmt: skip
    create(org, "Entitlement", {"Name": "Gold", "AccountId": account, "StartDate": "2026-01-01"})
    return {"quote": quote, "product": product, "entry": entry}


def test_rule_4_2_quotes_teams_and_entitlements_arrive_whole_and_once(pair: Pair) -> None:
    deal(pair.source)
    summed = ("LineItemCount", "Subtotal", "TotalPrice", "Discount", "GrandTotal")
    sent = one(pair.source, "Quote")
    assert [sent[name] for name in summed] == [2, 50, 35, 30, 39]

    document = pair.run(PLAN)

    check_identity(document)
    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    account, opportunity = one(pair.target, "Account"), one(pair.target, "Opportunity")
    quote = one(pair.target, "Quote")
    assert (quote["OpportunityId"], quote["AccountId"]) == (opportunity["Id"], account["Id"])
    assert [quote[name] for name in summed] == [2, 50, 35, 30, 39]
    lines = live(pair.target, "QuoteLineItem")
    assert {row["QuoteId"] for row in lines} == {quote["Id"]}
    assert sorted((row["Quantity"], row["TotalPrice"]) for row in lines) == [(2, 20), (3, 15)]
    ann = person(pair.target)
    member, seller = (
        one(pair.target, "AccountTeamMember"), one(pair.target, "OpportunityTeamMember"),
    )  # fmt: skip
    assert (member["AccountId"], member["UserId"], member["TeamMemberRole"]) == (
        account["Id"], ann, "Sales Rep",
    )  # fmt: skip
    assert (seller["OpportunityId"], seller["UserId"]) == (opportunity["Id"], ann)
    support = one(pair.target, "Entitlement")
    assert (support["AccountId"], support["Status"]) == (account["Id"], "Active")
    again = pair.run(PLAN)
    assert {line(again, name.lower())["inserted"] for name in OBJECTS} == {0}
    assert {line(again, name.lower())["updated"] for name in OBJECTS} == {0}


def test_a_practice_org_sums_a_quote_and_refuses_prices_of_another_book(pair: Pair) -> None:
    org = pair.source
    made = deal(org)
    (book,) = create(org, "Pricebook2", {"Name": "Partners", "IsActive": True})
    (other,) = create(
        org, "PricebookEntry",
        {"Product2Id": made["product"], "Pricebook2Id": book, "IsActive": True, "UnitPrice": 8},
    )  # fmt: skip
    line_of = {"QuoteId": made["quote"], "Quantity": 1, "UnitPrice": 8}

    with pytest.raises(RefusedError, match="different pricebook"):
        org.json("POST", "sobjects/QuoteLineItem", {**line_of, "PricebookEntryId": other})
    gone = next(row["Id"] for row in live(org, "QuoteLineItem") if row["Quantity"] == 3)
    org.json("DELETE", f"sobjects/QuoteLineItem/{gone}")

    quote = one(org, "Quote")
    assert [quote[name] for name in ("LineItemCount", "Subtotal", "Discount", "GrandTotal")] == [
        1, 20, 0, 24,
    ]  # fmt: skip
