"""Person accounts: an Account and its Contact are one person. Source: "Guidelines for Using Person
Accounts"."""

from __future__ import annotations

import polars as pl

from orgsim import dml
from orgsim.dml import nested
from orgsim.dml.intake import not_writeable
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import Staged
from orgsim.store.columns import quoted

#: Account field → Contact field.
_SHARED = {
    "LastName": "LastName", "FirstName": "FirstName", "Salutation": "Salutation", "Name": "Name",
    "PersonEmail": "Email", "PersonTitle": "Title", "PersonDepartment": "Department",
    "PersonMobilePhone": "MobilePhone", "PersonHomePhone": "HomePhone",
    "PersonLeadSource": "LeadSource", "PersonBirthdate": "Birthdate", "OwnerId": "OwnerId",
    "PersonMailingStreet": "MailingStreet", "PersonMailingCity": "MailingCity",
    "PersonMailingState": "MailingState", "PersonMailingPostalCode": "MailingPostalCode",
    "PersonMailingCountry": "MailingCountry", "Phone": "Phone", "Fax": "Fax",
}  # fmt: skip


def _on(staged: Staged) -> bool:
    return "person_accounts" in staged.save.full.features


def before(staged: Staged) -> None:
    """Tells persons from businesses by record type and checks what each may be called."""
    if not _on(staged):
        return
    staged.ensure(["RecordTypeId", "IsPersonAccount", "LastName", "FirstName", "Name"])
    persons = [one.record_type_id for one in staged.sobject.record_types if one.person]
    person = pl.col("RecordTypeId").is_in(persons).fill_null(value=False)
    if not staged.inserting:
        text = "Cannot change between business and person account record types"
        switched = person != pl.col("@old.IsPersonAccount")
        staged.refuse_where(switched, Refusal("INVALID_PERSON_ACCOUNT_OPERATION", text))
    staged.frame = staged.frame.with_columns(person.alias("IsPersonAccount"))
    if "Name" in staged.given:
        named = staged.given_expr("Name") & pl.col("Name").is_not_null()
        staged.refuse_where(person & named, not_writeable(["Name"]))
    for name in ("FirstName", "LastName"):
        if name in staged.given:
            staged.refuse_where(~person & pl.col(name).is_not_null(), not_writeable([name]))
    staged.refuse_where(person & pl.col("LastName").is_null(), _missing("LastName"))
    staged.refuse_where(~person & pl.col("Name").is_null(), _missing("Name"))


def _missing(name: str) -> Refusal:
    return Refusal("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{name}]", (name,))


def after(staged: Staged) -> None:
    """Makes the Contact of a new person; carries changes of a person over to it."""
    if not _on(staged):
        return
    people = staged.frame.filter(pl.col("IsPersonAccount"))
    if not len(people):
        return
    if staged.inserting:
        _make_contacts(staged, people)
    else:
        _carry_over(staged, people)


def _shared(staged: Staged, people: pl.DataFrame) -> dict[str, str]:
    contact = staged.save.full.sobjects["Contact"]
    return {one: other for one, other in {**_SHARED, **_custom(staged)}.items()
            if one in people.columns and contact.field(other)}  # fmt: skip


def _custom(staged: Staged) -> dict[str, str]:
    """Custom Contact fields show on Account with the suffix ``__pc``."""
    return {one: one.removesuffix("__pc") + "__c" for one in staged.sobject.fields
            if one.endswith("__pc")}  # fmt: skip


def _make_contacts(staged: Staged, people: pl.DataFrame) -> None:
    contact_ids = dml.new_ids(staged.save, "Contact", len(people))
    shared = _shared(staged, people)
    rows = people.select(
        contact_ids, pl.col("Id").alias("AccountId"), pl.lit(value=True).alias("IsPersonAccount"),
        *(pl.col(one).alias(other) for one, other in shared.items()),
    )  # fmt: skip
    nested.place(staged, "Contact", rows)
    pairs = rows.select(pl.col("AccountId").alias("Id"), pl.col("Id").alias("contact"))
    with staged.transaction.lent(**{"@pairs": pairs}):
        staged.transaction.cursor.execute(
            'UPDATE "Account" AS t SET PersonContactId = p.contact FROM "@pairs" p WHERE '
            "t.Id = p.Id"
        )


def _carry_over(staged: Staged, people: pl.DataFrame) -> None:
    shared = {
        one: other
        for one, other in _shared(staged, people).items()
        if one in staged.given or one == "Name"
    }
    if not shared:
        return
    assigned = ", ".join(f"{quoted(other)} = p.{quoted(one)}" for one, other in shared.items())
    with staged.transaction.lent(**{"@people": people.select("Id", *shared)}):
        staged.transaction.cursor.execute(
            f'UPDATE "Contact" AS t SET {assigned}, SystemModstamp = ?, LastModifiedDate = ? '
            'FROM "@people" p WHERE t.AccountId = p.Id AND t.IsPersonAccount',
            [staged.save.stamp, staged.save.stamp],
        )
    staged.transaction.touched.add("Contact")
