"""How much of the waiting for two distant orgs is unavoidable, and how much a run makes of it.

    python -m benchmarks.latency [ROWS an object] [--verify] [--timeline]    default 60,000

Both practice orgs let every call wait 120 ms and every bulk job 3 to 20 s, and list what was waited
(``/_sim/delays``); a job waits for nothing beside (a queue or a batch takes no time of its own,
which no list would have). From that list alone the critical path is computed: each read and each
load begins as soon as what it needs is over, jobs take the org's places (four at once) in the order
in which they are ready, those that are ready together in that of the run; work takes no time.

    opening calls ─▶ read of every object ─▶ load of an object: generation by generation, after its
    parents ─▶ with --verify the reading back of every object ─▶ closing calls

Opening and closing calls count as long as at least one of them was waited for. The wall time of
``cli.py run``, process start and database included, is compared with the path: target 1.1. What was
worked is printed beside it: it is done by the same cores as the orgs' own work, and no path has it.
With --timeline every job is listed: when it was asked for, began, ended, and its results were read.
"""

from __future__ import annotations

import heapq
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.org_pair import HOME, OrgUnderTest, serving, upsert
from benchmarks.rivals import registered

TARGET = 1.1
CALL_S, JOB_S = 0.12, [3, 20]
FAR_AWAY = {
    "call_delay_s": CALL_S,
    "bulk_job_delay_s": JOB_S,
    "bulk_queue_delay_s": 0,
    "bulk_batch_delay_s": 0,
}
#: bulk jobs that a practice org carries out at once (`orgsim.bulk.worker`)
PLACES = 4
#: calls between the wish for a job and its place in the queue: create, upload, close
BEFORE_JOB = 3
#: and after its end: one look, one page of results
AFTER_JOB = 2
#: object → lookups by field, those to the object itself last; parents come before children
OBJECTS: dict[str, dict[str, str]] = {
    "Account": {"ParentId": "Account"},
    "Product__c": {},
    "Campaign__c": {},
    "Contact": {"AccountId": "Account"},
    "Order__c": {"Account__c": "Account", "Product__c": "Product__c"},
    "Response__c": {"Campaign__c": "Campaign__c"},
}
_CUSTOM = "{label: %s, fields: {Code__c: *code, Note__c: *note%s}}"
SCHEMA = f"""
standard: [Account, Contact]
objects:
  Account:
    keep: [Name, Phone, ParentId, OwnerId]
    fields:
      Code__c: &code
        {{type: text, length: 20, external_id: true, unique: true, case_sensitive: true}}
      Note__c: &note {{type: text, length: 255}}
  Contact:
    keep: [Name, LastName, Phone, AccountId, OwnerId]
    fields: {{Code__c: *code, Note__c: *note}}
  Product__c: {_CUSTOM % ("Product", "")}
  Campaign__c: {_CUSTOM % ("Campaign", "")}
  Order__c: {
    _CUSTOM
    % (
        "Order",
        ", Account__c: {type: lookup, to: Account}, Product__c: {type: lookup, to: Product__c}",
    )
}
  Response__c: {_CUSTOM % ("Response", ", Campaign__c: {type: lookup, to: Campaign__c}")}
"""
_JOB = re.compile(r"/jobs/(?:ingest|query)/(\w{15,18})")


@dataclass(frozen=True, slots=True)
class Wait:
    """One entry of an org's list."""

    org: str
    what: str
    job: str | None
    began_s: float
    seconds: float


@dataclass(slots=True)
class Job:
    """One bulk job: what it did, how long it was held, and the calls for its pages."""

    org: str
    sobject: str
    is_query: bool
    seconds: float
    #: place in the order in which the run's jobs began
    number: int
    pages: int = 1
    rows: int = 0

    @property
    def is_read(self) -> bool:
        """It reads the source."""
        return self.is_query and self.org == "source"


