"""Every entry of the object book that practice orgs know, held against their describes and against
what a run makes of it (rule 4.2).

    describe of a practice org ─▶ the fields that the entry names are there, and are what it says
    plan of all objects ─resolve─▶ order, fields sent, written once, set last, rows left out

Behaviour behind the entries (rows that the platform makes, refusals, activations) is held by
test_sim_standard.py and by the runs of test_object_book.py, test_object_book_sales.py and, for rows
that a package makes, test_object_book_npsp.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from core.domain.describe import SObject, parse_describe
from core.domain.object_book import BookEntry, object_book
from core.domain.plan import Write, plan_from_document
from core.migration.resolve import Resolved, resolve
from core.migration.spec import Step
from tests.orgs import PracticeOrgs

FEATURES = (
    "contacts_to_multiple_accounts, multi_currency, person_accounts, account_teams, "
    "opportunity_teams, quotes, entitlements"
)
#: of packages: a practice org has no such object of its own
NOT_IN_PRACTICE_ORGS = frozenset(
    {
        "npe01__OppPayment__c", "npe03__Recurring_Donation__c", "npe4__Relationship__c",
        "npe5__Affiliation__c", "npsp__Address__c", "Address__c", "npsp__Allocation__c",
        "npsp__Partial_Soft_Credit__c",
    }
)  # fmt: skip
NAMES = sorted(
    entry.object
    for entry in object_book().entries.values()
    if entry.object not in NOT_IN_PRACTICE_ORGS
)
#: fields of an entry that practice orgs leave out
LEFT_OUT: Mapping[str, frozenset[str]] = {
    "Lead": frozenset({"LastTransferDate"}),
    "Opportunity": frozenset({"LastStageChangeDate"}),
    "Campaign": frozenset(
        {"NumberOfConvertedLeads", "NumberOfOpportunities", "NumberOfWonOpportunities",
         "AmountAllOpportunities", "AmountWonOpportunities"}
    ),
    "CampaignMember": frozenset(
        {"LeadOrContactId", "LeadOrContactOwnerId", "Type", "FirstName", "LastName",
         "CompanyOrAccount", "Email", "Phone", "RecordTypeId"}
    ),
    "Contract": frozenset({"ActivatedDate", "ActivatedById", "LastActivityDate"}),
    "Asset": frozenset({"RootAssetId", "AssetLevel"}),
    "OpportunityLineItem": frozenset(
        {"Subtotal", "HasRevenueSchedule", "HasQuantitySchedule", "HasSchedule"}
    ),
    "Order": frozenset({"ActivatedDate", "ActivatedById"}),
    "OrderItem": frozenset({"AvailableQuantity"}),
    "ContentVersion": frozenset({"Checksum", "PublishStatus"}),
    "CaseComment": frozenset({"CreatorName", "CreatorSmallPhotoUrl", "IsNotificationSelected"}),
    "EmailMessage": frozenset({"MessageIdentifier", "HasAttachment"}),
    "Event": frozenset({"WhoCount", "WhatCount"}),
    "Case": frozenset({"IsClosedOnCreate", "LastActivityDate"}),
    "Task": frozenset({"CompletedDateTime", "WhoCount", "WhatCount"}),
}  # fmt: skip
#: derived fields that an org takes all the same: the describe does not say what the book knows
TAKEN: Mapping[str, frozenset[str]] = {
    "OpportunityLineItem": frozenset({"TotalPrice"}),
    "EmailMessage": frozenset({"ActivityId"}),
    "Account": frozenset({"CleanStatus"}),
}


@dataclass(frozen=True)
class Known:
    """A practice org's describes, and a plan of all objects as a run would carry it."""

    describes: Mapping[str, SObject]
    resolved: Resolved

    def step(self, name: str) -> Step:
        return next(step for step in self.resolved.steps if step.target.name == name)


