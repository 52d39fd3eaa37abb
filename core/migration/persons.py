"""Person accounts: an account and its contact are one person (rule 3.6).

    account row ─┬─ a person:   LastName and Person fields are sent, Name never
                 └─ a business: Name is sent, the fields of persons never
    inserting a person makes its contact, which is linked, never inserted (person_contacts)

Source: "Guidelines for Using Person Accounts".
"""

from __future__ import annotations

import polars as pl

from core.domain.describe import SObject
from core.domain.object_book import PersonAccounts, object_book


def person_paths(target: SObject, source: SObject) -> tuple[str, ...]:
    """Source columns that tell persons and their contacts; empty unless both orgs have persons."""
    book = person_book(target, source)
    if book is None:
        return ()
    return tuple(n for n in (book.record_type_flag, book.contact_field) if n in source.fields)


def left_alone(
    rows: pl.DataFrame, page: pl.DataFrame, *, target: SObject, source: SObject
) -> pl.DataFrame:
    """Rows to send without the fields that their kind of account does not have.

    Args:
        page: the source rows, in the order of `rows`.
    """
    book = person_book(target, source)
    if book is None or book.record_type_flag not in page.columns:
        return rows
    is_person = page.get_column(book.record_type_flag).eq_missing(pl.lit("true"))
    barred = {name.lower() for name in book.never_send}
    changed = []
    for name in rows.columns:
        if name.lower() in barred:
            changed.append(pl.when(~is_person).then(pl.col(name)).alias(name))
        elif _is_of_persons(book, name):
            changed.append(pl.when(is_person).then(pl.col(name)).alias(name))
    return rows.with_columns(changed)


def person_book(target: SObject, source: SObject) -> PersonAccounts | None:
    """What the object book says of persons, where both orgs have them."""
    book = object_book().entry(target.name).person
    known = book is not None and all(
        book.record_type_flag in side.fields for side in (target, source)
    )
    return book if known else None


def _is_of_persons(book: PersonAccounts, name: str) -> bool:
    lowered = name.lower()
    barred = {known.lower() for known in book.business_never_send}
    own = lowered.startswith("person") and not lowered.endswith("__c")
    return lowered in barred or lowered.endswith("__pc") or own
