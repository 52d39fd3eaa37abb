"""A session that an admin revokes while its person is at work in the browser.

The WebSocket of an open page stays open; what it asks for is refused all the same. An act is done
whole or not at all, whatever the moment in which the session ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import text

from core import bootstrap
from core.api.cookies import SESSION_COOKIE
from core.bootstrap import Orgbridge
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.services import people, plans
from tests.appserver import AppServer
from tests.org.connected import connect, insert
from tests.orgs import PracticeOrgs, module_practice_org

from .conftest import PASSWORD, Context, settled

__all__ = ["module_practice_org"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

#: with a machine under load a page may take this long
PATIENT_MS = 120_000
#: how long after the click the session ends
MOMENTS_S = (0.0, 0.03, 0.12)
SIGNED_OUT = "You are signed out"
PLAN = """
orgbridge: 1
name: Move
source: Legacy
target: Yard
objects:
  - {source: Account, key: Code__c, auto_map: false, fields: {Name: Name}}
"""
SCHEMA = """
standard: [Account]
objects:
  Account:
    fields: {Code__c: {type: text, length: 18, external_id: true, unique: true}}
"""


@dataclass(frozen=True, slots=True)
class World:
    """One app with two orgs, a plan and an admin."""

    bridge: Orgbridge
    admin: Actor
    plan: UUID

    def member(self, name: str) -> people.SignedIn:
        """An analyst with a session."""
        email = f"{name}@acme.example"
        asked = people.invite(self.bridge, self.admin, name=name, email=email, role=Role.ANALYST)
        return people.accept_invitation(
            self.bridge, token=asked.token, name=name, password=PASSWORD, origin="127.0.0.1"
        )

    def revoke(self, signed: people.SignedIn) -> None:
        """As an admin who ends a session on the page People."""
        here = people.who(self.bridge, signed.token)
        assert here is not None
        people.revoke_session(self.bridge, self.admin, here.session_id)

    def made_by(self, name: str) -> tuple[int, int, int]:
        """Runs that a person launched, those of them in the queue or beyond, and audit rows."""
        runs = "FROM data_migration WHERE requested_by = :who"
        jobs = "FROM procrastinate_jobs WHERE args->>'run_id' IN"
        asked = (
            f"SELECT count(*) {runs}",
            f"SELECT count(*) {jobs} (SELECT id::text {runs})",
            "SELECT count(*) FROM audit_log WHERE action = 'run.launch' AND actor = :who",
        )
        with self.bridge.owner_session() as session:
            given = {"who": f"{name}@acme.example"}
            first, second, third = (int(session.scalar(text(one), given) or 0) for one in asked)
        return first, second, third


@pytest.fixture(scope="module")
def world(server: AppServer, module_practice_org: PracticeOrgs) -> Iterator[World]:
    source, yard = (module_practice_org(schema=SCHEMA) for _ in range(2))
    insert(source, "Account", *({"Name": f"A{n}", "Code__c": f"c{n}"} for n in range(5)))
    with bootstrap.build(server.settings) as bridge:
        signed = people.create_first_admin(
            bridge, code=people.issue_setup_code(bridge) or "", name="Mira Koch",
            email="mira@acme.example", password=PASSWORD, origin="127.0.0.1",
        )  # fmt: skip
        here = people.who(bridge, signed.token)
        assert here is not None
        connect(bridge, "Legacy", source)
        connect(bridge, "Yard", yard)
        yield World(bridge, here.actor, plans.create(bridge, here.actor, parse_plan(PLAN)))


@pytest.fixture
def of(server: AppServer, context: Context) -> Callable[[people.SignedIn], Page]:
    """A browser that holds a session."""

    def page(signed: people.SignedIn) -> Page:
        fresh = context()
        fresh.set_default_timeout(PATIENT_MS)
        held = {"name": SESSION_COOKIE, "value": signed.token, "url": server.url}
        fresh.add_cookies([held])
        return fresh.new_page()

    return page


def in_the_dialog(page: Page, server: AppServer, plan: UUID) -> None:
    """The launch page with its dialog open, one click before the launch."""
    page.goto(f"{server.url}/launch?plan={plan}&mode=full")
    page.get_by_role("combobox", name="E-mail from the target").click()
    page.get_by_role("option", name="Switched off in the target").click()
    page.get_by_text("Answer the question about e-mail").wait_for(state="detached")
    settled(page)
    page.get_by_role("button", name="Launch full…").click()
    expect(launch_button(page)).to_be_enabled(timeout=PATIENT_MS)


def launch_button(page: Page) -> Locator:
    """The one in the dialog."""
    return page.get_by_role("dialog").get_by_role("button", name="Launch full", exact=True)


def test_a_session_revoked_while_a_dialog_stands_open_launches_nothing(
    world: World, server: AppServer, of: Callable[[people.SignedIn], Page]
) -> None:
    signed = world.member("eva")
    eva = of(signed)
    in_the_dialog(eva, server, world.plan)

    world.revoke(signed)
    launch_button(eva).click()

    eva.get_by_text(SIGNED_OUT).first.wait_for()
    eva.reload()
    eva.wait_for_url("**/login?*")
    assert world.made_by("eva") == (0, 0, 0)


@pytest.mark.parametrize("after_s", MOMENTS_S)
def test_a_session_revoked_during_a_launch_leaves_a_whole_run_or_none(
    world: World, server: AppServer, of: Callable[[people.SignedIn], Page], after_s: float
) -> None:
    """Whichever was first, the launch or the end of the session: run, job and audit go together."""
    name = f"bea{MOMENTS_S.index(after_s)}"
    signed = world.member(name)
    bea = of(signed)
    in_the_dialog(bea, server, world.plan)

    ending = threading.Timer(after_s, world.revoke, (signed,))
    launch_button(bea).click(no_wait_after=True)
    ending.start()
    ending.join()
    bea.get_by_text(SIGNED_OUT).first.wait_for()

    assert world.made_by(name) in ((0, 0, 0), (1, 1, 1))
    bea.reload()
    bea.wait_for_url("**/login?*")


def test_pages_that_follow_what_happens_end_with_their_session(
    world: World, server: AppServer, of: Callable[[people.SignedIn], Page]
) -> None:
    """They redraw themselves without a click, so they notice by themselves."""
    signed = world.member("tom")
    tom = of(signed)
    pages = [tom, tom.context.new_page()]
    for page, path in zip(pages, ("", "/runs"), strict=True):
        page.goto(f"{server.url}{path}")
        settled(page)

    world.revoke(signed)

    for page in pages:
        page.get_by_text(SIGNED_OUT).first.wait_for()