class Org:
    """An org that carries out so many jobs at once, in the order in which they are ready."""

    def __init__(self) -> None:
        self._free = [0.0] * PLACES
        self._queue: list[tuple[float, int, Job]] = []

    def queue(self, ready_s: float, job: Job) -> None:
        """A job that is ready then."""
        heapq.heappush(self._queue, (ready_s, job.number, job))

    def carry_out(self) -> Iterator[tuple[Job, float]]:
        """Each job and when it has ended. More may be queued meanwhile: what a job lets begin is
        ready after the job itself was, so that none comes too late for its place."""
        while self._queue:
            ready_s, _, job = heapq.heappop(self._queue)
            end_s = max(heapq.heappop(self._free), ready_s) + job.seconds
            heapq.heappush(self._free, end_s)
            yield job, end_s


def main(arguments: list[str]) -> int:
    """Print the figures; 0 when the target is met."""
    given = [one for one in arguments if not one.startswith("--")]
    rows = int(given[0]) if given else 60_000
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as work:
        for role, home in (("source", _kept(rows)), ("target", _kept(0))):
            shutil.copytree(home, Path(work) / role)
        with serving(Path(work) / "source") as source, serving(Path(work) / "target") as target:
            return _measure(rows, source, target, Path(work), arguments=arguments)


