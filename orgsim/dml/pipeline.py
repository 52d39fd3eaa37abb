"""The order of the steps of a save, for insert and for update."""

from __future__ import annotations

import polars as pl

from orgsim.dml import (
    addresses,
    checks,
    defaults,
    derive,
    hooks,
    platform,
    references,
    rollups,
    rules,
    standing,
    writing,
)
from orgsim.dml.intake import take_in
from orgsim.dml.outcomes import Refusals, saved_rows
from orgsim.dml.save import Save
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.model import SObject
from orgsim.store import Transaction


def insert_rows(
    save: Save,
    transaction: Transaction,
    *,
    sobject: SObject,
    frame: pl.DataFrame,
    refusals: Refusals,
) -> pl.DataFrame:
    """Inserts what passes; returns the ``saved`` frame (row, id, created). ``frame`` has
    ``@row``."""
    staged = Staged(save, transaction, sobject=sobject, inserting=True, refusals=refusals)
    take_in(staged, frame)
    checks.check_limits(staged)
    checks.check_writeable(staged)
    staged.drop_refused()
    defaults.apply_defaults(staged)
    _change_and_check(staged)
    if _nothing_to_write(staged):
        return _none()
    writing.insert(staged)
    _afterwards(staged)
    return saved_rows(staged.frame[ROW], staged.frame["Id"], created=True)


def update_rows(
    save: Save,
    transaction: Transaction,
    *,
    sobject: SObject,
    frame: pl.DataFrame,
    refusals: Refusals,
) -> pl.DataFrame:
    """Updates what passes; ``frame`` has ``@row`` and ``Id`` (one row an Id). Returns ``saved``."""
    staged = Staged(save, transaction, sobject=sobject, inserting=False, refusals=refusals)
    take_in(staged, frame)
    checks.check_limits(staged)
    checks.check_writeable(staged)
    standing.join_before(staged)
    staged.drop_refused()
    _change_and_check(staged)
    if _nothing_to_write(staged):
        return _none()
    writing.update(staged)
    _afterwards(staged)
    return saved_rows(staged.frame[ROW], staged.frame["Id"], created=False)


def _change_and_check(staged: Staged) -> None:
    platform.before(staged)
    staged.drop_refused()
    hooks.before(staged)
    staged.drop_refused()
    addresses.settle(staged)
    derive.derive(staged)
    checks.check_required(staged)
    checks.check_lengths(staged)
    checks.check_picklists(staged)
    defaults.check_record_types(staged)
    defaults.check_owners(staged)
    references.check_references(staged)
    staged.drop_refused()
    references.check_unique(staged)
    rules.check_validation(staged)
    staged.drop_refused()
    rules.check_duplicates(staged)
    hooks.assign(staged)
    staged.drop_refused()


def _afterwards(staged: Staged) -> None:
    platform.after(staged)
    hooks.after(staged)
    rollups.recompute(staged)


def _nothing_to_write(staged: Staged) -> bool:
    stopped = staged.save.options.all_or_none and bool(staged.refusals)
    return stopped or not len(staged.frame)


def _none() -> pl.DataFrame:
    return saved_rows(pl.Series(dtype=pl.UInt32), pl.Series(dtype=pl.String), created=False)
