"""The one way out of a save that has already written: rows refused by what follows the write."""

from __future__ import annotations

from collections.abc import Iterable

from orgsim.dml.outcomes import Refusal


class LateRefusalsError(Exception):
    """Roll the transaction back and save again without these rows."""

    def __init__(self, refusals: Iterable[tuple[int, Refusal]]) -> None:
        self.refusals = list(refusals)
        super().__init__(f"{len(self.refusals)} rows refused after the write")
