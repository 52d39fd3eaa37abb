"""Entries of the object book, each between two practice orgs."""

from __future__ import annotations

from sqlalchemy import text

from core.services import launching
from tests.org.engine import Pair, check_identity, line
from tests.org.pairs import change, create, live
from tests.org.two_orgs import empty_pair, two_orgs

SCHEMA = """
standard: [Account, Contact, Product2, Pricebook2, PricebookEntry, Campaign, CampaignMemberStatus]
"""
PRICES = """
orgbridge: 1
name: prices
source: legacy
target: new
objects:
  - source: PricebookEntry
    auto_map: false
    fields:
      Product2Id: Product2Id
      Pricebook2Id: Pricebook2Id
      UnitPrice: UnitPrice
      IsActive: IsActive
  - {source: Pricebook2, auto_map: false, fields: {Name: Name, IsActive: IsActive}}
  - source: Product2
    auto_map: false
    fields: {Name: Name, ProductCode: ProductCode, IsActive: IsActive}
"""
CAMPAIGNS = """
orgbridge: 1
name: campaigns
source: legacy
target: new
objects:
  - {source: Campaign, auto_map: false, fields: {Name: Name}}
  - source: CampaignMemberStatus
    auto_map: false
    fields: {CampaignId: CampaignId, Label: Label, HasResponded: HasResponded}
"""

NOTES = """
orgbridge: 1
name: notes
source: legacy
target: new
objects:
  - {source: Account, auto_map: false, fields: {Name: Name}}
  - source: Contact
    auto_map: false
    after: [account]
    fields: {LastName: LastName, Description: {from: Description, ids: rewrite}}
"""


orgs = two_orgs(SCHEMA)
pair = empty_pair()


def test_rule_4_2_standard_prices_load_first_and_the_standard_book_is_matched(pair: Pair) -> None:
    standard = next(row["Id"] for row in live(pair.source, "Pricebook2") if row["IsStandard"])
    products = create(pair.source, "Product2", *({"Name": f"P{n}"} for n in range(3)))
    (book,) = create(pair.source, "Pricebook2", {"Name": "Partners", "IsActive": True})
    for pricebook in (standard, book):
        create(
            pair.source,
            "PricebookEntry",
            *(
                {"Product2Id": p, "Pricebook2Id": pricebook, "UnitPrice": 5, "IsActive": True}
                for p in products
            ),
        )

    document = pair.run(PRICES)

    check_identity(document)
    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    assert line(document, "pricebookentry")["inserted"] == 6
    assert line(document, "pricebook2")["inserted"] == 1
    books = {row["Id"]: row["IsStandard"] for row in live(pair.target, "Pricebook2")}
    assert sorted(books.values()) == [False, True]
    entries = [books[row["Pricebook2Id"]] for row in live(pair.target, "PricebookEntry")]
    assert sorted(entries) == [False] * 3 + [True] * 3
    again = pair.run(PRICES)
    assert all(entry["inserted"] == 0 for entry in again["objects"]), again


def test_rule_3_8_statuses_that_come_with_a_campaign_are_adopted(pair: Pair) -> None:
    (campaign,) = create(pair.source, "Campaign", {"Name": "Spring"})
    create(
        pair.source,
        "CampaignMemberStatus",
        {"CampaignId": campaign, "Label": "Visited", "HasResponded": True},
    )
    ours = [r for r in live(pair.source, "CampaignMemberStatus") if r["CampaignId"] == campaign]

    document = pair.run(CAMPAIGNS)

    check_identity(document)
    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    (there,) = [row["Id"] for row in live(pair.target, "Campaign") if row["Name"] == "Spring"]
    theirs = [r for r in live(pair.target, "CampaignMemberStatus") if r["CampaignId"] == there]
    assert sorted(r["Label"] for r in theirs) == sorted(r["Label"] for r in ours)
    assert line(document, "campaignmemberstatus")["inserted"] == 1
    assert origins(pair, [r["Id"] for r in theirs]) == {"adopted": 2, "inserted": 1}


def test_rule_3_8_undo_never_deletes_adopted_rows(pair: Pair) -> None:
    (campaign,) = create(pair.source, "Campaign", {"Name": "Autumn"})
    (sent,) = [
        row["Id"]
        for row in live(pair.source, "CampaignMemberStatus")
        if row["CampaignId"] == campaign and row["Label"] == "Sent"
    ]
    change(pair.source, "CampaignMemberStatus", sent, HasResponded=True)
    (there,) = create(pair.target, "Campaign", {"Name": "Autumn"})
    before = [r["Id"] for r in live(pair.target, "CampaignMemberStatus")]
    plan = CAMPAIGNS.replace("source: Campaign,", "source: Campaign, key: Name,")

    document = pair.run(plan)
    undo = launching.undo(pair.bridge, pair.actor, document["run_id"], enqueue=False)
    pair.carry(undo)

    after = {row["Id"]: row for row in live(pair.target, "CampaignMemberStatus")}
    assert line(document, "campaignmemberstatus")["updated"] >= 1
    assert set(before) <= set(after)
    assert there in {row["CampaignId"] for row in after.values()}


def origins(pair: Pair, target_ids: list[str]) -> dict[str, int]:
    """How many of these records came how, by the ledger."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        rows = session.execute(
            text(
                "SELECT origin, count(*) FROM record_link WHERE target_id = ANY(:ids)"
                " GROUP BY origin"
            ),
            {"ids": target_ids},
        )
        return {str(origin): int(n) for origin, n in rows}


def test_rule_5_2_ids_in_text_lead_to_the_records_of_the_target(pair: Pair) -> None:
    (account,) = create(pair.source, "Account", {"Name": "Ng"})
    (beside,) = create(pair.source, "Campaign", {"Name": "in no plan"})
    text = f"see https://x.example/{account} and {account[:15]}, not 0032000000Vyk6QAAB"
    create(pair.source, "Contact", {"LastName": "Ng", "Description": f"{text} {beside}"})

    document = pair.run(NOTES)

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    (there,) = [row["Id"] for row in live(pair.target, "Account") if row["Name"] == "Ng"]
    (found,) = [row["Description"] for row in live(pair.target, "Contact")]
    text = f"see https://x.example/{there} and {there[:15]}, not 0032000000Vyk6QAAB"
    assert found == f"{text} {beside}"
    assert pair.row(document["run_id"]).buckets["contact"]["ids_left"] == {"Description": 1}
