"""The ledger as a whole: taken home, brought back, given to a copy of an org."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from core.bootstrap import Orgbridge
from core.db import ledger
from core.db import orgs as registry
from core.domain.ids import to18
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotFoundError, UserError
from core.services import ledgers

LEGACY = to18("00D0000000000L1")
NEW = to18("00D0000000000N1")
REFRESHED = to18("00D0000000000N2")
LINKS = (
    ("account", to18("001000000000S01"), to18("001000000000T01"), "inserted"),
    ("account", to18("001000000000S02"), to18("001000000000T02"), "adopted"),
    ("contact", to18("003000000000S01"), to18("003000000000T01"), "matched"),
)


@pytest.fixture
def admin(bridge: Orgbridge) -> Actor:
    return Actor(bridge.workspace_id(), None, "ada", Role.ADMIN)


def add_org(bridge: Orgbridge, name: str, organization_id: str, *, former: str = "") -> UUID:
    org_id: UUID = uuid7()
    values = {
        "id": org_id,
        "name": name,
        "org_id": organization_id,
        "instance_url": f"https://{name}.example",
        "domain_name": f"{name}.example",
        "auth_kind": "access_token",
        "environment": "sandbox",
        "access_token": "x",
        "status": "connected",
        "previous_org_id": former or None,
        "ledger_suspended_at": bridge.clock() if former else None,
    }
    with bridge.session(bridge.workspace_id()) as session:
        registry.add_org(session, values)
    return org_id


def csv_of(links: tuple[tuple[str, str, str, str], ...]) -> bytes:
    lines = ["mapping,source_id,target_id,origin", *(",".join(link) for link in links)]
    return "\n".join(lines).encode() + b"\n"


def hashes(bridge: Orgbridge) -> set[object]:
    with bridge.owner_session() as session:
        return set(session.scalars(text("SELECT sent_hash FROM record_link")))


@pytest.fixture
def filled(bridge: Orgbridge, admin: Actor) -> Orgbridge:
    add_org(bridge, "legacy", LEGACY)
    add_org(bridge, "new", NEW)
    added = ledgers.bring(bridge, admin, csv_of(LINKS), source="legacy", target="new")
    assert added == len(LINKS)
    return bridge


def test_rule_2_4_a_ledger_comes_back_as_it_was_taken_home(filled: Orgbridge, admin: Actor) -> None:
    taken = b"".join(ledgers.export(filled, admin, source="legacy", target="new"))
    again = ledgers.bring(filled, admin, taken, source="legacy", target="new")

    assert taken == csv_of(LINKS)
    assert again == 0
    found = ledgers.ledgers(filled, admin)
    assert [(line.source, line.target, line.mapping, line.links) for line in found] == [
        ("legacy", "new", "account", 2),
        ("legacy", "new", "contact", 1),
    ]


def test_rule_2_4_a_refreshed_sandbox_takes_the_links_of_the_org_it_replaces(
    filled: Orgbridge, admin: Actor
) -> None:
    fresh = add_org(filled, "refreshed", REFRESHED, former=NEW)
    with filled.owner_session() as session:
        session.execute(text("UPDATE record_link SET sent_hash = 7"))

    copied = ledgers.rebase(filled, admin, source="legacy", target="refreshed")

    taken = b"".join(ledgers.export(filled, admin, source="legacy", target="refreshed"))
    assert (copied, taken) == (len(LINKS), csv_of(LINKS))
    # the hashes say what the former org was sent
    assert hashes(filled) == {7, None}
    with filled.session(admin.workspace_id) as session:
        assert registry.org_row(session, fresh).ledger_suspended_at is None
        pair = ledger.link_set(
            session, admin.workspace_id, org_pair=f"{LEGACY}:{REFRESHED}", mapping="account"
        )
    assert pair.settled_at is None


def test_rule_2_4_orgs_that_replaced_none_have_nothing_to_rebase(
    filled: Orgbridge, admin: Actor
) -> None:
    with pytest.raises(UserError, match="--former-source"):
        ledgers.rebase(filled, admin, source="legacy", target="new")
    with pytest.raises(NotFoundError):
        ledgers.rebase(filled, admin, source="legacy", target="nowhere")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no CSV"),
        (b"a,b\n1,2\n", "no column mapping"),
        (csv_of((("", LINKS[0][1], LINKS[0][2], "inserted"),)), "Line 2 names no mapping"),
        (csv_of((LINKS[0], ("account", "nonsense", "x", "inserted"))), "Line 3 holds no valid"),
        (csv_of(((*LINKS[0][:3], "stolen"),)), "Line 2 has an origin other than"),
        (csv_of((LINKS[0], LINKS[0])), "Line 2 links a record that another"),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_adds_nothing(
    bridge: Orgbridge, admin: Actor, content: bytes, sentence: str
) -> None:
    add_org(bridge, "legacy", LEGACY)
    add_org(bridge, "new", NEW)

    with pytest.raises(UserError, match=sentence):
        ledgers.bring(bridge, admin, content, source="legacy", target="new")

    assert not ledgers.ledgers(bridge, admin)


def test_a_record_that_is_linked_otherwise_stops_the_whole_file(
    filled: Orgbridge, admin: Actor
) -> None:
    other = (("account", LINKS[0][1], to18("001000000000T99"), "inserted"),)
    more = (("account", to18("001000000000S03"), to18("001000000000T03"), "inserted"),)

    with pytest.raises(ConflictError, match="linked to"):
        ledgers.bring(filled, admin, csv_of(other + more), source="legacy", target="new")

    assert b"".join(ledgers.export(filled, admin, source="legacy", target="new")) == csv_of(LINKS)


def test_ledgers_of_another_workspace_are_neither_seen_nor_touched(
    filled: Orgbridge, admin: Actor
) -> None:
    with filled.owner_session() as session:
        other = session.execute(
            text("INSERT INTO workspace (id, name) VALUES (:id, 'other') RETURNING id"),
            {"id": uuid7()},
        ).scalar_one()
    stranger = replace(admin, workspace_id=other)

    assert not ledgers.ledgers(filled, stranger)
    with pytest.raises(NotFoundError):
        ledgers.export(filled, stranger, source="legacy", target="new")
