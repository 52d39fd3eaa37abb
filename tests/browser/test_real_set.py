"""A real catalogue of 28 objects by clicks: canary, refusals mended and retried, proof, undo.

The connection is cut and the page opened anew in the middle of the run: nothing is lost, nothing
runs twice.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, WebSocketRoute

from core import bootstrap
from core.db import runs
from core.domain.roles import Actor, Role
from core.services import plans
from tests.appserver import AppServer
from tests.org.engine import connect
from tests.orgs import PROJECT, PracticeOrg, PracticeOrgs
from tests.real.test_rlm import schema_file

from .conftest import Context, settled, sign_in
from .test_door import violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1_200)]

#: a busy machine takes its time for 28 objects
CARRIED_WITHIN_MS = 240_000
VALUES = "AttributePicklistValue"


@dataclass
class Catalogue:
    """Both orgs, and the plan that came with the data."""

    export: Path
    source: PracticeOrg
    target: PracticeOrg


@pytest.fixture
def catalogue(
    practice_org: PracticeOrgs, server: AppServer, fixtures_dir: Path, tmp_path: Path
) -> Catalogue:
    """The source filled from the set's CSVs; the target wants a sequence with every value."""
    folder = fixtures_dir / "B_datasets" / "rlm_qb_en-US_qb-pcm"
    schema = schema_file(fixtures_dir, tmp_path)
    document = yaml.safe_load(schema.read_text(encoding="utf-8"))
    document["objects"][VALUES]["validation_rules"] = {
        "Sequence_Given": {
            "formula": "ISBLANK(Sequence)",
            "message": "A value needs a sequence",
            "field": "Sequence",
        }
    }
    stricter = tmp_path / "target.yaml"
    stricter.write_text(yaml.safe_dump(document), encoding="utf-8")
    home = tmp_path / "old"
    subprocess.run(
        [sys.executable, "-m", "orgsim", "load", "--home", str(home), "--name", "Old",
         "--schema", str(schema), "--folder", str(folder)],
        cwd=PROJECT, check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    source = practice_org(name="Old", home=home)
    target = practice_org(name="New", schema=stricter)
    with bootstrap.build(server.settings) as bridge:
        connect(bridge, source, target)
    return Catalogue(folder / "export.json", source, target)


def test_a_catalogue_is_rehearsed_moved_mended_proven_and_taken_back(
    catalogue: Catalogue,
    server: AppServer,
    first_admin: Page,
    context: Context,
    outside: list[str],
    tmp_path: Path,
) -> None:
    page = first_admin
    plan = import_the_plan(page, server, catalogue)

    launch_canary(page, server, plan)
    run = name_of(page)
    elsewhere = cut_off_and_come_back(page, server, run)
    status(page, "Waiting for you")
    page.screenshot(path=tmp_path / "canary.png")
    page.get_by_role("button", name="Continue with the rest…").click()
    page.get_by_role("dialog").get_by_role("button", name="Continue", exact=True).click()
    status(page, "Partial")
    status(elsewhere, "Partial")
    elsewhere.close()
    page.get_by_text("A value needs a sequence").last.wait_for()
    page.screenshot(path=tmp_path / "errors.png")
    assert launched(server) == [run]
    assert live(catalogue.target, VALUES) == 75

    page.goto(f"{server.url}/plans?plan={plan}&object={VALUES.lower()}&field=Sequence")
    mend(page)
    page.goto(f"{server.url}/run?run={run}")
    page.get_by_role("button", name="Retry 12 rows…").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Retry 12 rows").click()
    page.wait_for_url(lambda url: "/run?" in url and run not in url)
    retry = name_of(page)
    status(page, "Succeeded")
    assert live(catalogue.target, VALUES) == 87

    page.goto(f"{server.url}/run?run={run}&tab=proof")
    settled(page)
    page.get_by_text("Every value as sent").first.wait_for(state="attached")
    with page.expect_download() as report:
        page.get_by_role("button", name="Report to print").click()
    kept = tmp_path / "proof.html"
    report.value.save_as(kept)
    page.screenshot(path=tmp_path / "proof.png")
    assert violations(page) == []
    look_in_the_dark(context, server, run, tmp_path)
    told = kept.read_text(encoding="utf-8")
    assert f"Proof of run {run}" in told
    assert "were read back and compared; all are as sent." in told

    take_back(page, server, retry)
    status(page, "Succeeded")
    take_back(page, server, run)
    # two objects of the set know no delete: their five records stay, by name
    page.get_by_text("does not support delete").last.wait_for(timeout=CARRIED_WITHIN_MS)
    status(page, "Partial")
    assert live(catalogue.target, "ProductRelationshipType") == 4
    assert live(catalogue.target, VALUES) == 0
    assert live(catalogue.target, "Product2") == 0
    assert outside == []


def import_the_plan(page: Page, server: AppServer, catalogue: Catalogue) -> str:
    """The set's own SFDMU plan, between the two orgs; its id."""
    page.goto(f"{server.url}/plans")
    settled(page)
    page.get_by_role("button", name="New plan").first.click()
    page.get_by_role("radio", name="Plan file").click()
    page.locator("input[type=file]").set_input_files(catalogue.export)
    page.get_by_role("button", name="Import plan").click()
    page.get_by_text("does not say between which orgs").wait_for()
    for label, org in (("Source org", "legacy"), ("Target org", "new")):
        page.get_by_role("combobox", name=label).click()
        page.get_by_role("option", name=org).click()
    page.get_by_role("button", name="Import plan").click()
    page.get_by_text("could not be carried over").first.wait_for()
    with bootstrap.build(server.settings) as bridge:
        analyst = Actor(bridge.workspace_id(), None, "terminal:test", Role.ANALYST)
        (found,) = plans.plans(bridge, analyst)
    return str(found.id)


def launch_canary(page: Page, server: AppServer, plan: str) -> None:
    """Mode canary, the e-mail question, two clicks; the run's page opens."""
    page.goto(f"{server.url}/launch?plan={plan}&mode=canary")
    page.get_by_text("Ready to launch?").wait_for(timeout=CARRIED_WITHIN_MS)
    page.get_by_role("combobox", name="E-mail from the target").click()
    page.get_by_role("option", name="Switched off in the target").click()
    page.get_by_text("Answer the question about e-mail").wait_for(state="detached")
    page.get_by_role("button", name="Launch canary…").click()
    # a second click, as impatient people make it, is the same launch
    page.get_by_role("dialog").get_by_role("button", name="Launch canary").dblclick()
    page.wait_for_url("**/run?*")


def cut_off_and_come_back(page: Page, server: AppServer, run: str) -> Page:
    """A reload, a connection that breaks, and the same address in another tab; the other tab."""
    connections: list[WebSocketRoute] = []

    def relay(connection: WebSocketRoute) -> None:
        connection.connect_to_server()
        connections.append(connection)

    page.route_web_socket(re.compile("/_stcore/stream"), relay)
    page.reload()
    settled(page)
    before = len(connections)
    for connection in connections:
        connection.close()
    other = page.context.new_page()
    other.goto(f"{server.url}/run?run={run}&tab=log")
    settled(other)
    other.get_by_role("tab", name="Log", selected=True).wait_for()
    settled(page)
    assert len(connections) > before >= 1
    return other


def mend(page: Page) -> None:
    """Blank sequences become zero, in the editor."""
    page.get_by_label("Rule", exact=True).wait_for()
    page.get_by_label("Rule", exact=True).click()
    page.get_by_role("option", name="Expression", exact=True).click()
    field = page.get_by_label("Expression over the source row (SQL)")
    field.fill("coalesce(Sequence, 0)")
    field.press("Control+Enter")
    page.get_by_text("Saved.").first.wait_for()


def look_in_the_dark(context: Context, server: AppServer, run: str, folder: Path) -> None:
    """The run's page at 1280, dark: readable, and nothing cut away from assistive tools."""
    page = context(dark=True, width=1280).new_page()
    page.goto(f"{server.url}/run?run={run}&tab=errors")
    sign_in(page)
    page.get_by_text("A value needs a sequence").last.wait_for()
    settled(page)
    page.screenshot(path=folder / "errors-dark.png")
    assert violations(page) == []
    page.context.close()


def take_back(page: Page, server: AppServer, run: str) -> None:
    """Undo with the target's name and a reason, to its end."""
    page.goto(f"{server.url}/run?run={run}")
    page.get_by_role("button", name="Undo…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(re.compile("Type the target org name")).fill("new")
    dialog.get_by_label(re.compile("Reason")).fill("rehearsal is over")
    dialog.get_by_role("button", name="Undo run").click()
    page.wait_for_url(lambda url: "/run?" in url and run not in url)


def status(page: Page, word: str) -> None:
    """Wait until the run's heading says so."""
    page.locator("h1", has_text=word).wait_for(timeout=CARRIED_WITHIN_MS)


def name_of(page: Page) -> str:
    """The run that the page shows."""
    found = re.search(r"run=([\w-]+)", page.url)
    assert found
    return found.group(1)


def launched(server: AppServer) -> list[str]:
    """Names of all runs that were ever made."""
    with bootstrap.build(server.settings) as bridge, bridge.session(bridge.workspace_id()) as rows:
        return [row.name for row in runs.runs(rows)]


def live(org: PracticeOrg, sobject: str) -> int:
    """Rows that are not in the recycle bin."""
    return sum(not row["IsDeleted"] for row in org.rows(sobject))
