"""The rows of one save on their way: one frame, checked and changed step by step.

Columns of ``frame``: ``@row`` (input order), every field's new value under its API name,
``@given.<field>`` where only some rows name the field, and ``@old.<field>`` for what an updated row
held before.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from orgsim.dml.outcomes import Refusal, Refusals
from orgsim.dml.save import Save
from orgsim.schema.model import Field, SObject
from orgsim.store import Transaction
from orgsim.store.columns import polars_type

ROW = "@row"


class Staged:
    """Rows of one object on their way into the store; ``inserting`` tells insert from update."""

    def __init__(
        self,
        save: Save,
        transaction: Transaction,
        *,
        sobject: SObject,
        inserting: bool,
        refusals: Refusals,
    ) -> None:
        self.save = save
        self.transaction = transaction
        self.sobject = sobject
        self.inserting = inserting
        self.refusals = refusals
        self.frame = pl.DataFrame(schema={ROW: pl.UInt32})
        #: Fields that at least one row names.
        self.given: set[str] = set()

    def drop_refused(self) -> None:
        """Takes the rows out that have been refused since the last call."""
        if self.refusals:
            refused = pl.Series(list(self.refusals.by_row), dtype=pl.UInt32)
            self.frame = self.frame.filter(~pl.col(ROW).is_in(refused.implode()))

    def has(self, name: str) -> bool:
        """Whether the frame carries the field."""
        return name in self.frame.columns

    def given_expr(self, name: str) -> pl.Expr:
        """True for the rows that name the field."""
        if f"@given.{name}" in self.frame.columns:
            return pl.col(f"@given.{name}")
        return pl.lit(name in self.given)

    def ensure(self, names: Iterable[str]) -> None:
        """Adds all-null columns (false for checkboxes) for fields that the frame lacks."""
        made = []
        for name in names:
            field = self.sobject.field(name)
            if field is None or not field.stored or field.name in self.frame.columns:
                continue
            made.append(_blank(field))
        if made:
            self.frame = self.frame.with_columns(made)

    def refuse_where(self, condition: pl.Expr, refusal: Refusal) -> None:
        """Refuses every row for which the condition is true, for one reason."""
        rows = self.frame.lazy().filter(condition).select(ROW).collect()
        self.refusals.all(rows[ROW].to_list(), refusal)

    def writing(self) -> list[Field]:
        """The stored fields the frame carries a value for, in described order."""
        return [one for one in self.sobject.stored_fields if one.name in self.frame.columns]


def _blank(field: Field) -> pl.Expr:
    kind = polars_type(field)
    value = False if kind == pl.Boolean() else None
    return pl.lit(value, dtype=kind).alias(field.name)
