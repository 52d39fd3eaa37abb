"""Two practice orgs registered in a fresh database: what services, runs and pages are tested on."""

from __future__ import annotations

from uuid import UUID

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.secret import Secret
from core.services import orgs
from core.services.orgs import ConnectRequest
from tests.orgs import PracticeOrg


def admin(bridge: Orgbridge) -> Actor:
    """Someone who may do everything in workspace main."""
    return Actor(bridge.workspace_id(), None, "ada@x.example", Role.ADMIN)


def connect(bridge: Orgbridge, name: str, org: PracticeOrg) -> UUID:
    """Registers a running practice org under a name."""
    request = ConnectRequest(
        name=name,
        kind="access_token",
        instance_url=org.url,
        access_token=Secret(org.access_token),
    )
    return orgs.connect(bridge, admin(bridge), request)


def insert(org: PracticeOrg, sobject: str, *rows: dict[str, object]) -> list[str]:
    """Creates rows in an org as a person there would; their ids."""
    made: list[str] = []
    for start in range(0, len(rows), 200):
        records = [{"attributes": {"type": sobject}, **row} for row in rows[start : start + 200]]
        answers = org.json("POST", "composite/sobjects", {"records": records})
        refused = [answer["errors"] for answer in answers if not answer["success"]]
        assert not refused, refused[:3]
        made += [answer["id"] for answer in answers]
    return made
