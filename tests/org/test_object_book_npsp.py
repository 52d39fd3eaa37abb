"""NPSP's rows by the object book: what the package made in the target is found and linked, never
made a second time (rules 3.8 and 4.2).

    target before the run: a household and its donation are there, and with them what NPSP makes of
    them (payment, default allocation, address, affiliation, relationship)
"""

from __future__ import annotations

import yaml

from tests.org.engine import Pair, line
from tests.org.pairs import create, live
from tests.org.rule_orgs import KEYED, plan
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PracticeOrg

_KEY = {"type": "text", "length": 18, "external_id": True, "unique": True, "case_sensitive": True}


def _lookup(to: str, relationship: str) -> dict[str, str]:
    return {"type": "lookup", "to": to, "relationship": relationship}


_OBJECTS = {
    **{name: {"fields": {"Legacy_Id__c": _KEY}} for name in ("Account", "Contact", "Opportunity")},
    "npsp__General_Accounting_Unit__c": {"label": "Fund", "fields": {"Legacy_Id__c": _KEY}},
    "npe01__OppPayment__c": {
        "label": "Payment",
        "fields": {
            "npe01__Opportunity__c": _lookup("Opportunity", "npe01__Opportunity__r"),
            "npe01__Scheduled_Date__c": "date",
            "npe01__Payment_Amount__c": {"type": "currency", "precision": 18, "scale": 2},
        },
    },
    "npsp__Allocation__c": {
        "label": "Allocation",
        "fields": {
            "npsp__Opportunity__c": _lookup("Opportunity", "npsp__Opportunity__r"),
            "npsp__General_Accounting_Unit__c": _lookup(
                "npsp__General_Accounting_Unit__c", "npsp__General_Accounting_Unit__r"
            ),
            "npsp__Percent__c": {"type": "number", "precision": 6, "scale": 2},
        },
    },
    "npsp__Address__c": {
        "label": "Address",
        "fields": {
            "npsp__Household_Account__c": _lookup("Account", "npsp__Household_Account__r"),
            "npsp__MailingStreet__c": {"type": "text", "length": 255},
            "npsp__MailingPostalCode__c": {"type": "text", "length": 40},
            "npsp__MailingCity__c": {"type": "text", "length": 80},
        },
    },
    "npe5__Affiliation__c": {
        "label": "Affiliation",
        "fields": {
            "npe5__Contact__c": _lookup("Contact", "npe5__Contact__r"),
            "npe5__Organization__c": _lookup("Account", "npe5__Organization__r"),
            "npe5__Role__c": {"type": "text", "length": 80},
        },
    },
    "npe4__Relationship__c": {
        "label": "Relationship",
        "fields": {
            "npe4__Contact__c": _lookup("Contact", "npe4__Contact__r"),
            "npe4__RelatedContact__c": _lookup("Contact", "npe4__RelatedContact__r"),
            "npe4__Type__c": {"type": "text", "length": 80},
        },
    },
    # of a package that was installed without its namespace
    "Address__c": {
        "label": "Own Address",
        "fields": {
            "Household_Account__c": _lookup("Account", "Addresses__r"),
            "MailingStreet__c": {"type": "text", "length": 255},
            "MailingPostalCode__c": {"type": "text", "length": 40},
            "MailingCity__c": {"type": "text", "length": 80},
        },
    },
    "npe03__Recurring_Donation__c": {
        "label": "Recurring Donation",
        "fields": {
            "npe03__Contact__c": _lookup("Contact", "npe03__Contact__r"),
            "npe03__Date_Established__c": "date",
            "npe03__Amount__c": {"type": "currency", "precision": 18, "scale": 2},
            "npe03__Next_Payment_Date__c": "date",
            "npe03__Paid_Amount__c": {"type": "currency", "precision": 18, "scale": 2},
        },
    },
    "npsp__Partial_Soft_Credit__c": {
        "label": "Partial Soft Credit",
        "fields": {
            "npsp__Opportunity__c": _lookup("Opportunity", "npsp__Opportunity__r"),
            "npsp__Contact__c": _lookup("Contact", "npsp__Contact__r"),
            "npsp__Amount__c": {"type": "currency", "precision": 18, "scale": 2},
        },
    },
}
#: a field beside the natural key, which the run brings to the row that the package made
MADE = {
    "npe01__OppPayment__c": ("npe01__Payment_Amount__c", 50),
    "npsp__Allocation__c": ("npsp__Percent__c", 25),
    "npsp__Address__c": ("npsp__MailingCity__c", "Leeds"),
    "npe5__Affiliation__c": ("npe5__Role__c", "Chair"),
    "npe4__Relationship__c": ("npe4__Type__c", "Friend"),
    "Address__c": ("MailingCity__c", "York"),
}


