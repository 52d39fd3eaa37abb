"""Verify pages walked in a browser with two practice orgs behind them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core import bootstrap
from core.config import Settings
from core.db import orgs
from tests.appserver import AppServer

from .conftest import Context, settled, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
#: a shared machine may be slow; nothing here waits for longer than it takes
WAIT_MS = 120_000


def plant_twins(settings: Settings) -> None:
    """Two persons twice in the legacy org, spelt a little otherwise."""
    people = [
        {"FirstName": first, "LastName": last, "Email": mail}
        for first, last, mail in (
            ("Noor", "Abrahamsen", "noor.abrahamsen@twin.example"),
            ("Noor", "Abrahamsson", "noor.abrahamsen@twin.example"),
            ("Wilhelmina", "Oosterhuis", "wilhelmina.oosterhuis@twin.example"),
            ("Wilhelmina", "Oosterhuis", "wilhelmina.oosterhuis@twin.example"),
        )
    ]
    with bootstrap.build(settings) as bridge:
        workspace = bridge.workspace_id()
        with bridge.session(workspace) as session:
            org = orgs.org_named(session, "Northwind Legacy")
        assert org is not None
        made = bridge.org_client(workspace, org.id).create_records("Contact", people)
    assert all(outcome.success for outcome in made)


def test_an_analyst_compares_fields_and_settles_duplicates(
    server: AppServer,
    first_admin: Page,
    context: Context,
    outside: list[str],
    tmp_path: Path,
) -> None:
    """Light and dark; what is shown comes from the orgs, a decision takes a group off the list."""
    page = first_admin
    page.set_default_timeout(WAIT_MS)
    page.get_by_role("button", name="Create practice orgs").click()
    page.get_by_text("Two practice orgs are ready").wait_for()
    plant_twins(server.settings)

    page.goto(f"{server.url}/differences?a=Northwind+Legacy&b=Northwind+New")
    settled(page)
    page.get_by_role("button", name="Compare now").click()
    page.get_by_text("would refuse or lose data").wait_for()
    settled(page)
    page.screenshot(path=tmp_path / "differences.png")

    page.goto(f"{server.url}/duplicates?org=Northwind+Legacy&object=Contact")
    settled(page)
    page.get_by_role("button", name="Find now").click()
    page.get_by_text("groups of likely duplicates").wait_for()
    settled(page)
    before = page.get_by_role("radio", name="Open").inner_text()
    page.screenshot(path=tmp_path / "duplicates.png")
    page.get_by_role("button", name="Keep A & next").click()
    expect(page.get_by_role("radio", name="Decided 1")).to_be_visible(timeout=WAIT_MS)
    assert page.get_by_role("radio", name="Open").inner_text() != before

    dark = context(dark=True, width=1280).new_page()
    dark.set_default_timeout(WAIT_MS)
    dark.goto(f"{server.url}/duplicates?org=Northwind+Legacy&object=Contact")
    sign_in(dark)
    dark.goto(f"{server.url}/duplicates?org=Northwind+Legacy&object=Contact")
    dark.get_by_text("groups of likely duplicates").wait_for()
    settled(dark)
    dark.screenshot(path=tmp_path / "duplicates-dark.png")
    assert outside == []
