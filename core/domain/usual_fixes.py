"""What people usually do about a refusal: where to mend it, and how, by the org's error code.

Codes are those of the SOAP API's list "Core Data Types Used in API Calls, StatusCode", and ours for
rows that we held back. A code without an entry is mended in the data or a rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MendedIn(StrEnum):
    """Where a failure is mended."""

    PLAN = "plan"  # a field, a key or a lookup of the plan
    TRANSFORM = "transform"  # the rule that makes the value
    DATA = "data"  # rows of the source, or a rule of the target
    DUPLICATE = "duplicate"  # a duplicate rule of the target
    PERMISSION = "permission"  # what the connected user may do
    TRANSIENT = "transient"  # nothing: retry


@dataclass(frozen=True, slots=True)
class UsualFix:
    """One advice."""

    place: MendedIn
    sentence: str


_OTHER = UsualFix(
    MendedIn.DATA, "Look at the rows below; correct them in the source or relax the target's rule."
)
_FIXES: dict[str, UsualFix] = {
    "REQUIRED_FIELD_MISSING": UsualFix(
        MendedIn.PLAN, "Map the field, or give it a constant for rows that are blank."
    ),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": UsualFix(
        MendedIn.DATA,
        "Change the rule that makes the value so that it passes, or switch the validation rule off"
        " for the run.",
    ),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": UsualFix(
        MendedIn.TRANSFORM, "Add a value map for the values that the target does not have."
    ),
    "STRING_TOO_LONG": UsualFix(
        MendedIn.TRANSFORM, "Cut the text with a conversion, or widen the field in the target."
    ),
    "DUPLICATES_DETECTED": UsualFix(
        MendedIn.DUPLICATE,
        "Match on a key that finds the record, or let the load allow duplicates.",
    ),
    "DUPLICATE_VALUE": UsualFix(
        MendedIn.PLAN, "Match on the unique field: the record is there already."
    ),
    "DUPLICATE_EXTERNAL_ID": UsualFix(
        MendedIn.DATA, "Several records of the target hold this key; make it unique there."
    ),
    "INVALID_CROSS_REFERENCE_KEY": UsualFix(
        MendedIn.PLAN, "The record that is looked up is gone or of another kind; see its lookup."
    ),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": UsualFix(
        MendedIn.PERMISSION, "Give the connected user access to the record that is looked up."
    ),
    "INSUFFICIENT_ACCESS_OR_READONLY": UsualFix(
        MendedIn.PERMISSION, "Give the connected user the right to write these records."
    ),
    "INVALID_FIELD_FOR_INSERT_UPDATE": UsualFix(
        MendedIn.PLAN, "The field cannot be written; skip it."
    ),
    "INACTIVE_OWNER_OR_USER": UsualFix(
        MendedIn.PLAN, "Map the owner to an active user of the target."
    ),
    "UNABLE_TO_LOCK_ROW": UsualFix(
        MendedIn.TRANSIENT, "Somebody held the parent record; retry, one job at a time if it stays."
    ),
    "REQUEST_LIMIT_EXCEEDED": UsualFix(
        MendedIn.TRANSIENT, "The org's calls for the day are used up; retry tomorrow."
    ),
    "UNDO_CHANGED": UsualFix(
        MendedIn.DATA, "Somebody changed it since; undo leaves it alone. Look at it in the target."
    ),
    "UNDO_PARENT_GONE": UsualFix(
        MendedIn.DATA,
        "Bring the parent back from the recycle bin and set the lookup in the target.",
    ),
    "LOOKUP_UNRESOLVED": UsualFix(
        MendedIn.PLAN, "The parent is not in the target: load it first, or set what happens then."
    ),
}


def usual_fix(code: str) -> UsualFix:
    """The advice for a code, whatever its case.

    >>> usual_fix("string_too_long").place.value
    'transform'
    """
    return _FIXES.get(code.strip().upper(), _OTHER)
