"""Recomputes roll-up summaries of the parents whose children changed, and saves those parents again."""

from __future__ import annotations

from orgsim.dml.staging import Staged


def recompute(staged: Staged) -> None:
    """Brings every roll-up that counts rows of this object up to date."""
