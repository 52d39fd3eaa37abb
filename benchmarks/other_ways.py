"""Moves the rows of a pair without us: by simple-salesforce, or as bytes and nothing more (floor).

    python benchmarks/other_ways.py WAY SOURCE TARGET PLAN        WAY: simple_salesforce | floor

Both reach the lookups by the code of the parent (``Account.Code__c``), which costs no map of ids,
and keep no memory of what they did: they are what a script of twenty lines does.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

POLL_S = 0.2
#: rows of one page down and of one job up, as ours
PAGE_ROWS = 20_000
VERSION = "62.0"


def selected(fields: list[str], lookups: list[str]) -> list[str]:
    """Columns to read: the fields, and the codes of the parents."""
    return [*fields, *(f"{name.removesuffix('Id')}.Code__c" for name in lookups)]


def simple_salesforce(source: Any, target: Any, plan: dict[str, Any]) -> None:
    """bulk2: query to strings, upsert of the same strings; roots first, for parents must exist."""
    here, there = _salesforce(source), _salesforce(target)
    for sobject, (fields, lookups) in plan.items():
        own = lookups[-1]
        names = selected(fields, lookups)
        for where in (f"{own} = null", f"{own} != null"):
            soql = f"SELECT {', '.join(names)} FROM {sobject} WHERE {where}"
            for page in getattr(here.bulk2, sobject).query(soql, max_records=PAGE_ROWS):
                with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
                    file.write(_filled(page))
                    file.flush()
                    for said in getattr(there.bulk2, sobject).upsert(
                        csv_file=file.name, external_id_field="Code__c", batch_size=PAGE_ROWS
                    ):
                        assert said["numberRecordsFailed"] == 0, said


def _filled(page: str) -> str:
    """A page without the columns of lookups that are blank throughout."""
    rows = list(csv.reader(io.StringIO(page)))
    kept = [n for n in range(len(rows[0])) if any(row[n] for row in rows[1:])]
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows([row[n] for n in kept] for row in rows)
    return sink.getvalue()


def _salesforce(org: dict[str, str]) -> Any:
    import requests
    from requests.adapters import HTTPAdapter
    from simple_salesforce import Salesforce

    class Plain(HTTPAdapter):
        """http where the client insists on https, on this machine only."""

        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            request.url = request.url.replace("https://127.0.0.1", "http://127.0.0.1", 1)
            return super().send(request, *args, **kwargs)

    session = requests.Session()
    session.mount("https://127.0.0.1", Plain())
    host = org["url"].removeprefix("http://")
    return Salesforce(instance=host, session_id=org["token"], session=session, version=VERSION)


def floor(source: Any, target: Any, plan: dict[str, Any]) -> None:
    """Bytes of result pages go up as they came down; the org's answers are read and thrown away."""
    here, there = _Line(source), _Line(target)
    for sobject, (fields, lookups) in plan.items():
        names = selected(fields, lookups)
        own = names[-1]
        for kept, where in ((names[:-1], "= null"), (names, "!= null")):
            soql = f"SELECT {', '.join(kept)} FROM {sobject} WHERE {lookups[-1]} {where}"
            assert own == names[-1]
            for body in _pages(here, soql):
                _load(there, sobject, body)


def _pages(line: _Line, soql: str) -> Iterator[bytes]:
    job = line.call("POST", "jobs/query", {"operation": "query", "query": soql})
    line.wait(f"jobs/query/{job['id']}")
    locator = ""
    while locator != "null":
        more = f"&locator={locator}" if locator else ""
        path = f"jobs/query/{job['id']}/results?maxRecords={PAGE_ROWS}{more}"
        answer = line.http.request("GET", line.base + path, headers=line.headers)
        yield answer.data
        locator = answer.headers["Sforce-Locator"]


def _load(line: _Line, sobject: str, body: bytes) -> None:
    spec = {"object": sobject, "operation": "upsert", "externalIdFieldName": "Code__c"}
    path = f"jobs/ingest/{line.call('POST', 'jobs/ingest', spec)['id']}"
    line.http.request("PUT", f"{line.base}{path}/batches", body=body, headers=line.headers)
    line.call("PATCH", path, {"state": "UploadComplete"})
    line.wait(path)
    answer = line.http.request(
        "GET", f"{line.base}{path}/successfulResults", headers=line.headers, preload_content=False
    )
    for _ in answer.stream(1 << 20):
        pass
    answer.release_conn()


class _Line:
    """The few calls of a bulk client."""

    def __init__(self, org: dict[str, str]) -> None:
        import urllib3

        self.http = urllib3.PoolManager(blocksize=1 << 20)
        self.base = f"{org['url']}/services/data/v{VERSION}/"
        self.headers = {"Authorization": f"Bearer {org['token']}"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """JSON there and back."""
        sent = None if body is None else json.dumps(body).encode()
        answer = self.http.request(method, self.base + path, body=sent, headers=self.headers)
        assert answer.status < 300, answer.data[:500]
        return answer.json() if answer.data else None

    def wait(self, path: str) -> None:
        """Polls a job until it ends."""
        while True:
            job = self.call("GET", path)
            if job["state"] in ("JobComplete", "Failed", "Aborted"):
                assert job["state"] == "JobComplete" and not job.get("numberRecordsFailed"), job
                return
            time.sleep(POLL_S)


def main(arguments: list[str]) -> None:
    """One way, one pair; or only the version of what carries it."""
    way = arguments[0]
    if arguments[1] == "--version":
        import importlib.metadata

        name = "simple-salesforce" if way == "simple_salesforce" else "urllib3"
        print(importlib.metadata.version(name))
        return
    source, target, plan = (json.loads(one) for one in arguments[1:])
    {"simple_salesforce": simple_salesforce, "floor": floor}[way](source, target, plan)


if __name__ == "__main__":
    main(sys.argv[1:])
