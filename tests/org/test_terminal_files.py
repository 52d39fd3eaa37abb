"""CSV files by the terminal: imported, planned, delivered again, refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.bootstrap import Orgbridge
from core.config import Settings
from core.domain.roles import Actor, Role
from core.secret import Secret
from core.services import orgs, plans
from core.services.connecting import ConnectRequest
from tests.org.engine import SCHEMA
from tests.org.test_terminal_operations import run
from tests.orgs import PracticeOrgs


@pytest.fixture
def admin(bridge: Orgbridge, practice_org: PracticeOrgs) -> Actor:
    actor = Actor(bridge.workspace_id(), None, "terminal:test", Role.ADMIN, "terminal")
    org = practice_org(name="New", schema=SCHEMA)
    token = Secret(org.access_token)
    request = ConnectRequest(
        name="New", kind="access_token", instance_url=org.url, access_token=token
    )
    orgs.connect(bridge, actor, request)
    return actor


@pytest.mark.timeout(900)  # a process a command
def test_files_are_imported_planned_and_delivered_again(
    bridge: Orgbridge, admin: Actor, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "Accounts.csv"
    file.write_text("Legacy Id;Name\n1;Ng\n2;Wu\n", encoding="utf-8")

    said = run(
        settings, "files", "import", str(file), "--name", "crm", "--target", "New",
        "--key", "Accounts=Legacy_Id", "--json",
    )  # fmt: skip
    assert json.loads(said.stdout) == {
        "files": "crm",
        "tables": [{"object": "Accounts", "rows": 2, "pages": 1, "left_out": 0, "bad_cells": 0}],
        "plan": "crm",
    }
    assert b"leaked" not in said.stderr
    entry = plans.plan(bridge, admin, name="crm").plan.objects[0]
    assert (entry.source, entry.target, entry.key.target) == (
        "Accounts",
        "Account",
        ("Legacy_Id__c",),
    )
    done = json.loads(run(settings, "run", "crm", "--json").stdout)
    assert done["objects"][0]["inserted"] == 2

    file.write_text("Legacy Id;Name\n2;Wu & Sons\n3;New,\n4;x;y;z\n", encoding="utf-8")
    later = run(
        settings, "files", "import", str(file), "--name", "crm 2", "--plan", "crm",
        "--key", "Accounts=Legacy_Id", status=2,
    )  # fmt: skip
    assert b"has 4 cells where the header has 2" in later.stderr
    again = json.loads(run(settings, "run", "crm", "--json").stdout)
    assert (again["objects"][0]["inserted"], again["objects"][0]["updated"]) == (1, 1)

    missing = run(settings, "files", "import", "nope.csv", "--name", "x", status=1)
    assert b"nope.csv cannot be read" in missing.stderr
    assert b"Traceback" not in missing.stderr
    torn = tmp_path / "torn.csv"
    torn.write_text('Id,Name\n1,"A\n2,B\n', encoding="utf-8")
    named = ("files", "import", str(torn), "--name", "torn")
    assert b"row of line 2 is never closed" in run(settings, *named, status=1).stderr
    torn.write_text('Id,Name\n1,"A"\n2,B\n', encoding="utf-8")
    nowhere = run(settings, *named, "--target", "Nowhere", status=1)
    assert b"There is no org" in nowhere.stderr
    run(settings, *named)  # a try that failed keeps neither files nor their name
    head = run(settings, "files", "template", "New", "Account").stdout.decode()
    assert "Legacy_Id__c" in head.strip().split(",")
