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
from core.domain.states import FINISHED_RUNS, RunState
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


def environ_of(settings: Settings) -> dict[str, str]:
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("ORGBRIDGE")},
        "DATABASE_URL": settings.database_url or "",
        "ORGBRIDGE_HOME": str(settings.home),
        "ORGBRIDGE_KEY": settings.key.reveal() if settings.key else "",
    }


def start(settings: Settings, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "cli.py", "runs", "resume", name, "--json"]
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env=environ_of(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_killed_terminal_is_taken_over_by_a_worker_that_is_open(
    pair: Pair, settings: Settings
) -> None:
    """The terminal's run has no job: the worker's janitor finds that nobody carries it."""
    pair.target.options(bulk_queue_delay_s=0.2)
    name = pair.launch(PLAN % {"api": "bulk", "key": "{source: Id, target: Legacy_Id__c}"})
    terminal = start(settings, name)
    wait_for(lambda: done(pair, name) >= 2 or terminal.poll() is not None, 120)
    terminal.send_signal(signal.SIGKILL)
    terminal.communicate()
    assert pair.row(name).status is RunState.RUNNING
    worker = subprocess.Popen(
        [sys.executable, "cli.py", "worker"],
        cwd=PROJECT,
        env=environ_of(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: pair.row(name).status in FINISHED_RUNS, 120)
    finally:
        worker.terminate()
        worker.wait(60)

    assert pair.row(name).status is RunState.SUCCEEDED
    check_identity(pair.document(name))
    assert arrived(pair, "Account") == arrived_source(pair, "Account")
    assert arrived(pair, "Contact") == arrived_source(pair, "Contact")


def test_an_interrupted_terminal_leaves_its_run_paused(pair: Pair, settings: Settings) -> None:
    """Ctrl-C is a person's wish: no worker goes on by itself."""
    pair.target.options(bulk_queue_delay_s=0.2)
    name = pair.launch(PLAN % {"api": "bulk", "key": "{source: Id, target: Legacy_Id__c}"})
    terminal = start(settings, name)
    wait_for(lambda: done(pair, name) >= 1 or terminal.poll() is not None, 120)
    terminal.send_signal(signal.SIGINT)
    terminal.communicate(timeout=120)

    assert terminal.returncode == 130
    assert pair.row(name).status is RunState.PAUSED
    check_identity(pair.document(name))
    assert pair.carry(name) is RunState.SUCCEEDED
    check_identity(pair.document(name))
    assert arrived(pair, "Contact") == arrived_source(pair, "Contact")


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
