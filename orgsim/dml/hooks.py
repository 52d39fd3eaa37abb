"""Runs the schema file's hooks: changes before the save, refusals, rows after it, assignment."""

from __future__ import annotations

from orgsim.dml.staging import Staged


def before(staged: Staged) -> None:
    """Applies the ``set`` and ``refuse`` hooks."""


def assign(staged: Staged) -> None:
    """Lets assignment rules choose the owner."""


def after(staged: Staged) -> None:
    """Adds the rows that hooks make."""
