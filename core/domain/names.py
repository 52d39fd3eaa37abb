"""What things are called: one limit for every name that people give, told before anything is kept;
an object of a plan as people know it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from core.errors import UserError

#: of plans, orgs, rules, keys, schedules, people; plan files hold no longer ones
NAME_MAX_CHARS = 200


def fitting(name: str, *, of: str) -> str:
    """The name without spaces around it; an empty one passes, whoever asks says what it is for.

    >>> fitting(" Sales core ", of="A plan")
    'Sales core'

    Raises:
        UserError: it is too long.
    """
    kept = name.strip()
    if len(kept) > NAME_MAX_CHARS:
        told = f"{of}'s name has at most {NAME_MAX_CHARS} characters."
        raise UserError(told, state="Nothing was saved.", next_step="Write a shorter one.")
    return kept


def object_name(mapping: str, target: str) -> str:
    """An object of a plan as people know it: by the org's own spelling, unless it has a name of its
    own in the plan.

    >>> object_name("invoice__c", "Invoice__c"), object_name("partners", "Account")
    ('Invoice__c', 'partners')
    """
    return target if mapping.lower() == target.lower() else mapping


def meant(written: str, known: Iterable[str]) -> str:
    """The question whether a name was misspelt, with a space behind it; "" where none is like it.

    >>> meant("tier__c", ["Name", "Tier_c__c"]), meant("zzz", ["Name"])
    ('Did you mean Tier_c__c? ', '')
    """
    spelt = {name.lower(): name for name in known}
    near = difflib.get_close_matches(written.lower(), sorted(spelt), n=1, cutoff=0.6)
    return f"Did you mean {spelt[near[0]]}? " if near else ""
