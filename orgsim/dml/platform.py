"""What Salesforce does to particular standard objects beside the general rules."""

from __future__ import annotations

from orgsim.dml.staging import Staged
from orgsim.schema.model import SObject


def watches(sobject: SObject) -> bool:
    """Whether rules of this room look at rows of the object."""
    return False


def before(staged: Staged) -> None:
    """Rules before the checks."""


def after(staged: Staged) -> None:
    """Rows the platform makes."""
