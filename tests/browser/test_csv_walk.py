"""The CSV page and the pages that observe, walked in a browser over a real set of persons."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.appserver import AppServer

from .conftest import Context, settled, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
WAIT_MS = 150_000


def persons(fixtures: Path) -> bytes:
    """A thousand persons of FEBRL 1 with the headers of a CRM, dates as Germans write them."""
    path = fixtures / "C_awkward_and_duplicates/febrl/dataset1.csv"
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";")
    writer.writerow(["Legacy No", "First Name", "Last Name", "Mailing City", "Born", "Note"])
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines, skipinitialspace=True):
            born = row["date_of_birth"].strip()
            day = f"{born[6:8]}.{born[4:6]}.{born[:4]}" if len(born) == 8 else ""
            cells = [row[name].strip() for name in ("rec_id", "given_name", "surname", "suburb")]
            writer.writerow([*cells, day, "=1+1"])
    return out.getvalue().encode("utf-8")


def shot(page: Page, folder: Path, name: str) -> None:
    settled(page)
    assert page.get_by_text("Traceback").count() == 0
    assert page.get_by_text("Something went wrong on our side").count() == 0
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    if kept := os.environ.get("ORGBRIDGE_LIVE_SHOTS"):
        shutil.copy(folder / f"{name}.png", Path(kept) / f"v-{name}.png")


def test_files_are_brought_in_and_what_happened_is_found_again(
    server: AppServer,
    first_admin: Page,
    context: Context,
    outside: list[str],
    fixtures_dir: Path,
    tmp_path: Path,
) -> None:
    page = first_admin
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{server.url}/csv_files")
    page.get_by_text("No files yet").wait_for()
    shot(page, tmp_path, "csv-empty")
    page.get_by_role("button", name="Look at the files").click()
    page.get_by_text("need a name").wait_for()
    shot(page, tmp_path, "csv-error")

    page.goto(server.url)
    page.get_by_role("button", name="Create practice orgs").click()
    page.get_by_text("Two practice orgs are ready").wait_for()
    page.goto(f"{server.url}/csv_files")
    settled(page)
    page.get_by_label("Name", exact=True).fill("persons")
    content = persons(fixtures_dir)
    page.locator("input[type=file]").set_input_files(
        [{"name": "Contacts.csv", "mimeType": "text/csv", "buffer": content}]
    )
    page.get_by_text("Contacts.csv").wait_for()
    page.get_by_role("button", name="Look at the files").click()
    page.get_by_role("button", name="Read the files").wait_for()
    shot(page, tmp_path, "csv-tables")
    page.get_by_role("button", name="Read the files").click()
    page.get_by_role("button", name="Make the plan").wait_for()
    shot(page, tmp_path, "csv-ready")
    page.get_by_role("button", name="Make the plan").click()
    page.wait_for_url("**/plans?plan=*")
    shot(page, tmp_path, "csv-plan")

    page.goto(f"{server.url}/csv_files?half=export")
    settled(page)
    page.get_by_label("Object", exact=True).fill("Account")
    page.get_by_label("Object", exact=True).press("Enter")
    page.get_by_text("rows · SELECT").wait_for()
    shot(page, tmp_path, "csv-export")
    page.get_by_label("Where", exact=True).fill("Name = 'x' LIMIT 1")
    page.get_by_label("Where", exact=True).press("Enter")
    page.get_by_text("clause behind it").wait_for()
    shot(page, tmp_path, "csv-export-error")

    for name in ("logs", "audit", "errors", "counts", "extra_children"):
        page.goto(f"{server.url}/{name}")
        shot(page, tmp_path, name)
    dark = context(dark=True, width=1280).new_page()
    dark.set_default_timeout(WAIT_MS)
    dark.goto(f"{server.url}/logs")
    sign_in(dark)
    for name in ("logs", "audit", "csv_files", "csv_files?files=persons"):
        dark.goto(f"{server.url}/{name}")
        shot(dark, tmp_path, f"{name.replace('?', '-').replace('=', '-')}-dark")
    assert outside == []
