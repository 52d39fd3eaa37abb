"""Contacts: person contacts are guarded; the direct AccountContactRelation follows AccountId."""

from __future__ import annotations

import polars as pl

from orgsim.dml import nested
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import Staged
from orgsim.dml.standard.lookups import changed
from orgsim.store.columns import quoted


def before(staged: Staged) -> None:
    """A person's Contact has no manager and keeps its account and record type."""
    if staged.inserting or not staged.has("IsPersonAccount"):
        return
    for name in ("ReportsToId", "AccountId", "RecordTypeId"):
        if name in staged.given:
            text = f"{name} is not available on a person contact"
            refusal = Refusal("INSUFFICIENT_ACCESS_OR_READONLY", text, (name,))
            staged.refuse_where(pl.col("IsPersonAccount") & changed(staged, name), refusal)


def after(staged: Staged) -> None:
    """Keeps the direct relation of each contact (Contacts to Multiple Accounts)."""
    if "contacts_to_multiple_accounts" not in staged.save.full.features:
        return
    if not staged.has("AccountId") or "AccountId" not in staged.given:
        return
    moved = staged.frame.filter(changed(staged, "AccountId"))
    if not staged.inserting:
        _drop_direct(staged, moved)
    rows = moved.filter(pl.col("AccountId").is_not_null()).select(
        "AccountId", pl.col("Id").alias("ContactId"), pl.lit(value=True).alias("IsDirect"),
        pl.lit(value=True).alias("IsActive"),
    )  # fmt: skip
    nested.place(staged, "AccountContactRelation", rows)


def _drop_direct(staged: Staged, moved: pl.DataFrame) -> None:
    with staged.transaction.lent(**{"@moved": moved.select("Id")}):
        staged.transaction.cursor.execute(
            f"DELETE FROM {quoted('AccountContactRelation')} WHERE IsDirect "
            'AND ContactId IN (SELECT Id FROM "@moved")'
        )
