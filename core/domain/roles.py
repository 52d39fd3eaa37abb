"""Who may do what: the four roles of a workspace and the person acting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

#: begins the name under which a schedule acts; its own name follows
SCHEDULE_ACTOR = "schedule:"


class Role(IntEnum):
    """Ordered: a role may do all that a smaller one may."""

    VIEWER = 1  # reads: auditor, project lead
    ANALYST = 2  # maps, checks, launches
    APPROVER = 3  # approves launches of others
    ADMIN = 4  # connects orgs, people, settings


@dataclass(frozen=True, slots=True)
class Actor:
    """The one on whose behalf a service acts; every service takes it first."""

    #: workspace whose rows are visible to the act
    workspace_id: UUID
    #: app_user, or None for a terminal or a schedule
    user_id: UUID | None
    #: what the audit trail shows: an e-mail name, ``terminal:<os user>``, ``schedule:<name>``
    name: str
    role: Role
    #: where from: an IP address, ``terminal``, ``schedule``
    origin: str = "terminal"
