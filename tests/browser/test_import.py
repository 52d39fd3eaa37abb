"""A plan of another tool comes in by its file, and what it loses is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.appserver import AppServer

from .conftest import settled

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

EXPORT = {
    "objects": [
        {
            "query": "SELECT Id, Name, Phone FROM Account",
            "operation": "Upsert",
            "externalId": "Name",
            "deleteOldData": True,
        }
    ]
}


def test_an_sfdmu_file_becomes_a_plan(
    server: AppServer, first_admin: Page, outside: list[str], tmp_path: Path
) -> None:
    """Files that name no orgs ask for both; wrong files get a sentence and keep nothing."""
    page = first_admin
    page.get_by_role("button", name="Create practice orgs").click()
    page.get_by_text("Two practice orgs are ready").wait_for()
    page.goto(f"{server.url}/plans")
    settled(page)
    page.get_by_role("button", name="New plan").first.click()
    page.get_by_role("radio", name="Plan file").click()
    sent = page.locator("input[type=file]")
    sent.set_input_files({"name": "export.json", "mimeType": "application/json",
                          "buffer": json.dumps(EXPORT).encode()})  # fmt: skip
    page.get_by_role("button", name="Import plan").click()
    page.get_by_text("does not say between which orgs").wait_for()

    for label, org in (("Source org", "Northwind Legacy"), ("Target org", "Northwind New")):
        page.get_by_role("combobox", name=label).click()
        page.get_by_role("option", name=org).click()
    page.get_by_role("button", name="Import plan").click()
    page.get_by_text("could not be carried over").first.wait_for()
    page.screenshot(path=tmp_path / "import.png")

    page.goto(f"{server.url}/plans")
    settled(page)
    assert outside == []