def _measure(
    rows: int, source: OrgUnderTest, target: OrgUnderTest, work: Path, *, arguments: list[str]
) -> int:
    cli = registered(source, target, work, plan=plan_text())
    orgs = {"source": source, "target": target}
    for org in orgs.values():
        org.client.call("POST", "/_sim/options", FAR_AWAY)
        org.client.call("DELETE", "/_sim/delays")
    before = [org.cpu_s for org in orgs.values()]
    cost = cli("run", "bench", "--json", "--verify" if "--verify" in arguments else "--no-verify")
    worked = [org.cpu_s - cpu_s for org, cpu_s in zip(orgs.values(), before, strict=True)]
    waits = [wait for role, org in orgs.items() for wait in _waits(role, org)]
    for org in orgs.values():
        org.client.call("POST", "/_sim/options", {"call_delay_s": 0, "bulk_job_delay_s": 0})
    assert cost.status == 0, cost.said
    for sobject in OBJECTS:
        count = target.client.call("GET", f"/query?q=SELECT+COUNT()+FROM+{sobject}").json()
        assert count["totalSize"] == rows, (sobject, count)
    for line in timeline(waits) if "--timeline" in arguments else ():
        sys.stdout.write(line + "\n")
    met = report(rows, waits, _jobs(waits, target), wall_s=cost.wall_s)
    sys.stdout.write(
        f"processor time                      {cost.cpu_s:8.1f} s ours, {sum(worked):.1f} s the"
        f" orgs', {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    return met


def report(rows: int, waits: list[Wait], jobs: list[Job], *, wall_s: float) -> int:
    """Print what was waited and what of it was unavoidable."""
    opening, ending = _edges(waits)
    path_s = opening + critical_path(jobs, rows) + ending
    calls = [wait for wait in waits if wait.job is None]
    waited = sum(wait.seconds for wait in waits)
    lines = (
        f"{len(OBJECTS)} objects of {rows:,} rows; {len(jobs)} bulk jobs, {len(calls)} calls",
        f"all waits, one after the other      {waited:8.1f} s",
        f"critical path                       {path_s:8.1f} s"
        f"   (opening {opening:.1f}, closing {ending:.1f})",
        f"time in which anything was waited   {_union(waits):8.1f} s",
        f"wall                                {wall_s:8.1f} s   {wall_s / path_s:.2f} x the"
        f" critical path; target {TARGET}",
    )
    for line in lines:
        sys.stdout.write(line + "\n")
    return int(wall_s > TARGET * path_s)


def critical_path(jobs: Iterable[Job], rows: int) -> float:
    """Seconds from the first read to the last result, by the jobs' own delays."""
    jobs = list(jobs)
    reads = Org()
    for job in (one for one in jobs if one.is_read):
        reads.queue(2 * CALL_S, job)
    read = {job.sobject: end + CALL_S * (1 + job.pages) for job, end in reads.carry_out()}
    loaded = max(_loaded(jobs, rows, read).values())
    back = Org()
    for job in (one for one in jobs if one.is_query and not one.is_read):
        back.queue(loaded + 2 * CALL_S, job)
    return max([loaded, *(end + CALL_S * (1 + job.pages) for job, end in back.carry_out())])


def _loaded(jobs: list[Job], rows: int, read: dict[str, float]) -> dict[str, float]:
    """When each object's last results are there."""
    target, over = Org(), dict[str, float]()
    left = {name: _generations(jobs, name, rows) for name in OBJECTS}
    ends: dict[str, float] = {}
    waiting: dict[str, int] = {}

    def go_on(name: str, at: float) -> None:
        """Queues the next generation of an object, or begins what waited for the object."""
        ends[name] = at
        generation = left[name].pop(0) if left[name] else []
        waiting[name] = len(generation)
        for job in generation:
            target.queue(at + BEFORE_JOB * CALL_S, job)
        if not generation:
            over[name] = at
            begin()

    def begin() -> None:
        for name in OBJECTS:
            if name not in ends and _parents(name) <= over.keys():
                go_on(name, max([read[name] + CALL_S, *(over[one] for one in _parents(name))]))

    begin()
    for job, end in target.carry_out():
        ends[job.sobject] = max(ends[job.sobject], end + AFTER_JOB * CALL_S)
        waiting[job.sobject] -= 1
        if not waiting[job.sobject]:
            go_on(job.sobject, ends[job.sobject])
    return over


def _parents(name: str) -> set[str]:
    return {parent for parent in OBJECTS[name].values() if parent != name}


def _generations(jobs: Iterable[Job], name: str, rows: int) -> list[list[Job]]:
    """The load jobs of an object; those of rows without a parent come before the others."""
    made: list[list[Job]] = [[], []]
    roots = _roots(name, rows)
    seen = 0
    for job in jobs:
        if not job.is_query and job.sobject == name:
            made[seen >= roots].append(job)
            seen += job.rows
    return [generation for generation in made if generation]


def _roots(name: str, rows: int) -> int:
    return rows // 10 if name in OBJECTS[name].values() else rows


def _edges(waits: Iterable[Wait]) -> tuple[float, float]:
    """Time in which calls were waited for before the first bulk job was asked for, and after the
    last one's results."""
    waits = list(waits)
    about = [w for w in waits if w.job is not None or "/jobs/" in w.what]
    first = min(wait.began_s for wait in about)
    last = max(wait.began_s + wait.seconds for wait in about)
    before = [wait for wait in waits if wait.began_s < first]
    after = [wait for wait in waits if wait.began_s >= last]
    return _union(before), _union(after)


def timeline(waits: Iterable[Wait]) -> Iterator[str]:
    """One line a job: seconds since the first call at which it was first asked for, began, had
    ended, its results were asked for, and the last of them had come."""
    ordered = sorted(waits, key=lambda one: one.began_s)
    calls: dict[str, list[Wait]] = {}
    for wait in ordered:
        found = None if wait.job else _JOB.search(wait.what)
        if found:
            calls.setdefault(found[1], []).append(wait)
    yield f"{'job':30}   first    began    ended  results     read    looks"
    for job in (one for one in ordered if one.job is not None):
        about = calls.get(str(job.job), [job])
        read = [one for one in about if one.what.lower().endswith("results")] or about[-1:]
        times = (about[0].began_s, job.began_s, job.began_s + job.seconds, read[0].began_s,
                 read[-1].began_s + read[-1].seconds)  # fmt: skip
        shown = " ".join(f"{at - ordered[0].began_s:8.1f}" for at in times)
        looks = sum(one.what.startswith("GET") for one in about) - len(read)
        yield f"{job.org:7}{job.what:23}{shown} {looks:8}"


def _union(waits: Iterable[Wait]) -> float:
    """Seconds in which at least one of them was waiting."""
    total, until = 0.0, float("-inf")
    for wait in sorted(waits, key=lambda one: one.began_s):
        end = wait.began_s + wait.seconds
        total += max(0.0, end - max(wait.began_s, until))
        until = max(until, end)
    return total


def _waits(role: str, org: OrgUnderTest) -> Iterator[Wait]:
    for entry in org.client.call("GET", "/_sim/delays").json():
        yield Wait(role, entry["what"], entry["job"], entry["began_s"], entry["seconds"])


def _jobs(waits: Iterable[Wait], target: OrgUnderTest) -> list[Job]:
    """The jobs in the order in which they began."""
    made: dict[str, Job] = {}
    for wait in sorted(waits, key=lambda one: one.began_s):
        if wait.job is not None:
            operation, _, sobject = wait.what.partition(" ")
            is_query = operation.startswith("query")
            made[wait.job] = Job(
                wait.org, sobject, is_query, wait.seconds, number=len(made), pages=0
            )
        elif wait.what.endswith("/results"):
            found = _JOB.search(wait.what)
            if found and found[1] in made:
                made[found[1]].pages += 1
    for job_id, job in made.items():
        if not job.is_query:
            said = target.client.call("GET", f"/jobs/ingest/{job_id}").json()
            job.rows = int(said["numberRecordsProcessed"])
    return list(made.values())


def plan_text() -> str:
    """The plan: every field as it is, matched by the code."""
    lines = ["orgbridge: 1", "name: bench", "source: legacy", "target: new", "objects:"]
    for name in OBJECTS:
        lines += [f"  - source: {name}", "    key: Code__c", "    skip: [OwnerId]"]
    return "\n".join([*lines, ""])


def _kept(rows: int) -> Path:
    """The home of an org with so many rows of each object, filled once."""
    home = HOME / f"latency-{rows}"
    if not (home / "filled").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "schema.yaml").write_text(SCHEMA)
        with serving(home) as org:
            org.client.call(
                "POST", "/_sim/options", {"bulk_queue_delay_s": 0, "bulk_batch_delay_s": 0}
            )
            for name in OBJECTS if rows else ():
                for part in _rows(name, rows):
                    upsert(org.client, name, part)
        (home / "filled").touch()
    return home


