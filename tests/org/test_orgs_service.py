"""Orgs as people handle them, on practice orgs: connect, renew, describe, reconnect, remove."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import sqlalchemy as sa

from core import bootstrap
from core.access import connections
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.models import AuditLog, FieldMapping, RegisteredOrg
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    OrgbridgeError,
    SessionLostError,
    UserError,
)
from core.notices import NoticeEvent
from core.salesforce.credentials import Credentials
from core.salesforce.identity import Environment
from core.secret import Secret
from core.services import connecting, notices, orgs, people, plans
from core.services.notices import RuleRequest
from core.services.orgs import ConnectRequest
from tests.orgs import PracticeOrg, PracticeOrgs, module_practice_org

__all__ = ["module_practice_org"]

#: Apprise 2.2 imports imghdr where Python still has it
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

CALLBACK = "http://127.0.0.1:8501/oauth/callback"


@pytest.fixture(scope="module")
def legacy(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """An org that no test of this module spoils."""
    return module_practice_org(name="Northwind Legacy")


@pytest.fixture
def admin(bridge: Orgbridge) -> Actor:
    """An admin who is a person: browser sign-ins need one."""
    code = people.issue_setup_code(bridge) or ""
    entered = people.create_first_admin(
        bridge, code=code, name="", email="a@x.org", password="a long sentence", origin="t"
    )
    visitor = people.who(bridge, entered.token)
    assert visitor is not None
    return visitor.actor


@pytest.fixture
def another_process(settings: Settings) -> Callable[[], AbstractContextManager[Orgbridge]]:
    """The product once more on the same database, with nothing in memory."""
    return lambda: bootstrap.build(settings)


def facts(org: PracticeOrg) -> dict[str, str]:
    answer: dict[str, str] = org.json("GET", "/_sim/org")
    return answer


def by_app(org: PracticeOrg, name: str = "legacy") -> ConnectRequest:
    said = facts(org)
    return ConnectRequest(
        name=name,
        kind="client_credentials",
        instance_url=org.url,
        client_id=said["client_id"],
        client_secret=Secret(said["client_secret"]),
    )


def by_token(org: PracticeOrg, token: str | None = None, name: str = "legacy") -> ConnectRequest:
    return ConnectRequest(
        name=name,
        kind="access_token",
        instance_url=org.url,
        access_token=Secret(token or org.access_token),
    )


def by_browser(org: PracticeOrg, name: str = "legacy") -> ConnectRequest:
    return dataclasses.replace(by_app(org, name), kind="web", login_url=org.url)


def allow(org: PracticeOrg, url: str, *, answer: str = "allow") -> dict[str, str]:
    """What the person's browser brings back from the org's page."""
    sent = org.http.request(
        "POST",
        url,
        fields={"user_id": facts(org)["user_id"], "answer": answer},
        encode_multipart=False,
        redirect=False,
    )
    back = urlsplit(sent.headers["Location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == CALLBACK
    return {name: values[0] for name, values in parse_qs(back.query).items()}


def connect_by_browser(bridge: Orgbridge, admin: Actor, org: PracticeOrg, **more: Any) -> UUID:
    url = orgs.start_oauth(bridge, admin, by_browser(org), redirect_uri=CALLBACK, **more)
    back = allow(org, url)
    return orgs.finish_oauth(bridge, state=back["state"], code=back["code"])


def test_connected_org_shows_what_it_said_of_itself(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg
) -> None:
    """And stores its secrets as ciphertext only, audited without them."""
    report = orgs.test_connection(bridge, admin, by_app(legacy))
    assert orgs.orgs(bridge, admin) == ()

    org_id = orgs.connect(bridge, admin, by_app(legacy))

    card = orgs.org(bridge, admin, org_id)
    assert (card.name, card.environment, card.status) == ("legacy", "practice", "connected")
    assert card.organization_id == legacy.organization_id == report.organization_id
    assert (card.organization_name, report.organization_name) == ("Northwind Legacy",) * 2
    assert card.api_version == report.api_version and card.username == report.username
    assert card.api_allowed and card.api_used is not None
    assert orgs.org_named(bridge, admin, "LEGACY") == card
    secret = facts(legacy)["client_secret"]
    with bridge.owner_session() as session:
        dump = "".join(
            str(session.execute(sa.text(f"SELECT t::text FROM {table} t")).all())
            for table in ("registered_org", "audit_log", "describe_cache")
        )
        acts = session.execute(sa.select(AuditLog.action, AuditLog.after)).all()
    assert secret not in dump and legacy.access_token not in dump
    assert acts[-1][0] == "org.connected"
    assert acts[-1][1]["organization_id"] == legacy.organization_id


PRODUCTION = "org: {type: Enterprise Edition, instance: NA42}\nstandard: [Account]\n"


def test_a_tunnel_to_production_on_this_machine_is_no_practice_org(
    bridge: Orgbridge, admin: Actor, practice_org: PracticeOrgs
) -> None:
    """What is practice says so itself; protection comes with the discovery, and not again later."""
    tunnel = practice_org(name="Live", schema=PRODUCTION)

    org_id = orgs.connect(bridge, admin, by_token(tunnel, name="Live"))
    new = orgs.org(bridge, admin, org_id)
    with bridge.owner_session() as session:  # registered when loopback was enough
        earlier = "UPDATE registered_org SET environment = 'practice', protected = false"
        session.execute(sa.text(earlier))
    found = orgs.check_health(bridge, admin, org_id)
    orgs.set_protected(bridge, admin, org_id, on=False)
    later = orgs.check_health(bridge, admin, org_id)

    assert tunnel.url.startswith("http://127.0.0.1:")
    assert [card.environment for card in (new, found, later)] == ["production"] * 3
    assert [card.protected for card in (new, found, later)] == [True, True, False]


def test_org_that_does_not_let_us_in_is_not_saved(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg
) -> None:
    """With the reason, and without the secret in it."""
    wrong = [
        (by_token(legacy, "planted-token"), "does not accept this access token"),
        (
            dataclasses.replace(by_app(legacy), client_secret=Secret("planted-secret")),
            "consumer secret is wrong",
        ),
        (dataclasses.replace(by_token(legacy), instance_url="http://127.0.0.1:9"), "127.0.0.1"),
        (dataclasses.replace(by_token(legacy), instance_url="http://org.example"), "plain http"),
        (dataclasses.replace(by_token(legacy), instance_url=""), "address is empty"),
        (ConnectRequest(name="x", kind="sfdx", sfdx_url=Secret("force://planted")), "sfdx auth"),
    ]
    for request, reason in wrong:
        with pytest.raises(OrgbridgeError, match=reason) as caught:
            orgs.connect(bridge, admin, request)
        assert "planted" not in str(caught.value)

    assert orgs.orgs(bridge, admin) == ()


def test_name_and_address_are_registered_once(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg
) -> None:
    orgs.connect(bridge, admin, by_token(legacy))

    with pytest.raises(ConflictError, match="named “Legacy”"):
        orgs.connect(bridge, admin, by_token(legacy, name="Legacy"))
    with pytest.raises(ConflictError, match=r"The org at http://127\.0\.0\.1"):
        orgs.connect(bridge, admin, by_token(legacy, name="again"))


def test_browser_sign_in_goes_through_once(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg
) -> None:
    """The verifier stays here, encrypted; a repeated or invented callback does nothing."""
    url = orgs.start_oauth(bridge, admin, by_browser(legacy), redirect_uri=CALLBACK)
    asked = parse_qs(urlsplit(url).query)
    assert asked["code_challenge_method"] == ["S256"]
    with bridge.owner_session() as session:
        kept = str(session.execute(sa.text("SELECT t::text FROM oauth_state t")).all())
    assert asked["state"][0] not in kept and facts(legacy)["client_secret"] not in kept

    back = allow(legacy, url)
    org_id = orgs.finish_oauth(bridge, state=back["state"], code=back["code"])

    assert orgs.org(bridge, admin, org_id).auth_kind == "web_server"
    for state in (back["state"], "invented"):
        with pytest.raises(UserError, match="not known, was finished"):
            orgs.finish_oauth(bridge, state=state, code=back["code"])


def test_declined_sign_in_saves_nothing(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg
) -> None:
    url = orgs.start_oauth(bridge, admin, by_browser(legacy), redirect_uri=CALLBACK)
    back = allow(legacy, url, answer="deny")

    with pytest.raises(OrgbridgeError, match="declined"):
        orgs.finish_oauth(bridge, state=back["state"], code="", refusal=back["error_description"])

    assert orgs.orgs(bridge, admin) == ()


def test_person_who_lost_the_role_connects_nothing(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg
) -> None:
    """The role that counts is the one at the end of the round trip."""
    url = orgs.start_oauth(bridge, admin, by_browser(legacy), redirect_uri=CALLBACK)
    back = allow(legacy, url)
    with bridge.owner_session() as session:
        session.execute(sa.text("UPDATE membership SET role = 2"))

    with pytest.raises(NotAllowedError, match="analyst may not connect"):
        orgs.finish_oauth(bridge, state=back["state"], code=back["code"])


def test_expired_session_is_renewed_once_for_all_processes(
    bridge: Orgbridge,
    admin: Actor,
    practice_org: PracticeOrgs,
    another_process: Callable[[], AbstractContextManager[Orgbridge]],
) -> None:
    """Refresh tokens rotate: two processes that redeem the same one would both lose the org."""
    org = practice_org(name="Rotating")
    org_id = connect_by_browser(bridge, admin, org)
    with another_process() as second:
        sides = [bridge, second]
        for side in sides:
            side.org_client(admin.workspace_id, org_id).describe_global(refresh=True)
        before = connections.credentials_of(bridge, admin.workspace_id, org_id)
        for _ in range(3):
            org.json("POST", "/_sim/expire")

            def ask(side: Orgbridge) -> int:
                client = side.org_client(admin.workspace_id, org_id)
                return len(client.describe_global(refresh=True))

            with ThreadPoolExecutor(8) as pool:
                counted = list(pool.map(ask, sides * 4))
            assert len(set(counted)) == 1

        stored = [connections.credentials_of(s, admin.workspace_id, org_id) for s in sides]
    assert stored[0] == stored[1]
    assert stored[0].refresh_token != before.refresh_token
    assert orgs.org(bridge, admin, org_id).status == "connected"


def test_a_reconnect_in_one_process_holds_in_the_others(
    bridge: Orgbridge,
    admin: Actor,
    practice_org: PracticeOrgs,
    another_process: Callable[[], AbstractContextManager[Orgbridge]],
) -> None:
    """A worker that knew the org under another user, or elsewhere, must not go on with that."""
    org_id = connect_by_browser(bridge, admin, practice_org(name="Twice"))
    with another_process() as second:
        first = second.org_client(admin.workspace_id, org_id)
        assert second.org_client(admin.workspace_id, org_id) is first
        with bridge.owner_session() as session:
            changed = "UPDATE registered_org SET user_id = '005000000000099AAA' WHERE id = :id"
            session.execute(sa.text(changed), {"id": org_id})

        assert second.org_client(admin.workspace_id, org_id) is not first
        assert second.row_source(admin.workspace_id, org_id) is not first

        with bridge.owner_session() as session:
            session.execute(sa.text("DELETE FROM registered_org WHERE id = :id"), {"id": org_id})
        with pytest.raises(NotFoundError):
            second.org_client(admin.workspace_id, org_id)


def test_lost_session_shows_on_the_card_until_it_is_reconnected(
    bridge: Orgbridge, admin: Actor, practice_org: PracticeOrgs
) -> None:
    org = practice_org(name="Closing")
    org_id = orgs.connect(bridge, admin, by_token(org))
    rule = RuleRequest(
        name="all",
        events=(str(NoticeEvent.SESSION_EXPIRED), str(NoticeEvent.API_BUDGET)),
        channel="webhook",
        address=Secret("json://hooks.invalid:9"),
        org_id=org_id,
    )
    notices.add_rule(bridge, admin, rule)
    org.json("POST", "/_sim/expire", {"lasting": True})

    with pytest.raises(SessionLostError):
        bridge.org_client(admin.workspace_id, org_id).describe_global(refresh=True)
    lost = orgs.org(bridge, admin, org_id)
    with pytest.raises(SessionLostError):
        orgs.check_health(bridge, admin, org_id)
    orgs.reconnect(bridge, admin, org_id, by_app(org))

    assert (lost.status, bool(lost.status_reason)) == ("session_expired", True)
    card = orgs.check_health(bridge, admin, org_id)
    assert (card.status, card.auth_kind, card.ledger_suspended_at) == (
        "connected",
        "client_credentials",
        None,
    )
    told = [row.title.partition(":")[0] for row in notices.log(bridge, admin).rows]
    assert told == ["API calls of legacy", "Session lost"]


def test_describes_are_kept_between_processes_and_asked_for_again_by_condition(
    bridge: Orgbridge,
    admin: Actor,
    legacy: PracticeOrg,
    another_process: Callable[[], AbstractContextManager[Orgbridge]],
) -> None:
    """A second process needs no call; a refresh answers 304 for what has not changed."""
    org_id = orgs.connect(bridge, admin, by_app(legacy))
    described = orgs.refresh_metadata(bridge, admin, org_id)
    listed = orgs.objects(bridge, admin, org_id)
    names = [row.name for row in listed]
    assert described == len(names) > 10
    assert all(row.fields for row in listed)
    assert orgs.org(bridge, admin, org_id).described_at is not None

    with another_process() as second:
        client = second.org_client(admin.workspace_id, org_id)
        account = orgs.fields(second, admin, org_id, "account")
        again = orgs.objects(second, admin, org_id)
        calls_from_cache = client.usage.calls_made
        seen = {each.name for each in orgs.described(second, admin, org_id, names=names)}
        calls_for_all = client.usage.calls_made
        with second.owner_session() as session:
            etags = session.execute(
                sa.text("SELECT fetched_at, checked_at FROM describe_cache WHERE sobject='account'")
            ).one()
        orgs.refresh_metadata(second, admin, org_id)
        with second.owner_session() as session:
            later = session.execute(
                sa.text("SELECT fetched_at, checked_at FROM describe_cache WHERE sobject='account'")
            ).one()

    assert account.name == "Account" and again == listed and seen == set(names)
    assert (calls_from_cache, calls_for_all) == (0, 0)
    assert later[0] == etags[0] and later[1] > etags[1]


def test_another_org_behind_a_reconnect_suspends_the_ledger(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg, practice_org: PracticeOrgs
) -> None:
    """A refreshed sandbox has a new Organization Id: links into it are not trusted."""
    org_id = orgs.connect(bridge, admin, by_app(legacy))
    orgs.refresh_metadata(bridge, admin, org_id)
    fresh = practice_org(name="Refreshed")

    orgs.reconnect(bridge, admin, org_id, by_app(fresh))

    card = orgs.org(bridge, admin, org_id)
    assert card.organization_id == fresh.organization_id
    assert card.ledger_suspended_at is not None
    with bridge.session(admin.workspace_id) as session:
        row = session.scalars(sa.select(RegisteredOrg)).one()
        kept = session.scalar(sa.text("SELECT count(*) FROM describe_cache"))
    assert (row.previous_org_id, kept) == (legacy.organization_id, 0)


def test_removal_asks_for_the_name_revokes_and_keeps_history(
    bridge: Orgbridge, admin: Actor, practice_org: PracticeOrgs
) -> None:
    org = practice_org(name="Leaving")
    org_id = connect_by_browser(bridge, admin, org)
    held = connections.credentials_of(bridge, admin.workspace_id, org_id)
    document = parse_plan(
        "orgbridge: 1\nname: core\nsource: legacy\ntarget: legacy\nobjects:\n  - source: Account\n"
    )
    plans.create(bridge, admin, document)
    with bridge.session(admin.workspace_id) as session:
        session.add(
            FieldMapping(
                registered_org_id=org_id,
                source_object="Account",
                source_field="Name",
                target_object="Account",
                target_field="Name",
            )
        )
    assert orgs.org(bridge, admin, org_id).plans_using == ("core",)
    with pytest.raises(UserError, match="type its name: legacy"):
        orgs.remove(bridge, admin, org_id, confirm="Leaving")

    orgs.remove(bridge, admin, org_id, confirm="legacy")

    assert orgs.orgs(bridge, admin) == ()
    assert plans.plan(bridge, admin, name="core").row.source_org_id is None
    refused = org.request("GET", "sobjects", token=held.access_token.reveal())
    assert refused.status == 401
    with pytest.raises(NotFoundError):
        orgs.org(bridge, admin, org_id)
    with bridge.session(admin.workspace_id) as session:
        assert session.scalars(sa.select(FieldMapping.id)).all() == []
        trail = session.scalars(sa.select(AuditLog.before).where(AuditLog.action == "org.removed"))
        told = trail.one()
    assert (told["plans"], told["revoked_at_org"]) == (["core"], True)


def test_plans_find_their_org_and_follow_its_name(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg
) -> None:
    """A plan may be there before its org; a renamed org keeps its plans through later edits."""
    document = parse_plan(
        "orgbridge: 1\nname: core\nsource: legacy\ntarget: elsewhere\n"
        "objects:\n  - source: Account\n"
    )
    plan_id = plans.create(bridge, admin, document)
    assert plans.plan(bridge, admin, plan_id).row.source_org_id is None

    org_id = orgs.connect(bridge, admin, by_token(legacy))
    orgs.rename(bridge, admin, org_id, name="Northwind")
    found = plans.plan(bridge, admin, plan_id)
    plans.save(bridge, admin, plan_id, document=found.plan, revision=found.row.revision)

    kept = plans.plan(bridge, admin, plan_id)
    assert (kept.plan.source, kept.row.source_org_id) == ("Northwind", org_id)
    assert (kept.plan.target, kept.row.target_org_id) == ("elsewhere", None)


def test_switches_and_names_change_with_a_trail(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg
) -> None:
    org_id = orgs.connect(bridge, admin, by_token(legacy))
    orgs.rename(bridge, admin, org_id, name=" Northwind ")
    with pytest.raises(UserError, match="at most 200 characters"):
        orgs.rename(bridge, admin, org_id, name="x" * 201)
    orgs.set_read_only(bridge, admin, org_id, on=True)
    orgs.set_read_only(bridge, admin, org_id, on=True)
    orgs.set_protected(bridge, admin, org_id, on=True)
    with pytest.raises(NotAllowedError):
        orgs.set_protected(bridge, dataclasses.replace(admin, role=Role.APPROVER), org_id, on=False)

    card = orgs.org(bridge, admin, org_id)
    assert (card.name, card.read_only, card.protected) == ("Northwind", True, True)
    with bridge.session(admin.workspace_id) as session:
        acts = session.scalars(
            sa.select(AuditLog.action).where(AuditLog.subject_kind == "org").order_by(AuditLog.id)
        ).all()
    assert acts == ["org.connected", "org.renamed", "org.read_only_set", "org.protected_set"]


@pytest.mark.parametrize("environment", list(Environment))
def test_production_is_protected_from_the_start(
    bridge: Orgbridge, admin: Actor, legacy: PracticeOrg, environment: Environment
) -> None:
    """What the org said decides, not a choice by hand."""
    wanted = connecting.credentials(by_token(legacy))
    tried = connecting.tried(bridge, wanted)
    said = dataclasses.replace(
        tried, identity=dataclasses.replace(tried.identity, environment=environment)
    )

    values = connecting.new_org_values(bridge, admin, request=by_token(legacy), answered=said)

    assert values["protected"] is (environment is Environment.PRODUCTION)


def test_credentials_survive_the_vault(bridge: Orgbridge) -> None:
    """Sealed and opened they are the same, with every field filled or none."""
    full = Credentials.from_document(
        json.dumps(
            {
                field.name: "jwt" if field.name == "flow" else f"https://x.example/{field.name}"
                for field in dataclasses.fields(Credentials)
            }
        )
    )
    for held in (full, Credentials(instance_url="https://y.example")):
        columns = connections.sealed(bridge.vault, held)
        stored = connections.StoredSecrets(instance_url=held.instance_url, **columns)

        assert connections.opened(bridge.vault, stored) == held
