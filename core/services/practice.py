"""Practice orgs as registered orgs: started, connected, put back; for admins."""

from __future__ import annotations

from collections.abc import Callable

from core import practice
from core.access import audit, roles
from core.bootstrap import Orgbridge
from core.db import practice_links
from core.domain.roles import Actor, Role
from core.errors import NotFoundError
from core.practice import Served
from core.services import orgs
from core.services.orgs import ConnectRequest

__all__ = ["down", "reset", "up"]

Tell = Callable[[str], None]


def up(bridge: Orgbridge, actor: Actor, *, tell: Tell = lambda _: None) -> tuple[Served, ...]:
    """Start both practice orgs and register them, or mend their registration.

    Raises:
        NotAllowedError: the actor is no admin.
        ConfigError: an org did not start.
    """
    roles.require(actor, Role.ADMIN, to="create practice orgs")
    tell("Starting two practice orgs")
    served = practice.up(bridge.settings.home)
    for org in served:
        tell(f"Connecting {org.name}")
        _register(bridge, actor, org)
    _record(bridge, actor, "practice.up", served=served)
    return served


def reset(bridge: Orgbridge, actor: Actor, *, tell: Tell = lambda _: None) -> tuple[Served, ...]:
    """Give both orgs their first records back; links between their records are forgotten.

    Raises:
        NotAllowedError: the actor is no admin.
        ConfigError: an org did not start again.
    """
    roles.require(actor, Role.ADMIN, to="reset practice orgs")
    tell("Putting two practice orgs back")
    served = practice.reset(bridge.settings.home)
    with bridge.session(actor.workspace_id) as session:
        for org in served:
            practice_links.forget_links(session, organization_id=org.organization_id)
    for org in served:
        _register(bridge, actor, org)
    _record(bridge, actor, "practice.reset", served=served)
    return served


def down(bridge: Orgbridge, actor: Actor) -> int:
    """Stop both practice orgs; their records and registrations stay. How many ran.

    Raises:
        NotAllowedError: the actor is no admin.
    """
    roles.require(actor, Role.ADMIN, to="stop practice orgs")
    count = practice.down(bridge.settings.home)
    _record(bridge, actor, "practice.down")
    return count


def _register(bridge: Orgbridge, actor: Actor, served: Served) -> None:
    # Client credentials, not the token: a token that expired is then renewed without a person.
    request = ConnectRequest(
        name=served.name,
        kind="client_credentials",
        instance_url=served.url,
        login_url=served.url,
        client_id=served.client_id,
        client_secret=served.client_secret,
    )
    try:
        known = orgs.org_named(bridge, actor, served.name)
    except NotFoundError:
        orgs.connect(bridge, actor, request)
        return
    is_same = known.organization_id == served.organization_id and known.instance_url == served.url
    if not is_same or known.status != "connected":
        orgs.reconnect(bridge, actor, known.id, request)


def _record(
    bridge: Orgbridge, actor: Actor, action: str, *, served: tuple[Served, ...] = ()
) -> None:
    with bridge.session(actor.workspace_id) as session:
        audit.record(
            session,
            actor,
            action,
            subject_kind="practice",
            after={"orgs": {org.name: org.organization_id for org in served}},
        )
