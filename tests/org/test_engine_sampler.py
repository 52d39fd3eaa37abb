"""Faults, sampled: whatever breaks at whatever moment, the run ends right, judged row by row.

A case is made from a number. `ENGINE_CASES=300 ENGINE_SEED=7 pytest
tests/org/test_engine_sampler.py` runs as many as asked; by default a minute's worth. A failure
prints the number that makes it again.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import runs
from core.domain.states import RunState
from core.errors import ConflictError, OrgbridgeError
from tests.org.engine import SCHEMA, Pair, check_identity, connect, line
from tests.org.engine_worker import start_worker
from tests.org.oracle import judge_keyed, judge_keyless, live
from tests.orgs import PracticeOrg, PracticeOrgs, wait_for

log = logging.getLogger(__name__)
CASES = int(os.environ.get("ENGINE_CASES", "0"))
SEED = int(os.environ.get("ENGINE_SEED", "20261121"))
#: how long the suite samples when no number of cases is asked for
BOX_S = float(os.environ.get("ENGINE_BOX_S", "45"))
OPERATIONS = ("upsert", "insert", "update", "delete", "keyless")

JOBS, BATCHES, RESULTS = "/jobs/ingest$", "/batches$", "Results$"
#: where a request is struck, and how
PLACES = {
    "bulk": (JOBS, BATCHES, r"/jobs/ingest/\w+$", RESULTS, "/query", "/composite/"),
    "collections": ("/composite/sobjects", "/query"),
}
WAYS: tuple[dict[str, Any], ...] = (
    {"drop": "before"},
    {"drop": "after"},
    {"preset": "unavailable"},
    {"preset": "unknown"},
    {"preset": "concurrent_limit"},
    {"preset": "session"},
    {"truncate": True},
)


@dataclass(frozen=True)
class Case:
    """One sampled run."""

    number: int
    operation: str
    api: str
    batch: int
    accounts: int
    contacts: int
    faults: tuple[dict[str, Any], ...] = ()
    #: how the worker ends before its time: kill | stop | None, after so many settled chunks
    violence: str | None = None
    after: int = 0
    refused: int = field(default=0)


def case(number: int) -> Case:
    """The case of a number."""
    dice = random.Random(number)  # cases, not secrets
    operation = dice.choice(OPERATIONS)
    api = "bulk" if operation == "keyless" else dice.choice(("bulk", "collections"))
    kind = dice.choices(("http", "row", "bulk", "kill", "stop"), (10, 3, 3, 5, 0.3))[0]
    faults: list[dict[str, Any]] = []
    if kind == "http":
        for _ in range(dice.choice((1, 1, 2))):
            faults.append(
                {
                    "kind": "http",
                    "path": dice.choice(PLACES[api]),
                    "after": dice.randrange(6),
                    **dice.choice(WAYS),
                }
            )
    elif kind == "row":
        preset = dice.choice(("lock", "cpu"))
        faults.append({"kind": "row", "preset": preset, "times": dice.randrange(1, 12)})
    elif kind == "bulk" and api == "bulk":
        message = dice.choice(("InternalServerError : sorry", "TooManyLockFailure : 101"))
        faults.append(
            {"kind": "bulk", "error_message": message, "after_rows": dice.choice((0, 2, 5))}
        )
    return Case(
        number=number,
        operation=operation,
        api=api,
        batch=dice.choice((3, 7, 20)),
        accounts=dice.randrange(3, 14),
        contacts=dice.randrange(4, 26),
        faults=tuple(faults),
        violence=kind if kind in ("kill", "stop") else None,
        after=dice.randrange(5),
        refused=dice.choice((0, 0, 2)),
    )


def plan(case: Case) -> str:
    """The plan of a case."""
    operation = "insert" if case.operation == "keyless" else case.operation
    key = "ledger" if case.operation == "keyless" else "{source: Id, target: Legacy_Id__c}"
    load = f"{{api: {case.api}, batch: {case.batch}}}"
    only = "Account" if case.operation == "keyless" else ""
    objects = "".join(
        f"  - source: {name}\n    operation: {operation}\n    key: {key}\n    load: {load}\n"
        + ("    skip: [Legacy_Id__c]\n" if case.operation == "keyless" else "")
        for name in ("Account", "Contact")
        if only in ("", name)
    )
    return f"orgbridge: 1\nname: case\nsource: legacy\ntarget: new\nobjects:\n{objects}"


@pytest.fixture(scope="module")
def orgs(module_practice_org: PracticeOrgs) -> tuple[PracticeOrg, PracticeOrg]:
    """Two orgs, emptied for every case."""
    return (
        module_practice_org(name="Legacy", schema=SCHEMA),
        module_practice_org(name="New", schema=SCHEMA),
    )


@pytest.fixture
def pair(bridge: Orgbridge, orgs: tuple[PracticeOrg, PracticeOrg]) -> Iterator[Pair]:
    """The two orgs, connected."""
    for org in orgs:
        org.clear_faults()
    yield connect(bridge, *orgs)
    for org in orgs:
        org.clear_faults()


@pytest.mark.timeout(3600)
def test_sampled_faults_leave_every_row_right(pair: Pair, settings: Settings) -> None:
    numbers = random.Random(SEED)
    ends = time.monotonic() + BOX_S
    ran = 0
    while ran < CASES or (not CASES and time.monotonic() < ends):
        sampled = case(numbers.randrange(1_000_000_000))
        began = time.monotonic()
        try:
            wrong = tried(pair, settings, sampled)
        except Exception as error:
            raise AssertionError(f"case {sampled.number}: {sampled}") from error
        assert not wrong, f"case {sampled.number}: {sampled}\n" + "\n".join(wrong[:20])
        ran += 1
        log.info("case %s took %.1f s: %s", sampled.number, time.monotonic() - began, sampled)
    assert ran > 0


def tried(pair: Pair, settings: Settings, sampled: Case) -> list[str]:
    """Carries a case to its end; what is wrong afterwards."""
    dice = random.Random(sampled.number)
    clean(pair)
    fill(pair.source, sampled, dice)
    if sampled.operation in ("update", "delete"):
        seed_target(pair)
    name = pair.launch(plan(sampled), confirm="new", reason="a sampled case")
    pair.target.plant(*sampled.faults)
    state = carried(pair, settings, name, sampled)
    pair.target.clear_faults()
    return judged(pair, name, sampled, state)


def carried(pair: Pair, settings: Settings, name: str, sampled: Case) -> RunState | None:
    """Carries, breaks, resumes until the run is over."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        run_id = runs.run_named(session, name).id
    if sampled.violence:
        worker = start_worker(settings, pair.actor.workspace_id, run_id)
        wait_for(lambda: chunks(pair, run_id) >= sampled.after or not worker.is_alive())
        pid = worker.pid or 0
        if worker.is_alive():
            os.kill(pid, signal.SIGKILL if sampled.violence == "kill" else signal.SIGSTOP)
        if sampled.violence == "kill":
            worker.join()
    try:
        return _to_the_end(pair, name)
    finally:
        if sampled.violence == "stop" and worker.is_alive():
            os.kill(pid, signal.SIGCONT)
            worker.join(30)


