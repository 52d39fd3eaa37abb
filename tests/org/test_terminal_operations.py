"""The terminal's analyses between two practice orgs, as a script would call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.bootstrap import Orgbridge
from core.config import Settings
from core.domain.roles import Actor, Role
from core.secret import Secret
from core.services import orgs
from core.services.connecting import ConnectRequest
from tests.conftest import PROJECT, TEST_KEY
from tests.org.connected import connect, insert
from tests.orgs import PracticeOrg, PracticeOrgs


@pytest.fixture
def terminal(bridge: Orgbridge, settings: Settings, practice_org: PracticeOrgs) -> Settings:
    admin = Actor(bridge.workspace_id(), None, "terminal:test", Role.ADMIN, "terminal")
    for name, seed in (("Legacy", "northwind-legacy"), ("New", "northwind-new")):
        org: PracticeOrg = practice_org(name=name, seed=seed)
        request = ConnectRequest(
            name=name,
            kind="access_token",
            instance_url=org.url,
            access_token=Secret(org.access_token),
        )
        orgs.connect(bridge, admin, request)
    return settings


def run(settings: Settings, *words: str, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    """One command in a process of its own."""
    environment = {
        **os.environ,
        "DATABASE_URL": str(settings.database_url),
        "ORGBRIDGE_HOME": str(settings.home),
        "ORGBRIDGE_KEY": TEST_KEY,
    }
    done = subprocess.run(
        [sys.executable, "cli.py", *words],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stderr.decode()
    return done


def test_counts_fields_duplicates_and_exports_are_said_and_written(
    terminal: Settings, tmp_path: Path
) -> None:
    """One test, since the orgs take seconds to start."""
    said = json.loads(
        run(terminal, "count", "Legacy", "New", "Account", "Contact", "--json").stdout
    )
    accounts = next(row for row in said["objects"] if row["name"] == "Account")
    assert accounts["source"] > 0
    assert accounts["missing"] == max(accounts["source"] - accounts["target"], 0)
    assert said["api_calls"] == {"source": 1, "target": 1}
    run(
        terminal,
        "count",
        "Legacy",
        "New",
        "Account",
        "--strict",
        status=2 if accounts["missing"] else 0,
    )

    table = run(terminal, "fields", "Legacy", "New", "Account").stdout.decode()
    assert table.splitlines()[0].split()[:2] == ["Object", "Field"]
    found = json.loads(run(terminal, "fields", "Legacy", "New", "Account", "--json").stdout)
    assert found["objects"][0]["source_object"] == "Account"

    twins = json.loads(run(terminal, "duplicates", "Legacy", "Contact", "--json").stdout)
    assert twins["records"] == next(r for r in said["objects"] if r["name"] == "Contact")["source"]

    file = tmp_path / "accounts.csv"
    run(terminal, "export", "Legacy", "Account", "--fields", "Id,Name", "--csv", str(file))
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Id,Name"
    assert len(lines) >= accounts["source"] + 1
    run(terminal, "export", "Legacy", "Account", "--csv", "/nowhere/x.csv", status=1)
    counted = run(terminal, "logs", "export", "--kind", "record_count").stdout.decode("utf-8-sig")
    assert [line.split(",")[0] for line in counted.splitlines()] == ["kind", *["record_count"] * 2]
    trail = run(terminal, "logs", "export", "--audit", "--text", "records.export").stdout
    assert b"records.export" in trail
    wrong = run(terminal, "logs", "export", "--since", "yesterday", status=1)
    assert b"is no day" in wrong.stderr
    listed = json.loads(run(terminal, "operations", "list", "--json").stdout)
    assert "record_counts" in {one["kind"] for one in listed}


def test_values_of_likely_duplicates_stand_under_their_own_names(
    bridge: Orgbridge, settings: Settings, practice_org: PracticeOrgs
) -> None:
    """A stored document gives names in an order of its own."""
    org = practice_org()
    connect(bridge, "Legacy", org)
    twin = {"LastName": "Oosterhuis", "FirstName": "Wilhelmina", "Email": "w@twin.example"}
    insert(org, "Contact", twin, twin)

    said = run(settings, "duplicates", "Legacy", "Contact", "--fields", ",".join(twin)).stdout

    _, head, *rows = said.decode().split("\n\n")[0].splitlines()
    assert head.split() == ["Id", *twin]
    assert [row.split()[1:] for row in rows] == [list(twin.values())] * 2


def test_what_is_wrong_is_one_sentence_and_status_one(terminal: Settings) -> None:
    nothing = run(terminal, "count", status=1)
    nobody = run(terminal, "count", "Nowhere", "New", "Account", status=1)
    column = run(terminal, "duplicates", "Legacy", "Account", "--fields", "Nope", status=1)

    assert b"name a plan, or a source" in nothing.stderr
    assert b"There is no org 'Nowhere'" in nobody.stderr
    assert b"Account has no field 'Nope'" in column.stderr
    assert all(b"Traceback" not in done.stderr for done in (nothing, nobody, column))
