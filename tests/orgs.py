"""Practice orgs for tests: real processes on temporary homes, spoken to over HTTP only.

    def test_x(practice_org: PracticeOrgs) -> None:
        org = practice_org(seed="northwind-new")          # or schema="objects: …", or a path
        org.json("POST", "sobjects/Account", {"Name": "A"})
        assert org.rows("Account")[0]["Name"] == "A"

Every org is killed at the end. `org.kill()` and `org.start()` are there for tests of what survives.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import pytest
import urllib3

from orgsim.__main__ import main as orgsim
from tests.forks import CONTEXT

PROJECT = Path(__file__).resolve().parent.parent
#: The API version that helpers speak; other versions by their full path.
VERSION = "62.0"
READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 60.0
#: Bulk jobs take no pauses in tests unless a test asks for them.
_QUICK = {"bulk_queue_delay_s": 0, "bulk_batch_delay_s": 0}


class RefusedError(AssertionError):
    """An org answered with an error; the status and its JSON are attributes."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


@dataclass(slots=True)
class PracticeOrg:
    """One running org."""

    home: Path
    arguments: list[str]
    url: str = ""
    organization_id: str = ""
    access_token: str = ""
    process: BaseProcess | None = None
    #: ids that `rows` leaves out: what other tests made in a shared org
    ignored: set[str] = field(default_factory=set)
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def start(self) -> None:
        """Start the process and wait until it says that it is ready."""
        given = ["serve", "--home", str(self.home.absolute()), "--port", "0", *self.arguments]
        ready = self.home / "ready.json"
        ready.unlink(missing_ok=True)
        self.process = CONTEXT.Process(target=_serve, args=(given, self.home / "stderr.txt"))
        self.process.daemon = True
        self.process.start()
        wait_for(lambda: ready.exists() or self._died(), READY_WITHIN_S)
        said = json.loads(ready.read_text())
        self.url, self.organization_id = said["url"], said["organization_id"]
        self.access_token = said["access_token"]

    def kill(self) -> None:
        """End the process as a power cut would (SIGKILL)."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def stop(self) -> None:
        """End the process politely (SIGTERM)."""
        if self.process is not None:
            self.process.terminate()
            self.process.join(timeout=STOPPED_WITHIN_S)
            assert self.process.exitcode is not None, "the practice org does not stop"
            self.process = None

    def request(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> urllib3.BaseHTTPResponse:  # fmt: skip
        """Send one request; a path without a leading slash is below the API version."""
        full = path if path.startswith("/") else f"/services/data/v{VERSION}/{path}"
        sent = {"Authorization": f"Bearer {token or self.access_token}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        return self.http.request(method, self.url + full, body=body, headers=sent)

    def json(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send one request and return its JSON; an empty answer is None.

        Raises:
            RefusedError: The org answered with a status of 300 or more.
        """
        answer = self.request(method, path, body, headers=headers)
        said = json.loads(answer.data) if answer.data else None
        if answer.status >= 300:
            raise RefusedError(answer.status, said)
        return said

    def query(self, soql: str, *, all_rows: bool = False) -> list[dict[str, Any]]:
        """Return the records of a query, all pages, `attributes` taken off the top."""
        page = self.json("GET", f"{'queryAll' if all_rows else 'query'}?q={quote(soql)}")
        records = list(page["records"])
        while not page["done"]:
            page = self.json("GET", page["nextRecordsUrl"])
            records += page["records"]
        return [{k: v for k, v in record.items() if k != "attributes"} for record in records]

    def count(self, soql: str) -> int:
        """Return the number that a COUNT() query answers."""
        return int(self.json("GET", f"query?q={quote(soql)}")["totalSize"])

    def rows(self, sobject: str) -> list[dict[str, Any]]:
        """Return the stored rows of an sobject, deleted ones too: the oracle of tests."""
        found: list[dict[str, Any]] = self.json("GET", f"/_sim/rows/{sobject}")
        return [row for row in found if row["Id"] not in self.ignored]

    def begin_afresh(self, *sobjects: str) -> None:
        """Forget what is there: faults go, settings return, and `rows` shows later rows only."""
        self.clear_faults()
        self.options(**_QUICK, bulk_batch_rows=10_000, call_delay_s=0, bulk_job_delay_s=0)
        for sobject in sobjects:
            self.ignored |= {row["Id"] for row in self.rows(sobject)}

    def options(self, **options: Any) -> None:
        """Change settings of the running org."""
        self.json("POST", "/_sim/options", options)

    def plant(self, *faults: Mapping[str, Any]) -> None:
        """Plant faults (orgsim/faults/book.py says which there are)."""
        self.json("POST", "/_sim/faults", list(faults))

    def clear_faults(self) -> None:
        """Take all faults away."""
        self.json("DELETE", "/_sim/faults")

    def bulk(self, sobject: str, operation: str, csv: bytes, **more: Any) -> dict[str, Any]:
        """Carry one ingest job through to its end and return its JSON."""
        job = self.json("POST", "jobs/ingest", {"object": sobject, "operation": operation, **more})
        path = f"jobs/ingest/{job['id']}"
        self.request("PUT", f"{path}/batches", csv, headers={"Content-Type": "text/csv"})
        self.json("PATCH", path, {"state": "UploadComplete"})
        return self.finished(path)

    def finished(self, path: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for a bulk job's end and return its JSON."""
        last: dict[str, Any] = {}

        def ended() -> bool:
            last.update(self.json("GET", path))
            return last["state"] in {"JobComplete", "Failed", "Aborted"}

        wait_for(ended, timeout_s)
        return last

    def _died(self) -> bool:
        if self.process is not None and self.process.exitcode is not None:
            log = (self.home / "stderr.txt").read_text()[-4000:]
            raise AssertionError(f"the practice org ended with {self.process.exitcode}:\n{log}")
        return False


class PracticeOrgs(Protocol):
    """Makes practice orgs."""

    def __call__(
        self, *, name: str = "Test Org", schema: str | Path | None = None, seed: str | None = None,
        home: Path | None = None, arguments: tuple[str, ...] = (),
    ) -> PracticeOrg:  # fmt: skip
        """Start an org with a schema (YAML text, or the path of a file) or a shipped seed."""


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait until `condition` holds; fail when the deadline passes."""
    deadline = time.monotonic() + timeout_s
    for attempt in itertools.count():
        if condition():
            return
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(min(0.01 * 1.3**attempt, 0.2))  # the pace of the waiting, not of the test


def _serve(arguments: list[str], log: Path) -> None:
    """What ``python -m orgsim`` does, in a process that has imported it."""
    with Path(os.devnull).open("w") as nowhere, log.open("a") as said:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(said.fileno(), 2)
    warnings.simplefilter("default")
    orgsim(arguments)


def _schema_arguments(folder: Path, schema: str | Path | None, seed: str | None) -> list[str]:
    if seed is not None:
        return ["--seed", seed]
    if schema is None:
        return []
    path = schema if isinstance(schema, Path) else folder / "schema.yaml"
    if isinstance(schema, str):
        path.write_text(schema, encoding="utf-8")
    return ["--schema", str(path)]


def _factory(base: Path) -> tuple[PracticeOrgs, list[PracticeOrg]]:
    running: list[PracticeOrg] = []

    def make(
        *, name: str = "Test Org", schema: str | Path | None = None, seed: str | None = None,
        home: Path | None = None, arguments: tuple[str, ...] = (),
    ) -> PracticeOrg:  # fmt: skip
        folder = home or base / f"org{len(running)}"
        folder.mkdir(parents=True, exist_ok=True)
        wanted = _schema_arguments(folder, schema, seed)
        org = PracticeOrg(folder, ["--name", name, *wanted, *arguments])
        running.append(org)
        org.start()
        org.options(**_QUICK)
        return org

    return make, running


@pytest.fixture
def practice_org(tmp_path: Path) -> Iterator[PracticeOrgs]:
    """Makes practice orgs that end with the test."""
    make, running = _factory(tmp_path / "orgs")
    yield make
    for org in running:
        org.kill()


@pytest.fixture(scope="module")
def module_practice_org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeOrgs]:
    """Makes practice orgs that end with the module: for tests that only read, or keep apart."""
    make, running = _factory(tmp_path_factory.mktemp("orgs"))
    yield make
    for org in running:
        org.kill()