@pytest.fixture(scope="module")
def known(module_practice_org: PracticeOrgs) -> Known:
    schema = f"org: {{features: [{FEATURES}]}}\nstandard: [{', '.join(NAMES)}]\n"
    org = module_practice_org(name="Book", schema=schema)
    describes = {
        name.lower(): parse_describe(org.json("GET", f"sobjects/{name}/describe")) for name in NAMES
    }
    document = {
        "orgbridge": 1,
        "name": "book",
        "source": "a",
        "target": "b",
        # children first: lookups and the book alone make the order
        "objects": [{"source": name} for name in reversed(NAMES)],
    }
    return Known(describes, resolve(plan_from_document(document), describes, describes))


def named(entry: BookEntry) -> set[str]:
    """Fields of the object itself that an entry names."""
    parts = [
        entry.natural_key, entry.derived, entry.create_only, entry.never_send, entry.locks,
        (rows.field for rows in entry.only_where), (one.field for one in entry.activations),
        (one.field for one in entry.never_update),
        (name for group in entry.one_of for name in group.fields),
        (rows.where.field for rows in (*entry.existing_rows,)),
    ]  # fmt: skip
    return {name for part in parts for name in part}


def test_the_book_names_nothing_that_is_not_looked_at() -> None:
    objects = {entry.object for entry in object_book().entries.values()}

    assert objects == {*NAMES, *NOT_IN_PRACTICE_ORGS}


@pytest.mark.parametrize("name", NAMES)
def test_rule_4_2_the_fields_of_an_entry_are_what_it_says(known: Known, name: str) -> None:
    entry, target = object_book().entry(name), known.describes[name.lower()]
    there = {field for field in named(entry) if field in target.fields}

    assert named(entry) - there == LEFT_OUT.get(name, frozenset())
    taken = {
        field
        for field in entry.derived
        if field in there and (target.fields[field].createable or target.fields[field].updateable)
    }
    assert taken == TAKEN.get(name, frozenset())
    assert {field for field in entry.locks if not target.fields[field].reference_to} == set()
    assert {one.object for one in entry.after} <= {*NAMES, *NOT_IN_PRACTICE_ORGS}
    assert {rows.caused_by for rows in entry.made_rows} <= {*NAMES, *NOT_IN_PRACTICE_ORGS}


@pytest.mark.parametrize("name", NAMES)
def test_rule_4_2_a_run_does_what_an_entry_says(known: Known, name: str) -> None:
    entry, step = object_book().entry(name), known.step(name)
    fields = step.mapping.fields
    at = {one.target.name: number for number, one in enumerate(known.resolved.steps)}

    assert [one.object for one in entry.after if at.get(one.object, -1) > at[name]] == []
    assert {*fields} & {*entry.derived} == set()
    assert {*fields} & {*entry.never_send} == set()
    once = {field for field in fields if field in entry.create_only}
    assert {field for field in once if fields[field].write is not Write.INSERT_ONLY} == set()
    for group in entry.one_of:
        sent = [field for field in group.fields if field in fields]
        assert len(sent) <= 1 or group.either or group.when_true, group
        assert group.keep in sent or not sent
    for one in entry.activations:
        assert one.field in step.mapping.final_fields
        assert getattr(fields[one.field], "constant", None) == one.first
    for rows in entry.only_where:
        known_field = rows.field in step.source.fields and step.source.fields[rows.field].filterable
        assert not known_field or rows.field in (step.mapping.where or "")


def test_rule_4_2_objects_that_are_never_copied_say_why() -> None:
    book = object_book()

    samples = (
        "AccountHistory", "Thing__History", "AccountShare", "Thing__Share", "CaseFeed", "FeedItem",
        "OrderChangeEvent", "Thing__e", "Thing__mdt", "Thing__b", "Thing__x", "Faq__kav", "User",
        "QueueSobject", "RecordType", "ContentDocument", "CaseStatus",
    )  # fmt: skip
    assert [name for name in samples if not book.reason_never_copied(name)] == []
    assert [name for name in NAMES if book.reason_never_copied(name)] == []
