"""Validation rules and duplicate rules."""

from __future__ import annotations

from orgsim.dml.staging import Staged


def check_validation(staged: Staged) -> None:
    """FIELD_CUSTOM_VALIDATION_EXCEPTION for rows for which a rule's formula is true."""


def check_duplicates(staged: Staged) -> None:
    """DUPLICATES_DETECTED for rows that match a stored row by a duplicate rule."""
