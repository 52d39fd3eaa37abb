"""What Salesforce does by itself to standard objects, in the practice org."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError

SCHEMA = """
org:
  features: [person_accounts, multi_currency, state_country_picklists, set_audit_fields,
             contacts_to_multiple_accounts, enhanced_email, entitlements]
  currencies: {USD: 1, EUR: 0.9}
  countries:
    US: {name: United States, states: {CA: California, NY: New York}}
    UA: {name: Ukraine}
  users: [{username: idle@x.example, last: Idle, active: false}]
objects:
  Account:
    record_types:
      Business: {name: Business, default: true}
      Person: {name: Person Account, person: true}
"""


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """One org for the module."""
    return module_practice_org(schema=SCHEMA)


def add(org: PracticeOrg, sobject: str, **fields: Any) -> str:
    """Create one record and return its id."""
    return str(org.json("POST", f"sobjects/{sobject}", fields)["id"])


def code(org: PracticeOrg, method: str, path: str, body: Any = None) -> str:
    """The error code of a call that the org must refuse."""
    with pytest.raises(RefusedError) as caught:
        org.json(method, path, body)
    return str(caught.value.body[0]["errorCode"])


def row(org: PracticeOrg, sobject: str, record_id: str) -> dict[str, Any]:
    """One stored row."""
    return next(one for one in org.rows(sobject) if one["Id"] == record_id)


def person_type(org: PracticeOrg) -> str:
    """The id of the person record type."""
    return str(next(one["Id"] for one in org.rows("RecordType") if one["IsPersonType"]))


def test_a_person_account_has_a_contact_that_follows_it(org: PracticeOrg) -> None:
    kind = person_type(org)
    person = add(
        org, "Account", RecordTypeId=kind, LastName="Ng", FirstName="Li", PersonEmail="li@x.example"
    )
    contact = row(org, "Account", person)["PersonContactId"]
    org.json("PATCH", f"sobjects/Account/{person}", {"LastName": "Ngo"})

    found = row(org, "Contact", contact)
    assert (found["Name"], found["Email"], found["AccountId"]) == ("Li Ngo", "li@x.example", person)
    assert row(org, "Account", person)["Name"] == "Li Ngo"
    assert code(org, "DELETE", f"sobjects/Contact/{contact}") == "DELETE_FAILED"
    named = {"RecordTypeId": kind, "Name": "x", "LastName": "y"}
    assert code(org, "POST", "sobjects/Account", named) == "INVALID_FIELD_FOR_INSERT_UPDATE"
    assert code(org, "POST", "sobjects/Account", {"Phone": "1"}) == "REQUIRED_FIELD_MISSING"


def test_a_contacts_account_makes_the_direct_relation(org: PracticeOrg) -> None:
    first, second = add(org, "Account", Name="One"), add(org, "Account", Name="Two")
    contact = add(org, "Contact", LastName="Moves", AccountId=first)
    org.json("PATCH", f"sobjects/Contact/{contact}", {"AccountId": second})
    add(org, "AccountContactRelation", AccountId=first, ContactId=contact, Roles="Evaluator")

    found = {(one["AccountId"], one["IsDirect"]) for one in org.rows("AccountContactRelation")
             if one["ContactId"] == contact}  # fmt: skip
    assert found == {(second, True), (first, False)}


def test_campaigns_have_statuses_and_unknown_ones_fall_to_the_default(org: PracticeOrg) -> None:
    campaign = add(org, "Campaign", Name="Spring")
    contact, lead = add(org, "Contact", LastName="C"), add(org, "Lead", LastName="L", Company="X")
    member = add(
        org, "CampaignMember", CampaignId=campaign, ContactId=contact, LeadId=lead, Status="Danced"
    )
    add(org, "CampaignMember", CampaignId=campaign, LeadId=lead, Status="Responded")

    labels = {
        one["Label"] for one in org.rows("CampaignMemberStatus") if one["CampaignId"] == campaign
    }
    found, counted = row(org, "CampaignMember", member), row(org, "Campaign", campaign)
    twice = {"CampaignId": campaign, "ContactId": contact}
    assert labels == {"Sent", "Responded"}
    assert (found["Status"], found["LeadId"]) == ("Sent", None)
    assert (
        counted["NumberOfLeads"],
        counted["NumberOfContacts"],
        counted["NumberOfResponses"],
    ) == (1, 1, 1)
    assert code(org, "POST", "sobjects/CampaignMember", twice) == "DUPLICATE_VALUE"


def priced(org: PracticeOrg) -> tuple[str, str, str]:
    """A product with a standard and a custom price: product, custom book, custom entry."""
    standard = next(one["Id"] for one in org.rows("Pricebook2") if one["IsStandard"])
    product = add(org, "Product2", Name="Tea", ProductCode="T1", IsActive=True)
    book = add(org, "Pricebook2", Name="Custom", IsActive=True)
    entry = {"Product2Id": product, "Pricebook2Id": book, "UnitPrice": 9, "IsActive": True}
    assert code(org, "POST", "sobjects/PricebookEntry", entry) == "STANDARD_PRICE_NOT_DEFINED"
    add(
        org,
        "PricebookEntry",
        Product2Id=product,
        Pricebook2Id=standard,
        UnitPrice=10,
        IsActive=True,
    )
    return product, book, add(org, "PricebookEntry", **entry)


def test_opportunity_lines_make_the_amount(org: PracticeOrg) -> None:
    _, book, entry = priced(org)
    opportunity = add(
        org,
        "Opportunity",
        Name="Deal",
        StageName="Prospecting",
        CloseDate="2026-05-05",
        Amount=5,
        Pricebook2Id=book,
    )
    line = add(
        org,
        "OpportunityLineItem",
        OpportunityId=opportunity,
        PricebookEntryId=entry,
        Quantity=3,
        UnitPrice=9,
    )
    add(
        org,
        "OpportunityLineItem",
        OpportunityId=opportunity,
        PricebookEntryId=entry,
        Quantity=2,
        TotalPrice=10,
    )
    org.json("PATCH", f"sobjects/Opportunity/{opportunity}", {"Amount": 1, "NextStep": "call"})
    with_lines = row(org, "Opportunity", opportunity)
    org.request("DELETE", f"sobjects/OpportunityLineItem/{line}")

    both = {
        "OpportunityId": opportunity,
        "PricebookEntryId": entry,
        "Quantity": 1,
        "UnitPrice": 1,
        "TotalPrice": 1,
    }
    assert (with_lines["Amount"], with_lines["NextStep"], with_lines["HasOpportunityLineItem"]) == (
        37,
        "call",
        True,
    )
    assert row(org, "Opportunity", opportunity)["Amount"] == 10
    assert code(org, "POST", "sobjects/OpportunityLineItem", both) == "FIELD_INTEGRITY_EXCEPTION"
    assert org.count("SELECT COUNT() FROM OpportunityLineItem") == 1


def test_a_price_is_unique_by_product_book_and_currency(org: PracticeOrg) -> None:
    product, book, _ = priced(org)
    again = {"Product2Id": product, "Pricebook2Id": book, "UnitPrice": 1, "IsActive": True}

    assert code(org, "POST", "sobjects/PricebookEntry", again) == "DUPLICATE_VALUE"
    other = {**again, "CurrencyIsoCode": "EUR"}
    assert code(org, "POST", "sobjects/PricebookEntry", other) == "STANDARD_PRICE_NOT_DEFINED"
    assert code(org, "POST", "sobjects/Account", {"Name": "x", "CurrencyIsoCode": "XXX"}) == (
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    )


def test_stages_decide_probability_and_closed_flags(org: PracticeOrg) -> None:
    made = add(
        org, "Opportunity", Name="Won", StageName="Closed Won", CloseDate="2026-05-05", Amount=100
    )

    found = row(org, "Opportunity", made)
    assert (found["Probability"], found["IsClosed"], found["IsWon"], found["ForecastCategory"]) == (
        100, True, True, "Closed")  # fmt: skip
    assert (found["FiscalYear"], found["FiscalQuarter"], found["ExpectedRevenue"]) == (2026, 2, 100)


def test_contact_id_on_insert_makes_the_primary_role(org: PracticeOrg) -> None:
    contact = add(org, "Contact", LastName="Role")
    made = add(
        org,
        "Opportunity",
        Name="R",
        StageName="Prospecting",
        CloseDate="2026-01-01",
        ContactId=contact,
    )

    found = [one for one in org.rows("OpportunityContactRole") if one["OpportunityId"] == made]
    assert [(one["ContactId"], one["IsPrimary"]) for one in found] == [(contact, True)]


def test_orders_take_items_as_drafts_and_activate_with_some(org: PracticeOrg) -> None:
    _, book, entry = priced(org)
    account = add(org, "Account", Name="Orders")
    draft = {
        "AccountId": account,
        "EffectiveDate": "2026-01-01",
        "Status": "Draft",
        "Pricebook2Id": book,
    }
    order = add(org, "Order", **draft)
    path = f"sobjects/Order/{order}"
    item = {"OrderId": order, "PricebookEntryId": entry, "Quantity": 2, "UnitPrice": 4}

    assert (
        code(org, "POST", "sobjects/Order", {**draft, "Status": "Activated"}) == "FAILED_ACTIVATION"
    )
    assert code(org, "PATCH", path, {"Status": "Activated"}) == "FAILED_ACTIVATION"
    add(org, "OrderItem", **item)
    org.json("PATCH", path, {"Status": "Activated"})
    assert row(org, "Order", order)["TotalAmount"] == 8
    assert code(org, "POST", "sobjects/OrderItem", item) == "FIELD_INTEGRITY_EXCEPTION"


def test_an_entitlements_status_follows_its_dates(org: PracticeOrg) -> None:
    account = add(org, "Account", Name="Supported")
    past, future = "2000-01-01", "2999-01-01"
    terms = {
        "Expired": {"StartDate": past, "EndDate": past},
        "Inactive": {"StartDate": future},
        "Active": {"StartDate": past, "EndDate": future},
    }

    made = {
        status: add(org, "Entitlement", Name=status, AccountId=account, **term)
        for status, term in terms.items()
    }
    told = {status: row(org, "Entitlement", one)["Status"] for status, one in made.items()}
    org.json("PATCH", f"sobjects/Entitlement/{made['Active']}", {"EndDate": past})

    assert told == {status: status for status in terms}
    assert row(org, "Entitlement", made["Active"])["Status"] == "Expired"


def test_states_and_countries_fill_each_other_in(org: PracticeOrg) -> None:
    by_code = add(org, "Account", Name="S1", BillingCountryCode="US", BillingStateCode="CA")
    by_text = add(
        org, "Account", Name="S2", BillingCountry="united states", BillingState="New York"
    )
    wrong = {"Name": "S3", "BillingCountry": "US", "BillingState": "Ohio"}

    first, second = row(org, "Account", by_code), row(org, "Account", by_text)
    assert (first["BillingCountry"], first["BillingState"]) == ("United States", "California")
    assert (second["BillingCountryCode"], second["BillingStateCode"]) == ("US", "NY")
    assert code(org, "POST", "sobjects/Account", wrong) == "FIELD_INTEGRITY_EXCEPTION"
    assert (
        code(org, "POST", "sobjects/Account", {"Name": "S4", "BillingState": "CA"})
        == "FIELD_INTEGRITY_EXCEPTION"
    )


def test_audit_fields_may_be_given_once_with_the_permission(org: PracticeOrg) -> None:
    idle = next(one["Id"] for one in org.rows("User") if one["Username"] == "idle@x.example")
    made = add(org, "Account", Name="Old", CreatedDate="2019-02-03T04:05:06Z", CreatedById=idle,
               LastModifiedDate="2020-02-03T04:05:06Z", OwnerId=idle)  # fmt: skip

    found = row(org, "Account", made)
    assert (found["CreatedById"], found["OwnerId"]) == (idle, idle)
    assert found["CreatedDate"].startswith("2019-02-03")
    assert found["LastModifiedDate"].startswith("2020-02-03")
    assert not found["SystemModstamp"].startswith("20" + "20")
    changed = {"CreatedDate": "2018-01-01T00:00:00Z"}
    assert (
        code(org, "PATCH", f"sobjects/Account/{made}", changed) == "INVALID_FIELD_FOR_INSERT_UPDATE"
    )


def test_events_need_a_time_and_a_leads_activity_has_no_what(org: PracticeOrg) -> None:
    account, lead = add(org, "Account", Name="E"), add(org, "Lead", LastName="E", Company="E")
    made = add(
        org, "Event", Subject="Meet", StartDateTime="2026-01-01T10:00:00Z", DurationInMinutes=30
    )

    assert row(org, "Event", made)["EndDateTime"].startswith("2026-01-01T10:30")
    assert code(org, "POST", "sobjects/Event", {"Subject": "x"}) == "REQUIRED_FIELD_MISSING"
    both = {"Subject": "x", "WhoId": lead, "WhatId": account}
    assert code(org, "POST", "sobjects/Task", both) == "FIELD_INTEGRITY_EXCEPTION"


def test_mail_makes_a_task(org: PracticeOrg) -> None:
    add(org, "EmailMessage", Subject="Hello there", Status="3")

    assert org.count("SELECT COUNT() FROM Task WHERE Subject = 'Email: Hello there'") == 1


def test_a_file_makes_its_document_and_links_and_gives_its_bytes_back(org: PracticeOrg) -> None:
    account = add(org, "Account", Name="Filed")
    content = "naïve ☃".encode()
    first = add(org, "ContentVersion", PathOnClient="a/Plan.txt", FirstPublishLocationId=account,
                VersionData=base64.b64encode(content).decode())  # fmt: skip
    document = row(org, "ContentVersion", first)["ContentDocumentId"]
    second = add(org, "ContentVersion", PathOnClient="Plan.txt", ContentDocumentId=document,
                 VersionData=base64.b64encode(b"two").decode())  # fmt: skip

    versions = {one["Id"]: one for one in org.rows("ContentVersion")}
    links = {
        one["LinkedEntityId"]
        for one in org.rows("ContentDocumentLink")
        if one["ContentDocumentId"] == document
    }
    assert org.request("GET", f"sobjects/ContentVersion/{first}/VersionData").data == content
    assert (versions[first]["Title"], versions[first]["ContentSize"]) == ("Plan", len(content))
    assert (
        versions[first]["IsLatest"],
        versions[second]["IsLatest"],
        versions[second]["VersionNumber"],
    ) == (False, True, "2")
    assert row(org, "ContentDocument", document)["LatestPublishedVersionId"] == second
    assert account in links


def test_an_attachment_comes_in_parts(org: PracticeOrg) -> None:
    account = add(org, "Account", Name="Parts")
    head = json.dumps({"Name": "x.bin", "ParentId": account}).encode()
    body = (
        b"--cut\r\nContent-Disposition: form-data; "
        b'name="entity_document"\r\nContent-Type: application/json\r\n\r\n'
        + head
        + b'\r\n--cut\r\nContent-Disposition: form-data; name="Body"; filename="x.bin"\r\n\r\n'
        + bytes(range(256))
        + b"\r\n--cut--\r\n"
    )

    answer = org.request(
        "POST",
        "sobjects/Attachment",
        body,
        headers={"Content-Type": 'multipart/form-data; boundary="cut"'},
    )

    made = json.loads(answer.data)["id"]
    assert org.request("GET", f"sobjects/Attachment/{made}/Body").data == bytes(range(256))
    assert row(org, "Attachment", made)["BodyLength"] == 256


def test_converted_leads_are_read_only(org: PracticeOrg) -> None:
    made = add(org, "Lead", LastName="Conv", Company="X", IsConverted=True)

    assert (
        code(org, "PATCH", f"sobjects/Lead/{made}", {"Title": "x"})
        == "CANNOT_UPDATE_CONVERTED_LEAD"
    )
