"""What stands before a write: the typed name, a reason, and another person's yes.

The target is a simulated org without the sign of practice orgs: Orgbridge finds out by itself that
it is production, and protects it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from core import bootstrap
from core.api.cookies import SESSION_COOKIE
from core.bootstrap import Orgbridge
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.services import audit, people, plans, settings
from tests.appserver import AppServer
from tests.org.connected import connect, insert
from tests.orgs import PracticeOrg, PracticeOrgs, module_practice_org

from .conftest import PASSWORD, Context, settled

__all__ = ["module_practice_org"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

#: with a machine under load a page may take this long
PATIENT_MS = 120_000
PLAN = """
orgbridge: 1
name: {name}
source: Legacy
target: {target}
objects:
  - {{source: Account, operation: {operation}, key: Code__c, auto_map: false, fields: {fields}}}
"""
#: no sign of a practice org: this one passes for a production org behind a tunnel
REAL = "org: {type: Enterprise Edition, instance: NA42}"
SCHEMA = """
standard: [Account]
objects:
  Account:
    fields: {Code__c: {type: text, length: 18, external_id: true, unique: true}}
"""


@dataclass
class World:
    """One app with its orgs, plans and people."""

    bridge: Orgbridge
    admin: Actor
    #: a production org, and a practice org beside it
    live: PracticeOrg
    yard: PracticeOrg
    #: plans: into Live, into Yard, deleting in Yard
    move: UUID
    trickle: UUID
    clear: UUID
    tokens: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def world(server: AppServer, module_practice_org: PracticeOrgs) -> Iterator[World]:
    source, yard = (module_practice_org(schema=SCHEMA) for _ in range(2))
    live = module_practice_org(name="Live", schema=REAL + SCHEMA)
    insert(source, "Account", *({"Name": f"A{n}", "Code__c": f"c{n}"} for n in range(5)))
    with bootstrap.build(server.settings) as bridge:
        code = people.issue_setup_code(bridge) or ""
        signed = people.create_first_admin(
            bridge, code=code, name="Mira Koch", email="mira@acme.example", password=PASSWORD,
            origin="127.0.0.1",
        )  # fmt: skip
        here = people.who(bridge, signed.token)
        assert here is not None
        connect(bridge, "Legacy", source)
        connect(bridge, "Live", live)
        connect(bridge, "Yard", yard)
        fields = {"upsert": "{Name: Name}", "delete": "{}"}
        move, trickle, clear = (
            plans.create(
                bridge,
                here.actor,
                parse_plan(
                    PLAN.format(
                        name=name, target=target, operation=operation, fields=fields[operation]
                    )
                ),
            )
            for name, target, operation in (
                ("Move", "Live", "upsert"),
                ("Trickle", "Yard", "upsert"),
                ("Clear", "Yard", "delete"),
            )
        )
        made = World(bridge, here.actor, live, yard, move, trickle, clear)
        for name, role in (("ann", Role.ANALYST), ("leo", Role.APPROVER)):
            mail = f"{name}@acme.example"
            asked = people.invite(bridge, here.actor, name=name, email=mail, role=role)
            made.tokens[name] = people.accept_invitation(
                bridge, token=asked.token, name=name, password=PASSWORD, origin="127.0.0.1"
            ).token
        yield made


@pytest.fixture
def of(world: World, server: AppServer, context: Context) -> Callable[[str], Page]:
    """A browser of a person, signed in."""

    def page(name: str) -> Page:
        fresh = context()
        fresh.set_default_timeout(PATIENT_MS)
        token = world.tokens[name]
        fresh.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": server.url}])
        return fresh.new_page()

    return page


def at_launch(page: Page, server: AppServer, plan: UUID) -> None:
    """The launch page with the question about e-mail answered."""
    page.goto(f"{server.url}/launch?plan={plan}&mode=full")
    page.get_by_role("combobox", name="E-mail from the target").click()
    page.get_by_role("option", name="Switched off in the target").click()
    page.get_by_text("Answer the question about e-mail").wait_for(state="detached")
    settled(page)


def confirm(page: Page, button: str, *, org: str, wrong: str = "") -> None:
    """The dialog: closed to a wrong name and to none, open to the right one with a reason."""
    dialog = page.get_by_role("dialog")
    act = dialog.get_by_role("button", name=button, exact=True)
    named = dialog.get_by_label(re.compile("Type the target org name"))
    expect(act).to_be_disabled()
    if wrong:
        named.fill(wrong)
        dialog.get_by_label(re.compile("Reason")).fill("CHG-1042")
        settled(page)
        expect(act).to_be_disabled()
    named.fill(org)
    dialog.get_by_label(re.compile("Reason")).fill("CHG-1042")
    expect(act).to_be_enabled()
    act.click()
    page.wait_for_url("**/run?*")


def test_a_launch_into_production_waits_for_another_person(
    world: World, server: AppServer, of: Callable[[str], Page], outside: list[str]
) -> None:
    """Asked, rejected with a reason, asked again, approved, carried; all of it in the audit."""
    settings.change_settings(world.bridge, world.admin, approval_needed=True)
    ann, leo = of("ann"), of("leo")

    at_launch(ann, server, world.move)
    expect(ann.get_by_text("Live · PRODUCTION").first).to_be_visible()
    ann.get_by_role("button", name="Ask for approval…").click()
    confirm(ann, "Ask for approval", org="Live", wrong="live")
    ann.locator("h1", has_text="Needs approval").wait_for()
    ann.get_by_text("Another person with the role approver decides").wait_for()
    assert ann.get_by_role("button", name="Approve", exact=True).count() == 0

    leo.goto(server.url)
    leo.get_by_role("button", name="Decide").click()
    leo.get_by_text("ann asks for approval").wait_for()
    leo.get_by_text("Rows in scope").wait_for()
    expect(leo.get_by_role("button", name="Reject")).to_be_disabled()
    leo.get_by_label(re.compile("a rejection needs one")).fill("Friday evening")
    leo.get_by_role("button", name="Reject").click()
    leo.locator("h1", has_text="Cancelled").wait_for()
    ann.get_by_text("Friday evening").wait_for()  # her page follows by itself
    assert world.live.rows("Account") == []

    at_launch(ann, server, world.move)
    ann.get_by_role("button", name="Ask for approval…").click()
    confirm(ann, "Ask for approval", org="Live")
    ann.locator("h1", has_text="Needs approval").wait_for()
    leo.goto(ann.url)
    leo.get_by_role("button", name="Approve", exact=True).click()
    leo.locator("h1", has_text="Succeeded").wait_for()
    assert len(world.live.rows("Account")) == 5

    told = audit.trail(world.bridge, world.admin, audit.TrailFilter()).rows
    said = [(e.actor, e.action, e.reason) for e in reversed(told) if "approval." in e.action]
    assert said[-4:] == [
        ("ann@acme.example", "approval.asked", "CHG-1042"),
        ("leo@acme.example", "approval.rejected", "Friday evening"),
        ("ann@acme.example", "approval.asked", "CHG-1042"),
        ("leo@acme.example", "approval.approved", None),
    ]
    assert outside == []


def test_many_rows_need_approval_into_any_org_and_a_request_can_be_withdrawn(
    world: World, server: AppServer, of: Callable[[str], Page]
) -> None:
    settings.change_settings(
        world.bridge, world.admin, approval_needed=False, approval_above_rows=4
    )
    ann = of("ann")

    at_launch(ann, server, world.trickle)
    ann.get_by_text("More than 4 rows are to be written").first.wait_for()
    ann.get_by_role("button", name="Ask for approval…").click()
    dialog = ann.get_by_role("dialog")
    dialog.get_by_label(re.compile("Reason")).fill("small enough")
    dialog.get_by_role("button", name="Ask for approval", exact=True).click()
    ann.get_by_role("button", name="Withdraw the request").click()

    ann.locator("h1", has_text="Cancelled").wait_for()
    ann.get_by_text("Withdrawn by").wait_for()
    settings.change_settings(world.bridge, world.admin, approval_above_rows=0)


def test_deletes_ask_for_the_typed_name_in_every_org_and_an_undo_brings_rows_back(
    world: World, server: AppServer, of: Callable[[str], Page]
) -> None:
    """To the end: asked, confirmed, gone, taken back; the rows that nobody meant stay."""
    insert(world.yard, "Account", *({"Name": f"B{n}", "Code__c": f"c{n}"} for n in range(3)))
    insert(world.yard, "Account", {"Name": "Ours", "Code__c": "other"})
    ann = of("ann")

    at_launch(ann, server, world.clear)
    ann.get_by_role("button", name="Launch full…").click()
    ann.get_by_role("dialog").get_by_text("Deletes rows of").wait_for()

    confirm(ann, "Launch full", org="Yard", wrong="Legacy")
    ann.locator("h1", has_text=re.compile("Succeeded|Partial")).wait_for()
    assert there(world.yard) == {"Ours"}

    ann.get_by_role("button", name="Undo…").click()
    ann.get_by_role("dialog").get_by_text("Records that others changed since").wait_for()
    confirm(ann, "Undo run", org="Yard", wrong="Legacy")
    ann.locator("h1", has_text=re.compile("undo.*Succeeded")).wait_for()
    assert there(world.yard) == {"B0", "B1", "B2", "Ours"}


def there(org: PracticeOrg) -> set[str]:
    """Names of the accounts that are not in the bin."""
    return {row["Name"] for row in org.rows("Account") if not row.get("IsDeleted")}
