"""The two practice orgs: made, registered, killed, reset, stopped, through the services."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from core import practice, processes
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError
from core.services import orgs
from core.services import practice as service


@pytest.fixture
def admin(bridge: Orgbridge) -> Iterator[Actor]:
    """An admin of the main workspace; practice orgs are stopped afterwards."""
    yield Actor(bridge.workspace_id(), None, "terminal:test", Role.ADMIN)
    practice.down(bridge.settings.home)


def environ_of(pid: int) -> str:
    """The environment that a process was started with; empty where no file tells."""
    kept = Path(f"/proc/{pid}/environ")
    return kept.read_text(errors="replace") if kept.exists() else ""


def accounts(bridge: Orgbridge, admin: Actor, name: str) -> int:
    """How many accounts the org of that name holds, asked as any client would."""
    card = orgs.org_named(bridge, admin, name)
    return bridge.org_client(admin.workspace_id, card.id).count("SELECT count() FROM Account")


def test_practice_orgs_live_through_up_kill_reset_and_down(
    bridge: Orgbridge, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One story, because being born takes seconds."""
    told: list[str] = []
    for name in ("DATABASE_URL", "ORGBRIDGE_KEY", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "planted-secret")
    born = service.up(bridge, admin, tell=told.append)
    assert not any("planted-secret" in environ_of(one.pid) for one in born)
    cards = orgs.orgs(bridge, admin)
    assert [card.name for card in cards] == ["Northwind Legacy", "Northwind New"]
    assert {card.environment for card in cards} == {"practice"}
    assert told

    again = service.up(bridge, admin)
    assert [one.pid for one in again] == [one.pid for one in born]
    assert len(orgs.orgs(bridge, admin)) == 2

    first = accounts(bridge, admin, "Northwind Legacy")
    os.kill(born[0].pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.is_alive(born[0].pid), timeout_s=30)
    with practice.watch(bridge.settings.home):
        assert processes.wait_until(
            lambda: practice.keep_up(bridge.settings.home) == 0 and _serves(bridge), timeout_s=30
        )
    assert accounts(bridge, admin, "Northwind Legacy") == first

    client = bridge.org_client(
        admin.workspace_id, orgs.org_named(bridge, admin, "Northwind Legacy").id
    )
    client.create_records("Account", [{"Name": "Newcomer"}])
    assert accounts(bridge, admin, "Northwind Legacy") == first + 1
    _link(bridge, admin, born[0].organization_id, born[1].organization_id)

    back = service.reset(bridge, admin)
    assert [one.organization_id for one in back] == [one.organization_id for one in born]
    assert accounts(bridge, admin, "Northwind Legacy") == first
    assert _links(bridge) == 0

    assert service.down(bridge, admin) == 2
    assert service.down(bridge, admin) == 0
    assert not any(processes.is_alive(one.pid) for one in (*born, *again, *back))
    assert practice.keep_up(bridge.settings.home) == 0


def test_only_admins_may_touch_practice_orgs(bridge: Orgbridge) -> None:
    approver = Actor(bridge.workspace_id(), None, "ann", Role.APPROVER)

    for verb in (service.up, service.reset, service.down):
        with pytest.raises(NotAllowedError):
            verb(bridge, approver)


def _serves(bridge: Orgbridge) -> bool:
    return (bridge.settings.home / "practice" / "legacy" / "org" / "ready.json").exists()


def _link(bridge: Orgbridge, admin: Actor, *pair: str) -> None:
    with bridge.session(admin.workspace_id) as session:
        set_id = session.scalar(
            text("INSERT INTO link_set (org_pair, mapping_name) VALUES (:p, 'a') RETURNING id"),
            {"p": ":".join(pair)},
        )
        session.execute(
            text(
                "INSERT INTO record_link (link_set_id, source_id, target_id, origin, run_id)"
                " VALUES (:set, 's', 't', 'inserted', :run)"
            ),
            {"set": set_id, "run": uuid4()},
        )


def _links(bridge: Orgbridge) -> int:
    with bridge.owner_session() as session:
        return int(session.scalar(text("SELECT count(*) FROM record_link")) or 0)
