"""How fast the practice org takes rows in and gives them out by Bulk API 2.0, over HTTP.

    python benchmarks/practice_org.py [rows]          default 100,000 rows of 10 columns

Target: 150,000 rows/s each way, so that the org is never what a benchmark of the product measures.
Times are wall times of a client on the same machine: upload, close, wait for JobComplete (in), and
create, wait, fetch all result pages (out).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

TARGET_ROWS_PER_S = 150_000
PROJECT = Path(__file__).resolve().parent.parent
SCHEMA = """
standard: [Account, Contact]
objects:
  Sample__c:
    label: Sample
    fields:
      Key__c: {type: text, length: 40, external_id: true, unique: true, case_sensitive: true}
      Text__c: {type: text, length: 80}
      Email__c: email
      Phone__c: phone
      Amount__c: {type: currency, precision: 16, scale: 2}
      Number__c: {type: number, precision: 10, scale: 0}
      Day__c: date
      Active__c: checkbox
      Stage__c: {type: picklist, values: [New, Open, Done], restricted: true}
"""
COLUMNS = ("Name", "Key__c", "Text__c", "Email__c", "Phone__c", "Amount__c", "Number__c", "Day__c",
           "Active__c", "Stage__c")  # fmt: skip


@contextmanager
def running_org() -> Iterator[dict[str, Any]]:
    """Yield what a started org says of itself; it ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "schema.yaml").write_text(SCHEMA)
        process = subprocess.Popen(
            [sys.executable, "-m", "orgsim", "serve", "--home", folder, "--schema",
             str(home / "schema.yaml")],
            cwd=PROJECT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait()


class Client:
    """The few calls of a bulk client."""

    def __init__(self, org: dict[str, Any]) -> None:
        self.base = f"{org['url']}/services/data/v62.0"
        self.root = org["url"]
        self.headers = {"Authorization": f"Bearer {org['access_token']}"}
        self.http = urllib3.PoolManager()

    def call(self, method: str, path: str, body: Any = None) -> urllib3.BaseHTTPResponse:
        """Send JSON, or bytes as they are."""
        url = self.root + path if path.startswith("/_sim") else self.base + path
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self.http.request(method, url, body=sent, headers=self.headers)
        assert answer.status < 300, (answer.status, answer.data[:500])
        return answer

    def wait(self, path: str) -> dict[str, Any]:
        """Poll a job until it ends."""
        while True:
            job: dict[str, Any] = self.call("GET", path).json()
            if job["state"] in {"JobComplete", "Failed", "Aborted"}:
                assert job["state"] == "JobComplete", job
                return job
            time.sleep(0.05)


def sample_csv(rows: int, first: int = 0) -> bytes:
    """Return rows of ten filled columns."""
    lines = [_sample_line(n) for n in range(first, first + rows)]
    return "\n".join([",".join(COLUMNS), *lines, ""]).encode()


def _sample_line(n: int) -> str:
    stage = ("New", "Open", "Done")[n % 3]
    cells = (
        f"Name {n}", f"K{n:09d}", f"Some text of row {n}", f"p{n}@sample.example", f"+47 {n:08d}",
        f"{n % 9999}.25", str(n % 1000), f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d}",
        "true" if n % 2 else "false", stage,
    )  # fmt: skip
    return ",".join(cells)


def ingest(client: Client, operation: str, csv: bytes, **more: str) -> float:
    """Carry one ingest job through; return its seconds."""
    began = time.perf_counter()
    job = client.call(
        "POST", "/jobs/ingest", {"object": "Sample__c", "operation": operation, **more}
    ).json()
    path = f"/jobs/ingest/{job['id']}"
    client.call("PUT", f"{path}/batches", csv)
    client.call("PATCH", path, {"state": "UploadComplete"})
    done = client.wait(path)
    seconds = time.perf_counter() - began
    assert done["numberRecordsFailed"] == 0, client.call("GET", f"{path}/failedResults").data[:500]
    return seconds


def extract(client: Client) -> tuple[int, float]:
    """Fetch all rows by one query job; return their number and the seconds."""
    began = time.perf_counter()
    soql = f"SELECT {', '.join(COLUMNS)} FROM Sample__c"
    job = client.call("POST", "/jobs/query", {"operation": "query", "query": soql}).json()
    path = f"/jobs/query/{job['id']}"
    client.wait(path)
    rows, locator = 0, ""
    while locator != "null":
        answer = client.call(
            "GET", f"{path}/results?maxRecords=50000{'&locator=' + locator if locator else ''}"
        )
        rows += int(answer.headers["Sforce-NumberOfRecords"])
        locator = answer.headers["Sforce-Locator"]
    return rows, time.perf_counter() - began


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far; 0 where /proc is not there."""
    try:
        cells = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print rows per second each way, and the processor seconds that the org spent on them."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with running_org() as org:
        client = Client(org)
        client.call("POST", "/_sim/options", {"bulk_queue_delay_s": 0, "bulk_batch_delay_s": 0})
        ingest(client, "insert", sample_csv(1_000, first=10_000_000))  # warm
        csv = sample_csv(rows)
        key = {"externalIdFieldName": "Key__c"}
        report("insert", org["pid"], lambda: (rows, ingest(client, "insert", csv)))
        report(
            "upsert, all updates", org["pid"], lambda: (rows, ingest(client, "upsert", csv, **key))
        )
        report("query", org["pid"], lambda: extract(client))


def report(what: str, pid: int, work: Callable[[], tuple[int, float]]) -> None:
    """Do some work and print one line about it."""
    before = cpu_seconds(pid)
    rows, seconds = work()
    cpu = cpu_seconds(pid) - before
    verdict = "ok" if rows / seconds >= TARGET_ROWS_PER_S else f"below {TARGET_ROWS_PER_S:,}"
    print(f"{what:20} {rows:>9,} rows x {len(COLUMNS)}  {seconds:6.2f} s  cpu {cpu:5.2f} s "
          f" {rows / seconds:>9,.0f} rows/s  {verdict}")  # fmt: skip


if __name__ == "__main__":
    main()
