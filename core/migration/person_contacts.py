"""Contacts that come with person accounts: linked in the ledger, so that lookups find them (3.6).

Inserting a person makes its contact. The object book keeps such contacts out of the Contact step;
here the target is asked which contact each account got, and the pair goes into the links of the
Contact mapping, with the origin ``adopted``.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from core.domain.object_book import PersonAccounts
from core.migration.before import target_rows
from core.migration.context import RunContext
from core.migration.idmap import NONE
from core.migration.persons import person_book
from core.migration.spec import ID, Step

_CONTACT = "contact"


def link_contacts(run: RunContext, step: Step, steps: Sequence[Step]) -> None:
    """Puts the contacts of persons that were read into the links of a Contact mapping.

    Cost: one retrieve per 2,000 persons, or one query where they are many.
    """
    if step.target.name.lower() != _CONTACT or step.source.name.lower() != _CONTACT:
        return
    for accounts in steps:
        book = person_book(accounts.target, accounts.source)
        if book is None or not {book.record_type_flag, book.contact_field} <= set(
            accounts.source.fields
        ):
            continue
        persons = _persons(run, accounts, book)
        if persons.height:
            _link(run, step, _contacts(run, accounts, persons, book))


def _persons(run: RunContext, step: Step, book: PersonAccounts) -> pl.DataFrame:
    """``account`` and ``contact`` of the source of every person on the spool."""
    names = [ID, book.record_type_flag, book.contact_field]
    parts = [pl.DataFrame(schema={"account": pl.String, "contact": pl.String})]
    for page in run.spool.pages(f"src/{step.name}", names):
        persons = page.filter(
            (pl.col(book.record_type_flag) == "true") & pl.col(book.contact_field).is_not_null()
        )
        parts.append(persons.select(account=pl.col(ID), contact=pl.col(book.contact_field)))
    return pl.concat(parts)


def _contacts(
    run: RunContext, step: Step, persons: pl.DataFrame, book: PersonAccounts
) -> pl.DataFrame:
    """``source_id`` and ``target_id`` of contacts whose account is in the target."""
    sources = run.ids.encode(persons.get_column("account"))
    targets = run.maps[step.name].look_up(sources)
    there = persons.with_columns(target=run.ids.decode(targets)).filter(pl.Series(targets != NONE))
    # a dry run knows accounts that it would insert by their source's id, and so their contacts
    unborn = there.filter(pl.col("target") == pl.col("account"))
    born = there.filter(pl.col("target") != pl.col("account"))
    ids = born.get_column("target")
    held = target_rows(run.target, step, ids, [book.contact_field]).select(
        target=pl.col(ID), target_id=pl.col(book.contact_field)
    )
    known = born.join(held, on="target").select(source_id=pl.col("contact"), target_id="target_id")
    pretended = unborn.select(source_id=pl.col("contact"), target_id=pl.col("contact"))
    return pl.concat([known, pretended]).drop_nulls()


def _link(run: RunContext, step: Step, pairs: pl.DataFrame) -> None:
    sources = run.ids.encode(pairs.get_column("source_id"))
    targets = run.ids.encode(pairs.get_column("target_id"))
    new = pl.Series(run.maps[step.name].look_up(sources) != targets)
    if not new.any():
        return
    run.maps[step.name].add(sources, targets)
    if run.writes:
        links = pairs.filter(new).with_columns(
            origin=pl.lit("adopted"), sent_hash=pl.lit(None, pl.Int64)
        )
        with run.store.commit() as commit:
            commit.links(run.link_sets[step.name], links)
            commit.event(
                f"{step.told}: {links.height} contacts of person accounts linked", step=step.name
            )
