"""Converted leads are read-only."""

from __future__ import annotations

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import Staged


def check_converted(staged: Staged) -> None:
    """CANNOT_UPDATE_CONVERTED_LEAD, unless the user may edit converted leads."""
    if staged.inserting or "EditConvertedLeads" in staged.save.permissions:
        return
    refusal = Refusal("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
    staged.refuse_where(pl.col("@old.IsConverted"), refusal)
