"""Whether an actor may do a thing."""

from __future__ import annotations

from core.domain.roles import Actor, Role
from core.errors import NotAllowedError


def require(actor: Actor, role: Role, *, to: str = "do this") -> None:
    """Let the actor pass if the role is at least the one needed.

    Args:
        to: what was to be done, as it reads after "may not".

    Raises:
        NotAllowedError: the role is too small; nothing was done.
    """
    if actor.role < role:
        raise NotAllowedError(
            f"A {actor.role.name.lower()} may not {to}.",
            state="Nothing was done.",
            next_step=f"Ask someone with the role {role.name.lower()}.",
            role=actor.role.name,
            needed=role.name,
        )
