"""Person accounts (rule 3.6), between two practice orgs in which accounts may be persons."""

from __future__ import annotations

from tests.org.engine import Pair, check_identity, line
from tests.org.pairs import change, create, live
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PracticeOrg

SCHEMA = """
org: {features: [person_accounts]}
standard: [Account, Contact, Case]
objects:
  Account:
    record_types:
      Business: {name: Business, default: true}
      Person: {name: Person, person: true}
"""
PLAN = """
orgbridge: 1
name: persons
source: legacy
target: new
objects:
  - source: Account
  - source: Contact
  - source: Case
    auto_map: false
    fields: {Subject: Subject, ContactId: ContactId, AccountId: AccountId}
"""


orgs = two_orgs(SCHEMA)
pair = empty_pair("Case", "Contact", "Account")


def person_type(org: PracticeOrg) -> str:
    """Id of the record type of persons."""
    return next(row["Id"] for row in org.rows("RecordType") if row["DeveloperName"] == "Person")


def filled(org: PracticeOrg) -> tuple[str, str]:
    """A business with a contact, a person, a case of each; ids of person and its contact."""
    (business,) = create(org, "Account", {"Name": "Acme", "Phone": "1"})
    person_row = {
        "FirstName": "Ana",
        "LastName": "Lima",
        "PersonEmail": "ana@x.example",
        "RecordTypeId": person_type(org),
    }
    (person,) = create(org, "Account", person_row)
    (employee,) = create(org, "Contact", {"LastName": "Ng", "AccountId": business})
    contact = next(r["PersonContactId"] for r in live(org, "Account") if r["Id"] == person)
    create(
        org,
        "Case",
        {"Subject": "of the person", "ContactId": contact, "AccountId": person},
        {"Subject": "of the employee", "ContactId": employee, "AccountId": business},
    )
    return person, contact


def test_rule_3_6_persons_go_by_their_last_name_and_their_contact_is_linked(pair: Pair) -> None:
    filled(pair.source)

    document = pair.run(PLAN)

    check_identity(document)
    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    assert line(document, "contact")["read"] == line(document, "contact")["inserted"] == 1
    accounts = {row["Name"]: row for row in live(pair.target, "Account")}
    assert set(accounts) == {"Acme", "Ana Lima"}
    person = accounts["Ana Lima"]
    assert (person["IsPersonAccount"], person["PersonEmail"]) == (True, "ana@x.example")
    contacts = {row["Id"]: row["LastName"] for row in live(pair.target, "Contact")}
    assert sorted(contacts.values()) == ["Lima", "Ng"]
    asked = {row["Subject"]: row["ContactId"] for row in live(pair.target, "Case")}
    assert asked["of the person"] == person["PersonContactId"]
    assert contacts[asked["of the employee"]] == "Ng"


def test_rule_3_6_a_second_run_writes_nothing_and_a_change_reaches_the_person(pair: Pair) -> None:
    person, _ = filled(pair.source)
    pair.run(PLAN)

    again = pair.run(PLAN)
    change(pair.source, "Account", person, LastName="Souza")
    changed = pair.run(PLAN)

    assert all(entry["unchanged"] == entry["read"] for entry in again["objects"]), again
    assert line(changed, "account")["updated"] == 1
    assert changed["status"] == "Succeeded", pair.failures(changed["run_id"])
    assert {row["Name"] for row in live(pair.target, "Account")} == {"Acme", "Ana Souza"}


def test_rule_3_6_a_dry_run_resolves_contacts_that_persons_will_bring(pair: Pair) -> None:
    filled(pair.source)

    document = pair.run(PLAN, mode="dry-run")

    assert document["status"] == "Succeeded", pair.failures(document["run_id"])
    assert line(document, "case")["inserted"] == 2
    assert live(pair.target, "Account") == []
