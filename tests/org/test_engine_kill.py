"""A worker that is killed at any moment: the run goes on and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import runs
from tests.org.engine import SCHEMA, Pair, check_identity, connect, line
from tests.org.test_engine_skeleton import fill
from tests.orgs import PROJECT, PracticeOrgs, wait_for

PLAN = """
orgbridge: 1
name: engine
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    load: {api: %(api)s, batch: 7}
  - source: Contact
    key: %(key)s
    load: {api: %(api)s, batch: 7}
"""


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    """Two orgs whose jobs take a moment, so that there is something to kill in."""
    source = practice_org(name="Legacy", schema=SCHEMA)
    target = practice_org(name="New", schema=SCHEMA)
    fill(source, accounts=30, contacts=60)
    return connect(bridge, source, target)


def start(settings: Settings, name: str) -> subprocess.Popen[bytes]:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("ORGBRIDGE")},
        "DATABASE_URL": settings.database_url or "",
        "ORGBRIDGE_HOME": str(settings.home),
        "ORGBRIDGE_KEY": settings.key.reveal() if settings.key else "",
    }
    command = [sys.executable, "cli.py", "runs", "resume", name, "--json"]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("api", ["bulk", "collections"])
def test_a_killed_run_ends_like_any_other(pair: Pair, settings: Settings, api: str) -> None:
    """Killed three times, each time when some more chunks were settled."""
    key = "{source: Id, target: Legacy_Id__c}"
    pair.target.options(bulk_queue_delay_s=0.2)
    name = pair.launch(PLAN % {"api": api, "key": key})
    for chunks in (1, 4, 9):
        worker = start(settings, name)
        wait_for(lambda n=chunks, w=worker: done(pair, name) >= n or w.poll() is not None, 120)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()

    worker = start(settings, name)
    said, story = worker.communicate(timeout=120)

    document = json.loads(said)
    assert worker.returncode == 0, story
    check_identity(document)
    assert line(document, "account")["inserted"] == 30
    assert line(document, "contact")["inserted"] == 60
    assert arrived(pair, "Account") == arrived_source(pair, "Account")
    assert arrived(pair, "Contact") == arrived_source(pair, "Contact")


def done(pair: Pair, name: str) -> int:
    with pair.bridge.session(pair.actor.workspace_id) as session:
        row = runs.run_named(session, name)
        return runs.chunks_done(session, row.id)


def arrived(pair: Pair, sobject: str) -> list[str]:
    return sorted(row["Legacy_Id__c"] for row in pair.target.rows(sobject))


def arrived_source(pair: Pair, sobject: str) -> list[str]:
    return sorted(row["Id"] for row in pair.source.rows(sobject))
