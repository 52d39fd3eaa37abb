"""Workers of several machines: own processes, own home folders, one database, one spool."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings, child_environ
from core.db import runs
from core.domain.states import FINISHED_RUNS, RunState
from core.errors import ConflictError
from core.operations import migrate_data
from core.secret import Secret
from core.services import launching
from core.services import orgs as services
from core.services.connecting import ConnectRequest
from core.services.launching import LaunchRequest
from tests.org.engine import SCHEMA, Pair, check_identity, connect, line
from tests.org.pairs import by_key
from tests.org.test_engine_skeleton import fill
from tests.orgs import PROJECT, PracticeOrg, PracticeOrgs, wait_for
from tests.s3server import ACCESS_KEY, SECRET_KEY, Line, S3Server

PLAN = """
orgbridge: 1
name: %(name)s
source: legacy
target: %(target)s
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    load: {api: bulk, batch: 7}
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
    load: {api: bulk, batch: 7}
"""
ACCOUNTS, CONTACTS = 20, 40
#: several processes start one after another: on a crowded machine each takes its time
pytestmark = pytest.mark.timeout(900)
DEADLINE_S = 240.0


@dataclass(slots=True)
class Team:
    """Worker processes, each as if on a machine of its own."""

    settings: Settings
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def worker(self, *arguments: str, **other: str) -> subprocess.Popen[bytes]:
        """Starts one and waits until it is at work."""
        home = self.folder / f"machine{len(self.started)}"
        environ = child_environ(replace(self.settings, home=home)) | other
        home.mkdir()
        with (home / "said.txt").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "cli.py", "worker", *arguments],
                cwd=PROJECT, env=environ, stdout=said, stderr=said,
            )  # fmt: skip
        self.started.append(process)
        wait_for(lambda: "worker is ready" in self.story(process), DEADLINE_S)
        return process

    def story(self, process: subprocess.Popen[bytes]) -> str:
        """What a worker logged."""
        home = self.folder / f"machine{self.started.index(process)}"
        files = [home / "said.txt", *(home / "logs").glob("*")]
        return "\n".join(each.read_text() for each in files if each.is_file())


@pytest.fixture(scope="module")
def orgs(module_practice_org: PracticeOrgs) -> dict[str, PracticeOrg]:
    """A source and two targets."""
    made = {
        name: module_practice_org(name=name, schema=SCHEMA) for name in ("legacy", "new", "two")
    }
    fill(made["legacy"], accounts=ACCOUNTS, contacts=CONTACTS)
    return made


def begin(bridge: Orgbridge, orgs: dict[str, PracticeOrg]) -> Pair:
    """Empty targets whose bulk jobs wait a moment, so that there is something to stop in."""
    for org in (orgs["new"], orgs["two"]):
        org.clear_faults()
        for name in ("Contact", "Account"):
            ids = [row["Id"] for row in org.rows(name) if not row["IsDeleted"]]
            org.json("POST", "/_sim/edit", {"delete": ids})
        org.options(bulk_queue_delay_s=0.5)
    pair = connect(bridge, orgs["legacy"], orgs["new"])
    second = connect_also(bridge, pair, orgs["two"])
    assert second == "two"
    return pair


def connect_also(bridge: Orgbridge, pair: Pair, org: PracticeOrg) -> str:
    """Registers a second target."""
    said = json.loads((org.home / "ready.json").read_text())
    request = ConnectRequest(
        name="two", kind="client_credentials", instance_url=org.url,
        client_id=said["client_id"], client_secret=Secret(said["client_secret"]),
    )  # fmt: skip
    services.connect(bridge, pair.actor, request)
    return request.name


@pytest.fixture
def shared(settings: Settings, s3: S3Server) -> Settings:
    """Settings whose spool every machine reaches over the network."""
    return replace(settings, spool_url=s3.bucket())


@contextmanager
def ended_workers(team: Team) -> Iterator[Team]:
    """Ends what a team started."""
    yield team
    for process in team.started:
        process.kill()
        process.wait()


@pytest.fixture
def team(shared: Settings, tmp_path: Path) -> Iterator[Team]:
    """No worker yet."""
    with ended_workers(Team(shared, tmp_path)) as made:
        yield made


@pytest.fixture
def pair(shared: Settings, orgs: dict[str, PracticeOrg]) -> Iterator[Pair]:
    """The orgs, as a machine without a worker sees them."""
    with bootstrap.build(shared) as bridge:
        yield begin(bridge, orgs)


def queued(pair: Pair, name: str, target: str = "new") -> str:
    """Launches a plan for whichever worker takes it; the run's name."""
    plan_id = pair.import_plan(PLAN % {"name": name, "target": target})
    return launching.launch(pair.bridge, pair.actor, plan_id, LaunchRequest())