def _to_the_end(pair: Pair, name: str) -> RunState | None:
    state = None
    ends = time.monotonic() + 60
    for attempt in range(200):
        try:
            state = pair.carry(name)
        except ConflictError:  # the stopped worker's lease has to run out
            assert time.monotonic() < ends
            time.sleep(0.25)
            continue
        except OrgbridgeError:
            if attempt >= 3:
                pair.target.clear_faults()
            assert attempt < 8, f"it never ends: {pair.failures(name)[:3]}"
            continue
        if state in (RunState.SUCCEEDED, RunState.PARTIAL):
            return state
        if state is RunState.PAUSED:
            pair.target.clear_faults()
    return state


def chunks(pair: Pair, run_id: Any) -> int:
    with pair.bridge.session(pair.actor.workspace_id) as session:
        return runs.chunks_done(session, run_id)


def judged(pair: Pair, name: str, sampled: Case, state: RunState | None) -> list[str]:
    """By the oracle, then the run's own figures against what the oracle counts."""
    document = pair.document(name)
    check_identity(document)
    wrong: list[str] = []
    if state not in (RunState.SUCCEEDED, RunState.PARTIAL):
        wrong.append(f"ended as {state}: {pair.failures(name)[:3]}")
    if sampled.operation == "delete":
        left = sum(len(live(pair.target, sobject)) for sobject in ("Account", "Contact"))
        return wrong + ([f"{left} rows left"] if left else [])
    if sampled.operation == "keyless":
        wrong += judge_keyless(pair.source, pair.target, "Account")
        arrived = len(live(pair.target, "Account"))
        counted = line(document, "account")["inserted"]
        return wrong + ([f"says {counted}, are {arrived}"] if counted != arrived else [])
    wrong += judge_keyed(pair.source, pair.target)
    for sobject, mapping in (("Account", "account"), ("Contact", "contact")):
        figures = line(document, mapping)
        done = figures["updated"] if sampled.operation == "update" else figures["inserted"]
        done += figures["unchanged"]
        there = len(live(pair.target, sobject))
        if done != there:
            wrong.append(f"{mapping}: says {done}, are {there}: {figures}")
    return wrong


