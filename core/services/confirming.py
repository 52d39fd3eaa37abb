"""The typed confirmation that stands between a person and what cannot be taken back.

A write to a protected org (production is protected by default), and every delete wherever, needs
the target's name as typed and a reason. The front doors ask; this is where it is checked.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from core.db.orgs import OrgRow
from core.errors import UserError

REASON_CHARS_MIN = 3


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the person typed; empty where nothing was asked."""

    #: the registered name of the target org
    name: str = ""
    reason: str = ""


def needs_confirmation(target: OrgRow, *, deletes: bool = False) -> bool:
    """Whether a launch into the org asks for its name and a reason."""
    return target.protected or deletes


def check_confirmation(
    target: OrgRow, given: Confirmation, *, deletes: bool = False, act: str = "write to"
) -> None:
    """Passes when nothing was asked, or when it was given.

    Args:
        act: the verb as it reads before the org's name.

    Raises:
        UserError: the org is read-only, the name is another, or the reason is missing; nothing
            was done.
    """
    if target.read_only:
        raise UserError(
            f"{target.name} is read-only in Orgbridge.",
            state="Nothing was sent.",
            next_step="An admin can switch that off on the Orgs page.",
            org=target.name,
        )
    if not needs_confirmation(target, deletes=deletes):
        return
    kind = "production" if target.environment == "production" else "protected"
    why = f"{target.name} is a {kind} org" if target.protected else "the plan deletes rows"
    if given.name.strip() != target.name:
        raise UserError(
            f"To {act} {target.name} its name must be confirmed, because {why}.",
            state="Nothing was sent.",
            next_step=(
                f"Type {target.name} exactly"
                f" (terminal: --confirm {shlex.quote(target.name)} --reason …)."
            ),
            org=target.name,
        )
    if len(given.reason.strip()) < REASON_CHARS_MIN:
        raise UserError(
            f"To {act} {target.name} a reason is needed, because {why}.",
            state="Nothing was sent.",
            next_step="Say in a few words why; it is kept with the run (terminal: --reason TEXT).",
            org=target.name,
        )
