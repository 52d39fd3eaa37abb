"""What a person does to an org that is registered: another name, no writes, gone.

A plan and a run that used it live through each of the three.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect

from core import bootstrap
from core.domain.plan import parse_plan
from core.domain.roles import Actor
from core.services import audit, plans
from tests.appserver import AppServer
from tests.org.connected import admin, connect, insert
from tests.orgs import PracticeOrg, PracticeOrgs, module_practice_org

from .conftest import settled

__all__ = ["module_practice_org"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SCHEMA = """
standard: [Account]
objects:
  Account:
    fields: {Code__c: {type: text, length: 18, external_id: true, unique: true}}
"""
PLAN = """
orgbridge: 1
name: Trickle
source: Old yard
target: New yard
objects:
  - {source: Account, operation: upsert, key: Code__c, auto_map: false, fields: {Name: Name}}
"""
ROWS = 3


@dataclass(frozen=True, slots=True)
class World:
    """Two connected orgs and a plan from one into the other."""

    bridge: bootstrap.Orgbridge
    actor: Actor
    target: PracticeOrg
    plan: UUID


@pytest.fixture
def world(server: AppServer, module_practice_org: PracticeOrgs) -> Iterator[World]:
    source, target = (module_practice_org(name=name, schema=SCHEMA) for name in ("Old", "New"))
    for number in range(ROWS):
        insert(source, "Account", {"Name": f"A{number}", "Code__c": f"c{number}"})
    with bootstrap.build(server.settings) as bridge:
        connect(bridge, "Old yard", source)
        connect(bridge, "New yard", target)
        actor = admin(bridge)
        yield World(bridge, actor, target, plans.create(bridge, actor, parse_plan(PLAN)))


def choose(page: Page, server: AppServer, org: str, act: str) -> None:
    """One act of an org's menu."""
    page.goto(f"{server.url}/orgs")
    settled(page)
    card_of(page, org).get_by_role("button").last.click()
    page.get_by_role("menuitem", name=act).or_(page.get_by_role("option", name=act)).click()


def card_of(page: Page, org: str) -> Locator:
    """The card of an org, and nothing around it."""
    return page.locator("[class*='st-key-orgs-card-']").filter(
        has=page.get_by_text(org, exact=True)
    )


def launched(page: Page, server: AppServer, plan: UUID) -> None:
    """A run of everything, seen to its end."""
    at_launch(page, server, plan)
    page.get_by_role("button", name="Launch full…").click()
    page.get_by_role("dialog").get_by_role("button", name="Launch full", exact=True).click()
    page.wait_for_url("**/run?*", timeout=120_000)
    page.locator("h1", has_text="Succeeded").wait_for(timeout=120_000)


def at_launch(page: Page, server: AppServer, plan: UUID) -> None:
    """The launch page with the question about e-mail answered."""
    page.goto(f"{server.url}/launch?plan={plan}&mode=full")
    page.get_by_role("combobox", name="E-mail from the target").click()
    page.get_by_role("option", name="Switched off in the target").click()
    page.get_by_text("Answer the question about e-mail").wait_for(state="detached")
    settled(page)


def test_an_org_is_renamed_closed_to_writes_and_removed_and_what_used_it_tells(
    world: World, server: AppServer, first_admin: Page, outside: list[str]
) -> None:
    """The plan follows the name; a closed org takes nothing; history outlives the org."""
    page = first_admin

    choose(page, server, "New yard", "Rename…")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Barn")
    dialog.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_text("New yard is now Barn.").wait_for()
    expect(card_of(page, "Barn")).to_be_visible()
    launched(page, server, world.plan)
    run = page.url
    assert len(world.target.rows("Account")) == ROWS

    choose(page, server, "Barn", "Make read-only")
    expect(card_of(page, "Barn").get_by_text("read-only")).to_be_visible()
    at_launch(page, server, world.plan)
    page.get_by_text("Barn is switched to read-only").first.wait_for()
    expect(page.get_by_role("button", name="Launch full…")).to_be_disabled()
    choose(page, server, "Barn", "Allow writes")
    page.get_by_text("Barn takes writes again.").wait_for()

    choose(page, server, "Barn", "Remove…")
    expect(dialog.get_by_text("These plans lose it as source or target: Trickle")).to_be_visible()
    act = dialog.get_by_role("button", name="Remove org")
    dialog.get_by_label(re.compile("Type the name")).fill("barn")
    settled(page)
    expect(act).to_be_disabled()
    dialog.get_by_label(re.compile("Type the name")).fill("Barn")
    act.click()
    page.get_by_text("Barn was removed.").wait_for()
    expect(card_of(page, "Barn")).to_have_count(0)

    page.goto(run)
    page.locator("h1", has_text="Succeeded").wait_for()
    page.get_by_text("Barn · not connected").wait_for()
    page.goto(f"{server.url}/launch?plan={world.plan}&mode=full")
    page.get_by_text("Barn is not connected").first.wait_for()
    told = [row.action for row in audit.trail(world.bridge, world.actor, audit.TrailFilter()).rows]
    assert {"org.renamed", "org.read_only_set", "org.removed"} <= set(told)
    assert outside == []