def _schema() -> str:
    document = {"standard": ["Account", "Contact", "Opportunity"], "objects": _OBJECTS}
    # one definition of a field for several objects is written out for each
    dumper = type("Plain", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    return yaml.dump(document, Dumper=dumper)


orgs = two_orgs(_schema())
pair = empty_pair()


def household(org: PracticeOrg, keys: dict[str, str] | None = None) -> dict[str, str]:
    """A household, two people, a donation and a fund; their ids by name."""
    keys = keys or {}

    def one(name: str, sobject: str, **values: object) -> str:
        key = {"Legacy_Id__c": keys[name]} if name in keys else {}
        return create(org, sobject, {**values, **key})[0]

    made = {"home": one("home", "Account", Name="Lee Household")}
    for person in ("Ann", "Bob"):
        made[person] = one(person, "Contact", LastName=person, AccountId=made["home"])
    sale = {"Name": "Gift", "StageName": "Prospecting", "CloseDate": "2026-01-31"}
    made["gift"] = one("gift", "Opportunity", AccountId=made["home"], **sale)
    made["fund"] = one("fund", "npsp__General_Accounting_Unit__c", Name="General")
    return made


def package_rows(org: PracticeOrg, ids: dict[str, str], *, whole: bool) -> None:
    """What NPSP makes of a household and its gift; `whole` with the values that people gave."""
    natural = {
        "npe01__OppPayment__c": {
            "npe01__Opportunity__c": ids["gift"], "npe01__Scheduled_Date__c": "2026-01-31",
        },
        "npsp__Allocation__c": {
            "npsp__Opportunity__c": ids["gift"], "npsp__General_Accounting_Unit__c": ids["fund"],
        },
        "npsp__Address__c": {
            "npsp__Household_Account__c": ids["home"], "npsp__MailingStreet__c": "1 High St",
            "npsp__MailingPostalCode__c": "LS1",
        },
        "npe5__Affiliation__c": {
            "npe5__Contact__c": ids["Ann"], "npe5__Organization__c": ids["home"],
        },
        "npe4__Relationship__c": {
            "npe4__Contact__c": ids["Ann"], "npe4__RelatedContact__c": ids["Bob"],
        },
        "Address__c": {
            "Household_Account__c": ids["home"], "MailingStreet__c": "1 High St",
            "MailingPostalCode__c": "LS1",
        },
    }  # fmt: skip
    for name, row in natural.items():
        field, value = MADE[name]
        create(org, name, {**row, field: value} if whole else row)


def test_rule_3_8_what_npsp_made_in_the_target_is_linked_and_updated(pair: Pair) -> None:
    source = household(pair.source)
    package_rows(pair.source, source, whole=True)
    package_rows(pair.target, household(pair.target, source), whole=False)
    keyed = ("Account", "Contact", "Opportunity", "npsp__General_Accounting_Unit__c")
    # children first: lookups and the book alone make the order
    text = plan(
        *(f"source: {name}" for name in reversed(MADE)),
        *(f"source: {name}, {KEYED}" for name in reversed(keyed)),
    )

    document = pair.run(text)
    again = pair.run(text)

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    for name, (field, value) in MADE.items():
        figures = line(document, name.lower())
        assert (figures["inserted"], figures["updated"]) == (0, 1), name
        assert [row[field] for row in live(pair.target, name)] == [value]
        assert line(again, name.lower())["unchanged"] == 1


def promises(org: PracticeOrg, ids: dict[str, str]) -> None:
    """What people enter themselves: a recurring donation, and credit for a gift to another."""
    promise = {"npe03__Contact__c": ids["Ann"], "npe03__Date_Established__c": "2026-02-01"}
    computed = {"npe03__Next_Payment_Date__c": "2026-03-01", "npe03__Paid_Amount__c": 10}
    create(org, "npe03__Recurring_Donation__c", {**promise, "npe03__Amount__c": 10, **computed})
    credit = {"npsp__Opportunity__c": ids["gift"], "npsp__Contact__c": ids["Bob"]}
    create(org, "npsp__Partial_Soft_Credit__c", {**credit, "npsp__Amount__c": 5})


def test_rule_4_2_promises_and_soft_credits_arrive_without_what_npsp_works_out(
    pair: Pair,
) -> None:
    source = household(pair.source)
    promises(pair.source, source)
    there = household(pair.target, source)
    keyed = ("Account", "Contact", "Opportunity")
    own = ("npsp__Partial_Soft_Credit__c", "npe03__Recurring_Donation__c")
    text = plan(
        *(f"source: {name}" for name in own),
        *(f"source: {name}, {KEYED}" for name in reversed(keyed)),
    )

    document = pair.run(text)
    again = pair.run(text)

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    (promise,) = live(pair.target, "npe03__Recurring_Donation__c")
    (credit,) = live(pair.target, "npsp__Partial_Soft_Credit__c")
    assert (promise["npe03__Contact__c"], promise["npe03__Amount__c"]) == (there["Ann"], 10)
    assert promise["npe03__Next_Payment_Date__c"] is None
    assert promise["npe03__Paid_Amount__c"] is None
    assert (credit["npsp__Opportunity__c"], credit["npsp__Contact__c"]) == (
        there["gift"], there["Bob"],
    )  # fmt: skip
    assert credit["npsp__Amount__c"] == 5
    assert {line(again, name.lower())["unchanged"] for name in own} == {1}
