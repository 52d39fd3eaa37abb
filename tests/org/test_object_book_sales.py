"""A whole sale between two practice orgs: prices, an opportunity with lines, an activated order."""

from __future__ import annotations

from typing import Any

import pytest

from core.bootstrap import Orgbridge
from tests.org.engine import Pair, check_identity, connect, line
from tests.org.pairs import change, create, live
from tests.orgs import PracticeOrgs

SCHEMA = """
standard: [Account, Product2, Pricebook2, PricebookEntry, Opportunity, OpportunityLineItem,
           Contract, Order, OrderItem]
"""
#: children first, so that only lookups and the object book make the order
OBJECTS = (
    "OrderItem", "Order", "OpportunityLineItem", "Opportunity", "Contract", "PricebookEntry",
    "Pricebook2", "Product2", "Account",
)  # fmt: skip
PLAN = "orgbridge: 1\nname: sale\nsource: legacy\ntarget: new\nobjects:\n" + "".join(
    f"  - source: {name}\n" for name in OBJECTS
)


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    return connect(
        bridge, practice_org(name="Legacy", schema=SCHEMA), practice_org(name="New", schema=SCHEMA)
    )


def one(pair: Pair, sobject: str) -> dict[str, Any]:
    """The only record of an object in the target."""
    (row,) = live(pair.target, sobject)
    return row


def sold(pair: Pair) -> None:
    """A product with prices, an opportunity with two lines, an order with one item, activated."""
    org = pair.source
    standard = next(row["Id"] for row in live(org, "Pricebook2") if row["IsStandard"])
    (account,) = create(org, "Account", {"Name": "Acme"})
    (product,) = create(org, "Product2", {"Name": "Pump", "IsActive": True})
    (book,) = create(org, "Pricebook2", {"Name": "Partners", "IsActive": True})
    price = {"Product2Id": product, "IsActive": True}
    create(org, "PricebookEntry", {**price, "Pricebook2Id": standard, "UnitPrice": 10})
    (entry,) = create(org, "PricebookEntry", {**price, "Pricebook2Id": book, "UnitPrice": 8})
    deal = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2030-01-01"}
    (opportunity,) = create(
        org, "Opportunity", {**deal, "AccountId": account, "Pricebook2Id": book}
    )
    sale = {"OpportunityId": opportunity, "PricebookEntryId": entry, "UnitPrice": 7.5}
    create(org, "OpportunityLineItem", {**sale, "Quantity": 2}, {**sale, "Quantity": 3})
    placed = {"AccountId": account, "Status": "Draft", "EffectiveDate": "2030-01-01"}
    (order,) = create(org, "Order", {**placed, "Pricebook2Id": book})
    item = {"OrderId": order, "PricebookEntryId": entry, "Quantity": 4, "UnitPrice": 8}
    create(org, "OrderItem", item)
    change(org, "Order", order, Status="Activated")


def test_rule_4_2_a_sale_arrives_whole_and_its_order_is_activated_last(pair: Pair) -> None:
    sold(pair)

    document = pair.run(PLAN)

    check_identity(document)
    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    book = next(row for row in live(pair.target, "Pricebook2") if not row["IsStandard"])
    deal = one(pair, "Opportunity")
    assert (deal["Pricebook2Id"], deal["Amount"]) == (book["Id"], 37.5)
    quantities = sorted(row["Quantity"] for row in live(pair.target, "OpportunityLineItem"))
    assert quantities == [2, 3]
    order = one(pair, "Order")
    assert (order["Status"], order["TotalAmount"]) == ("Activated", 32)
    assert one(pair, "OrderItem")["OrderId"] == order["Id"]
    lost = {
        name: proof["differences"]["lost"]
        for name, proof in pair.summary(document)["proof"].items()
        if proof["differences"]["lost"]
    }
    assert lost == {}

    again = pair.run(PLAN)
    assert {line(again, name.lower())["inserted"] for name in OBJECTS} == {0}
    assert {line(again, name.lower())["updated"] for name in OBJECTS} == {0}
