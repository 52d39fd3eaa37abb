"""Runs in the terminal: what stands before production, what is told once, what a cancel says."""

from __future__ import annotations

import json

import pytest

from core.bootstrap import Orgbridge
from core.config import Settings
from core.domain.plan import parse_plan
from core.services import plans
from core.services import settings as workspace_settings
from tests.org.connected import admin, connect, insert
from tests.org.test_terminal_operations import run
from tests.orgs import PracticeOrgs

SCHEMA = """
standard: [Account]
objects:
  Account:
    fields: {Code__c: {type: text, length: 18, external_id: true, unique: true}}
"""
#: no sign of a practice org: this one passes for a production org behind a tunnel
REAL = "org: {type: Enterprise Edition, instance: NA42}"
PLAN = """
orgbridge: 1
name: %s
source: Yard
target: Live
objects:
  - {source: Account, operation: upsert, key: %s, auto_map: false, fields: {Name: Name}}
"""


@pytest.mark.timeout(900)  # a process a command
def test_production_asks_for_name_and_reason_and_an_end_is_told_once_and_truly(
    bridge: Orgbridge, settings: Settings, practice_org: PracticeOrgs
) -> None:
    """One test, since the orgs take seconds to start."""
    yard, live = practice_org(schema=SCHEMA), practice_org(schema=REAL + SCHEMA)
    insert(yard, "Account", {"Name": "A", "Code__c": "a"})
    connect(bridge, "Yard", yard)
    connect(bridge, "Live", live)
    workspace_settings.change_settings(bridge, admin(bridge), approval_needed=False)
    for name, key in (("move", "Code__c"), ("lost", "Nope__c")):
        plans.create(bridge, admin(bridge), parse_plan(PLAN % (name, key)))
    named = ("--confirm", "Live", "--reason", "CHG-1042")

    for wrong in (("--mode", "trial"), ("--confirm", "live", "--reason", "CHG-1042")):
        told = run(settings, "run", "move", *wrong, status=1).stderr.decode()
        assert "its name must be confirmed, because Live is a production org" in told
    told = run(settings, "run", "move", "--confirm", "Live", status=1).stderr.decode()
    assert "a reason is needed" in told
    assert live.rows("Account") == []
    done = json.loads(run(settings, "run", "move", *named, "--json").stdout)
    assert (done["status"], done["objects"][0]["inserted"]) == ("Succeeded", 1)

    stopped = run(settings, "run", "lost", *named, "--json", status=1)
    assert stopped.stderr.count(b"Preflight stops the run") == 1
    failed = json.loads(stopped.stdout)["run_id"]
    cancelled = run(settings, "runs", "cancel", failed).stdout.decode()
    assert "had failed; it is cancelled now and cannot be resumed" in cancelled
    assert b"is over (cancelled)" in run(settings, "runs", "cancel", failed, status=1).stderr