def _rows(name: str, rows: int) -> Iterator[pl.DataFrame]:
    """Rows of one object, those without a parent first."""
    number = pl.int_range(rows, dtype=pl.Int64).alias("n")
    plain: dict[str, pl.Expr] = {"Code__c": _code(name, pl.col("n"))}
    plain["Note__c"] = pl.format("note {}, of some length: {}", "n", pl.col("n") * 7919)
    if not name.endswith("__c"):
        plain["LastName" if name == "Contact" else "Name"] = pl.format("{} {}", pl.lit(name), "n")
        plain["Phone"] = pl.format("+47 {}", "n")
    else:
        plain["Name"] = pl.format("{} {}", pl.lit(name), "n")
    roots = _roots(name, rows)
    for lookup, parent in OBJECTS[name].items():
        path = (
            f"{lookup.removesuffix('Id') if lookup.endswith('Id') else lookup[:-1] + 'r'}.Code__c"
        )
        among = roots if parent == name else rows
        plain[path] = _code(parent, pl.col("n") * 7 % among)
    frame = pl.select(number).select(**plain)
    own = [path for path in plain if "." in path and _roots(name, rows) < rows]
    yield frame.head(roots).drop(own)
    if roots < rows:
        yield frame.slice(roots)


def _code(name: str, number: pl.Expr) -> pl.Expr:
    return pl.format("{}-{}", pl.lit(name[:2]), number.cast(pl.String).str.zfill(8))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