def token(pair: Pair, name: str) -> int:
    """How often the run was taken up."""
    with pair.bridge.owner_session() as session:
        found = session.scalar(
            text("SELECT lease_token FROM data_migration WHERE data_schedule_id = :n"), {"n": name}
        )
    return int(found or 0)


def done(pair: Pair, name: str) -> int:
    """Chunks that are settled."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        return runs.chunks_done(session, pair.row(name).id)


def ended(pair: Pair, *names: str) -> None:
    """Waits until runs are over."""
    wait_for(lambda: all(pair.row(name).status in FINISHED_RUNS for name in names), DEADLINE_S)


def test_a_run_of_a_lost_machine_is_ended_by_another_and_undone_by_a_third(
    pair: Pair, team: Team, s3: S3Server
) -> None:
    """Rows, before-images and undo, though no home folder is shared and the first one is gone.

    What a machine keeps for itself is its log; the store holds sealed pages alone.
    """
    old = {row["Id"]: f"old {n}" for n, row in enumerate(pair.source.rows("Account")[:10])}
    records = [
        {"attributes": {"type": "Account"}, "Legacy_Id__c": key, "Name": name}
        for key, name in old.items()
    ]
    pair.target.json("POST", "composite/sobjects", {"records": records})
    first = team.worker()
    name = queued(pair, "over")
    wait_for(lambda: done(pair, name) >= 2, DEADLINE_S)
    second = team.worker()

    first.kill()
    killed, before = time.monotonic(), token(pair, name)
    assert pair.row(name).status is RunState.RUNNING
    wait_for(lambda: token(pair, name) > before, DEADLINE_S)
    took_s = time.monotonic() - killed
    ended(pair, name)

    document = pair.document(name)
    assert pair.row(name).status is RunState.SUCCEEDED
    check_identity(document)
    told = line(document, "account")
    assert (told["updated"], told["inserted"]) == (10, ACCOUNTS - 10)
    assert by_key(pair.target, "Contact").keys() == {r["Id"] for r in pair.source.rows("Contact")}
    assert took_s <= 30

    second.kill()
    undo = launching.undo(pair.bridge, pair.actor, name)
    # the third machine is this process, whose home is another one too
    migrate_data.carry(pair.bridge, pair.actor.workspace_id, pair.row(undo).id)
    assert pair.row(undo).status is RunState.SUCCEEDED
    assert {k: r["Name"] for k, r in by_key(pair.target, "Account").items()} == old
    assert by_key(pair.target, "Contact") == {}
    check_sealed(pair, team, s3)


def check_sealed(pair: Pair, team: Team, s3: S3Server) -> None:
    """No page and no credential at home; nothing readable in the store, nothing after deletion."""
    url = team.settings.spool_url or ""
    kept = [path for path in team.folder.glob("machine*/**/*") if path.is_file()]
    told = b"".join(path.read_bytes() for path in kept)
    pages = [key for key in s3.keys(url) if key.endswith(".page")]
    for key in pages:
        pair.bridge.spool.delete_run(UUID(key.split("/")[1]))

    assert pages
    assert {path.name for path in kept} == {"said.txt", "worker.log"}
    assert ACCESS_KEY.encode() not in told and SECRET_KEY.encode() not in told
    assert not [key for key in s3.keys(url) if key.endswith(".page")]


def test_two_targets_are_loaded_at_once_by_two_workers_and_one_target_by_one_run(
    settings: Settings, orgs: dict[str, PracticeOrg], tmp_path: Path
) -> None:
    """With a folder that both reach; each carries one job at a time."""
    shared = replace(settings, spool_url=str(tmp_path / "shared"))
    with bootstrap.build(shared) as bridge, ended_workers(Team(shared, tmp_path)) as team:
        check_two_targets(begin(bridge, orgs), team)


def check_two_targets(pair: Pair, team: Team) -> None:
    """Runs a and c write to one org, b to another."""
    workers = [team.worker("--jobs", "1"), team.worker("--jobs", "1")]
    names = [queued(pair, "a"), queued(pair, "b", target="two"), queued(pair, "c")]
    ended(pair, *names)
    rows = [pair.row(name) for name in names]
    carriers = {
        name: [w for w in workers if name_of(pair, name) in team.story(w)] for name in names
    }

    assert {row.status for row in rows} == {RunState.SUCCEEDED}
    first, other, last = sorted(rows, key=lambda row: row.started_at or row.created_at)
    assert first.target_org_id != other.target_org_id
    assert other.started_at < first.finished_at  # type: ignore[operator]
    same = next(row for row in (first, other) if row.target_org_id == last.target_org_id)
    assert last.started_at >= same.finished_at  # type: ignore[operator]
    assert carriers[first.name] != carriers[other.name]
    assert all(len(each) == 1 for each in carriers.values())


def name_of(pair: Pair, name: str) -> str:
    """What logs call the run."""
    return str(pair.row(name).id)


def test_a_machine_with_another_spool_leaves_the_run_to_those_that_have_its_pages(
    pair: Pair, tmp_path: Path
) -> None:
    name = pair.launch(PLAN % {"name": "elsewhere", "target": "new"})
    run_id, workspace = pair.row(name).id, pair.actor.workspace_id
    asked: list[int] = []
    migrate_data.carry(
        pair.bridge, workspace, run_id, stop=lambda: bool(asked.append(1)) or done(pair, name) >= 2
    )
    assert pair.row(name).status is RunState.RUNNING
    stray = replace(pair.bridge.settings, spool_url=str(tmp_path / "other"))

    with (
        bootstrap.build(stray) as elsewhere,
        pytest.raises(ConflictError, match="not in this worker's spool"),
    ):
        migrate_data.carry(elsewhere, workspace, run_id)
    waiting = pair.row(name)
    migrate_data.carry(pair.bridge, workspace, run_id)

    assert "ORGBRIDGE_SPOOL_URL" in (waiting.wait_reason or "")
    assert pair.row(name).status is RunState.SUCCEEDED
    assert by_key(pair.target, "Contact").keys() == {r["Id"] for r in pair.source.rows("Contact")}


def test_a_run_goes_on_by_itself_when_a_lost_store_is_back(
    settings: Settings, orgs: dict[str, PracticeOrg], s3_line: Line, tmp_path: Path
) -> None:
    """Nothing lost, nothing twice; while it is away the run says why it stands."""
    shared = replace(settings, spool_url=s3_line.bucket())
    with bootstrap.build(shared) as bridge, ended_workers(Team(shared, tmp_path)) as team:
        pair = begin(bridge, orgs)
        team.worker()
        name = queued(pair, "cut")
        wait_for(lambda: done(pair, name) >= 2, DEADLINE_S)
        s3_line.cut()
        wait_for(lambda: "does not answer" in (pair.row(name).wait_reason or ""), DEADLINE_S)
        standing = pair.row(name).status
        s3_line.mend()
        wait_for(lambda: pair.row(name).status is RunState.SUCCEEDED, DEADLINE_S)
        document = pair.document(name)

    assert standing is RunState.FAILED
    check_identity(document)
    assert line(document, "contact")["inserted"] == CONTACTS
    assert len(by_key(orgs["new"], "Contact")) == CONTACTS
