"""Several teams in one installation: made by the operator, entered by their members."""

from __future__ import annotations

import pytest

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotAllowedError, NotFoundError, UserError
from core.services import people, workspaces

PASSWORD = "a short sentence is easy"


@pytest.fixture
def operator(bridge: Orgbridge) -> Actor:
    return Actor(bridge.workspace_id(), None, "terminal:root", Role.ADMIN, "terminal")


@pytest.fixture
def ada(bridge: Orgbridge) -> people.Visitor:
    """The admin of the main workspace, signed in."""
    code = people.issue_setup_code(bridge) or ""
    entered = people.create_first_admin(
        bridge, code=code, name="Ada", email="ada@x.org", password=PASSWORD, origin="t"
    )
    visitor = people.who(bridge, entered.token)
    assert visitor is not None
    return visitor


def inside(bridge: Orgbridge, operator: Actor, name: str) -> Actor:
    return Actor(bridge.workspace_id(name), None, operator.name, Role.ADMIN, "terminal")


def test_member_of_two_goes_from_one_to_the_other(
    bridge: Orgbridge, operator: Actor, ada: people.Visitor
) -> None:
    """With the role of each; the same session goes on."""
    workspaces.create(bridge, operator, name="Audit")
    workspaces.join(bridge, inside(bridge, operator, "Audit"), email="ADA@x.org", role=Role.VIEWER)
    signed = people.sign_in(bridge, email="ada@x.org", password=PASSWORD, origin="t")
    here = people.who(bridge, signed.token)
    assert here is not None and here.actor.role is Role.ADMIN

    audit_id = bridge.workspace_id("Audit")
    workspaces.enter(bridge, here.actor, audit_id, session_id=here.session_id)

    there = people.who(bridge, signed.token)
    assert there is not None
    assert (there.actor.workspace_id, there.actor.role) == (audit_id, Role.VIEWER)
    listed = workspaces.workspaces(bridge, there.actor)
    assert [(each.name, each.is_current) for each in listed] == [("Audit", True), ("main", False)]
    assert len(workspaces.workspaces(bridge, operator)) == 2


def test_stranger_enters_nothing_and_moves_nobody_elses_session(
    bridge: Orgbridge, operator: Actor, ada: people.Visitor
) -> None:
    workspaces.create(bridge, operator, name="Audit")
    audit_id = bridge.workspace_id("Audit")
    with pytest.raises(NotFoundError):
        workspaces.enter(bridge, ada.actor, audit_id, session_id=ada.session_id)
    invitation = people.invite(
        bridge, inside(bridge, operator, "Audit"), name="", email="bo@x.org", role=Role.ADMIN
    )
    entered = people.accept_invitation(
        bridge, token=invitation.token, name="Bo", password=PASSWORD, origin="t"
    )
    bo = people.who(bridge, entered.token)
    assert bo is not None

    with pytest.raises(NotFoundError):
        workspaces.enter(bridge, bo.actor, audit_id, session_id=ada.session_id)

    assert [each.name for each in workspaces.workspaces(bridge, bo.actor)] == ["Audit"]


def test_only_the_operator_makes_workspaces(
    bridge: Orgbridge, operator: Actor, ada: people.Visitor
) -> None:
    with pytest.raises(NotAllowedError, match="operator"):
        workspaces.create(bridge, ada.actor, name="Mine")
    with pytest.raises(NotAllowedError, match="operator"):
        workspaces.join(bridge, ada.actor, email="ada@x.org", role=Role.ADMIN)
    with pytest.raises(UserError, match="no name"):
        workspaces.create(bridge, operator, name=" ")
    with pytest.raises(ConflictError):
        workspaces.create(bridge, operator, name="main")
    with pytest.raises(NotFoundError, match="Nobody has"):
        workspaces.join(bridge, operator, email="nobody@x.org", role=Role.VIEWER)
    with pytest.raises(ConflictError, match="member already"):
        workspaces.join(bridge, operator, email="ada@x.org", role=Role.VIEWER)

    assert [each.name for each in workspaces.workspaces(bridge, operator)] == ["main"]


def test_deactivated_in_one_still_works_in_the_other(
    bridge: Orgbridge, operator: Actor, ada: people.Visitor
) -> None:
    """An admin's hold ends at the workspace."""
    workspaces.create(bridge, operator, name="Audit")
    audit = inside(bridge, operator, "Audit")
    workspaces.join(bridge, audit, email="ada@x.org", role=Role.VIEWER)
    assert ada.actor.user_id is not None
    people.deactivate(bridge, audit, ada.actor.user_id)

    signed = people.sign_in(bridge, email="ada@x.org", password=PASSWORD, origin="t")
    here = people.who(bridge, signed.token)

    assert here is not None and here.actor.role is Role.ADMIN
    assert [each.name for each in workspaces.workspaces(bridge, here.actor)] == ["main"]
