"""Defects met at a front door: kept for the admin, told to the person by a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from core.access import failures
from core.domain.roles import Actor
from core.services import people

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

#: what a person reads; the details are in the log and in Errors, under the reference
SENTENCE = "Something went wrong on our side"


def met(
    bridge: Orgbridge | None,
    problem: Exception,
    *,
    boundary: str,
    by: Actor | None = None,
    token: str = "",
) -> str:
    """Keep a defect in the workspace of who met it (of a stranger: in main); its reference.

    Args:
        bridge: None while the server starts or stops: the log alone tells of it then.
        by: who met it; or
        token: the session of who met it.
    """
    if bridge is None:
        return failures.told(problem, boundary=boundary)

    def of() -> tuple[UUID, str]:
        visitor = people.who(bridge, token) if token else None
        actor = by or (visitor.actor if visitor else None)
        return (actor.workspace_id, actor.name) if actor else (bridge.workspace_id(), "")

    return failures.keep(bridge, problem, boundary=boundary, of=of)