def clean(pair: Pair) -> None:
    for org in (pair.source, pair.target):
        org.clear_faults()
        signed_in(org)
        ids = [row["Id"] for name in ("Contact", "Account") for row in live(org, name)]
        if ids:
            org.json("POST", "/_sim/edit", {"delete": ids})


def signed_in(org: PracticeOrg) -> None:
    """A session of the test's own: a case may have ended all of them."""
    said = json.loads((org.home / "ready.json").read_text())
    body = (
        f"grant_type=client_credentials&client_id={said['client_id']}"
        f"&client_secret={said['client_secret']}"
    )
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = org.http.request("POST", f"{org.url}/services/oauth2/token", body=body, headers=head)
    org.access_token = json.loads(answer.data)["access_token"]


def fill(org: PracticeOrg, sampled: Case, dice: random.Random) -> None:
    """Accounts in generations, contacts that report to one another, some in circles."""
    texts = ('"q"', "a,b", "line\nline", "ünï 😀", "  x", "0012", "שלום", "x" * 300)
    tag = f"{sampled.number}"
    accounts = create(
        org,
        "Account",
        [
            {
                "Name": f"A {tag} {n % 5 if sampled.operation == 'keyless' else n}",
                "Phone": dice.choice((None, "+1 (2)")),
                "Description": dice.choice((None, *texts))
                if sampled.operation != "keyless"
                else "t",
            }
            for n in range(sampled.accounts)
        ],
    )
    change(
        org,
        "Account",
        [
            {"Id": accounts[n], "ParentId": accounts[dice.randrange(n)]}
            for n in range(1, len(accounts))
            if dice.random() < 0.5 and sampled.operation != "keyless"
        ],
    )
    people = create(
        org,
        "Contact",
        [
            {
                "LastName": f"C {tag} {n}",
                "FirstName": dice.choice((None, "Ann", "李")),
                "Email": f"p{n}@example.com",
                "Title": dice.choice((None, "a;b", "#NA")),
                "AccountId": dice.choice((None, *accounts)),
            }
            for n in range(sampled.contacts)
        ],
    )
    change(
        org,
        "Contact",
        [
            {"Id": person, "ReportsToId": dice.choice([p for p in people if p != person])}
            for person in people
            if dice.random() < 0.4
        ],
    )


def seed_target(pair: Pair) -> None:
    """Rows with the keys of the source's, and other values."""
    for sobject, name in (("Account", "Name"), ("Contact", "LastName")):
        create(
            pair.target,
            sobject,
            [{name: "old", "Legacy_Id__c": row["Id"]} for row in live(pair.source, sobject)],
        )


def create(org: PracticeOrg, sobject: str, rows: list[dict[str, Any]]) -> list[str]:
    records = [{"attributes": {"type": sobject}, **row} for row in rows]
    said = org.json("POST", "composite/sobjects", {"records": records})
    assert all(row["success"] for row in said), said
    return [row["id"] for row in said]


def change(org: PracticeOrg, sobject: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        records = [{"attributes": {"type": sobject}, **row} for row in rows]
        said = org.json("PATCH", "composite/sobjects", {"records": records})
        assert all(row["success"] for row in said), said
