"""Ours beside other tools on the same orgs: wall, processor, memory, calls, as ratios to ours.

    python -m benchmarks.side_by_side [ROWS…] [--tools=ours,verify,sfdmu,…] [--again]

Default sizes 30,000 · 300,000 · 1,000,000, and of ours 3,000,000. Every tool gets a fresh pair of
practice orgs (Account with 16 fields and a self lookup, Contact with 15 and two lookups, awkward
values) and moves it three times: into an empty target, again unchanged, and after 1 % changed in
the source. Each measurement is kept as soon as it is made (``side_by_side.json`` in the folder of
the environment variable ``ORGBRIDGE_BENCH``), so a run that was broken off goes on where it
stopped; ``--again`` measures anew. The table in RESULTS.md is rewritten after each tool.

Processor time is that of the tool's whole tree of processes, database included; of ours, what
before-images took (only rows that were there have one) and, as a tool of its own, what verify adds
are printed apart, as is the orgs' own. A tool whose target does not hold every row and lookup
afterwards is marked so. A rival whose round takes longer than `rivals.ROUND_LIMIT_S` is ended: its
figures are lower bounds, its later rounds and larger sizes are left out. What is asked of ours
(`benchmarks.targets`) is judged below the tables; a miss is the exit status.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks import metered, rivals, targets
from benchmarks.cumulus import cumulusci
from benchmarks.org_pair import HOME, LOOKUPS, OrgUnderTest, change_some, pair, sizes
from benchmarks.rivals import NotToBeHadError, Tool
from benchmarks.targets import Measured
from benchmarks.tree import ENDED

SIZES = (30_000, 300_000, 1_000_000)
RESULTS = Path(__file__).parent / "RESULTS.md"
KEPT = HOME / "side_by_side.json"
MARK = "## Side by side"
NEXT = "\n## "
ROUNDS = (targets.FIRST, targets.AGAIN, "1 % changed")
COLUMNS = ("tool", "round", "wall s", "x", "CPU s", "x", "of it database", "of it before-images",
           "peak MB", "calls", "orgs' CPU s", "of wall", "load", "remark")  # fmt: skip
#: name on the command line → how the tool is made
TOOLS: dict[str, Callable[[OrgUnderTest, OrgUnderTest, Path], Tool]] = {
    "ours": rivals.ours,
    "verify": partial(rivals.ours, verify=True),
    "sfdmu": rivals.sfdmu,
    "cumulusci": cumulusci,
    "simple": rivals.simple_salesforce,
    "floor": rivals.floor,
}
#: what keeps no memory moves everything again: measured once
ONE_ROUND = frozenset({"cumulusci", "simple", "floor"})


def main(arguments: list[str]) -> int:
    """Measure what is not measured yet; 0 when ours brought every row and met every target."""
    given = [one for one in arguments if not one.startswith("--")]
    named = next((one for one in arguments if one.startswith("--tools=")), "")
    tools = [one for one in named.removeprefix("--tools=").split(",") if one] or list(TOOLS)
    asked = [(int(rows), tool) for rows in given or SIZES for tool in tools]
    if not given and not named:
        asked.append((targets.MORE, "ours"))
    HOME.mkdir(parents=True, exist_ok=True)
    known = _known()
    for rows, tool in asked:
        have = [one for one in known if (one.rows, one.tool) == (rows, tool)]
        if have and "--again" not in arguments:
            continue
        known = [one for one in known if one not in have]
        for one in [] if _too_slow(tool, rows, known) else measure(rows, tool):
            known.append(one)
            print(line(one), flush=True)
            KEPT.write_text(json.dumps([asdict(entry) for entry in known], indent=1))
        write_results(known)
    missed = [one for one in _verdicts(known) if not one.reached]
    for verdict in missed:
        print(f"missed: {verdict.what}: {verdict.measured}, asked {verdict.asked}")
    return int(bool(missed) or any(one.remark for one in known if one.tool in ("ours", "verify")))


def _too_slow(tool: str, rows: int, known: Sequence[Measured]) -> bool:
    """Whether a first round of fewer rows was ended at its limit already."""
    return any(
        one.ended and one.rows < rows and (one.tool, one.round) == (tool, ROUNDS[0])
        for one in known
    )


def _verdicts(known: Sequence[Measured]) -> Iterator[targets.Verdict]:
    whole = [one for one in known if one.wall_s and not (one.remark and one.tool == "ours")]
    return targets.verdicts({(one.rows, one.tool, one.round): one for one in whole})


def measure(rows: int, tool: str) -> Iterator[Measured]:
    """One tool on a fresh pair, round by round."""
    with pair(rows) as (source, target), tempfile.TemporaryDirectory(dir=HOME) as folder:
        try:
            made = TOOLS[tool](source, target, Path(folder))
        except NotToBeHadError as reason:
            yield Measured(rows, tool, tool, ROUNDS[0], 0, 0, 0, 0, 0, 0, 0, str(reason)[:300])
            return
        for what in ROUNDS[: 1 if tool in ONE_ROUND else None]:
            if what == ROUNDS[-1]:
                change_some(source, rows)
            one = _round(rows, tool, made, what, orgs=(source, target))
            yield one
            if one.ended:
                return


def _round(
    rows: int, tool: str, made: Tool, what: str, *, orgs: tuple[OrgUnderTest, OrgUnderTest]
) -> Measured:
    before = [(org.cpu_s, org.calls) for org in orgs]
    cost = made.run()
    spent = [(org.cpu_s - s, org.calls - n) for org, (s, n) in zip(orgs, before, strict=True)]
    wrong = _lacking(rows, *orgs)
    if cost.status == ENDED:
        wrong = f"{cost.said}: at least this"
    elif cost.status:
        wrong = f"status {cost.status}: {cost.said.strip()[-200:]}"
    return Measured(
        rows=rows, tool=tool, name=f"{made.name} {made.version}".strip(), round=what,
        wall_s=cost.wall_s, cpu_s=cost.cpu_s, database_s=cost.database_s, peak_mb=cost.peak_mb,
        calls=sum(calls for _, calls in spent), orgs_cpu_s=round(sum(s for s, _ in spent), 2),
        load=round(os.getloadavg()[0], 1), remark=wrong, before_s=metered.seconds(cost.said),
        ended=cost.status == ENDED,
    )  # fmt: skip


def _lacking(rows: int, source: OrgUnderTest, target: OrgUnderTest) -> str:
    """What the target does not hold of the source: rows, filled lookups, changed values."""
    wrong = []
    for sobject, number in sizes(rows).items():
        for where in ("Code__c != null", "Phone = '+47 555 0000'",
                      *(f"{name} != null" for name in LOOKUPS[sobject])):  # fmt: skip
            soql = f"SELECT COUNT() FROM {sobject} WHERE {where}"
            here, there = (_count(org, soql) for org in (source, target))
            if here != there:
                wrong.append(f"{sobject} {where.split()[0]} {there:,} of {here:,}")
        assert _count(source, f"SELECT COUNT() FROM {sobject}") == number
    return "; ".join(wrong)


def _count(org: OrgUnderTest, soql: str) -> int:
    return int(org.client.call("GET", f"/query?q={quote(soql)}").json()["totalSize"])


def write_results(known: Sequence[Measured]) -> None:
    """Puts the table into RESULTS.md, in the place of an earlier one."""
    text = RESULTS.read_text(encoding="utf-8")
    head, found, rest = text.partition(MARK)
    tail = rest.partition(NEXT)[2]
    body = "\n".join(table(known))
    after = NEXT + tail if tail else "\n"
    if not found:
        head, bench, tail = text.partition("## Measured by `make bench`")
        after = f"\n{bench}{tail}"
    RESULTS.write_text(f"{head.rstrip()}\n\n{body}\n{after}", encoding="utf-8")


def table(known: Sequence[Measured]) -> Iterator[str]:
    """Markdown: one table per size; ratios say how many times more than ours."""
    cores = os.cpu_count()
    yield f"{MARK}\n`python -m benchmarks.side_by_side`: the same rows and orgs, {cores} cores."
    yield "CPU is of the tool's whole tree of processes, its database included; `x` is the ratio of"
    yield "the figure before it to ours in the same round. `of wall` is the orgs' CPU as a share of"
    yield "the wall time, in which they work mostly while the tool waits. Before-images are kept"
    yield "by ours alone, of rows that were there and are changed (time of the threads that do)."
    yield "Peak is the sum of the tree's physical memory (PSS). Load is the machine's in the last"
    yield "minute: ratios between rounds of unlike load say little. The tools run one after the"
    yield "other, each against a fresh pair of orgs, never at the same time."
    yield "CumulusCI goes by REST, 200 rows a call: its Bulk mode loads by jobs of Bulk API 1.0, of"
    yield "which practice orgs answer queries only (what SFDMU reads by)."
    for rows in sorted({one.rows for one in known}):
        yield f"\n### {rows:,} rows\n"
        yield f"| {' | '.join(COLUMNS)} |"
        yield "|---" * len(COLUMNS) + "|"
        ours = {one.round: one for one in known if (one.rows, one.tool) == (rows, "ours")}
        for one in known:
            if one.rows == rows:
                yield _cells(one, ours.get(one.round))
    yield "\n### What is asked of ours\n"
    yield "| | asked | measured | |"
    yield "|---|---|---|---|"
    for one in _verdicts(known):
        end = "" if one.reached else "**missed**"
        yield f"| {one.what} | {one.asked} | {one.measured} | {end} |"


def _ratio(figure: float, base: float, shape: str) -> str:
    return shape.format(figure / base) if figure and base else ""


def _cells(one: Measured, ours: Measured | None) -> str:
    ratios = [
        _ratio(getattr(one, name), getattr(ours, name, 0.0), "{:.1f}")
        for name in ("wall_s", "cpu_s")
    ]
    cells: list[Any] = [
        one.name, one.round, f"{one.wall_s:.1f}", ratios[0], f"{one.cpu_s:.1f}", ratios[1],
        f"{one.database_s:.1f}", f"{one.before_s:.2f}", f"{one.peak_mb:,.0f}", one.calls,
        f"{one.orgs_cpu_s:.1f}", _ratio(one.orgs_cpu_s, one.wall_s, "{:.0%}"), one.load,
        one.remark.replace("\n", " ").replace("|", "/"),
    ]  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def line(one: Measured) -> str:
    """One measurement for a terminal."""
    each = one.cpu_s * 1e6 / one.rows
    return (
        f"{one.rows:>9,} {one.name:24} {one.round:18} wall {one.wall_s:7.1f}  "
        f"cpu {one.cpu_s:7.2f} ({each:6.1f} µs/row, before-images {one.before_s:.2f} s)  "
        f"peak {one.peak_mb:6.0f} MB  "
        f"calls {one.calls:5}  orgs {one.orgs_cpu_s:6.1f}  load {one.load:4.1f}  {one.remark}"
    )


def _known() -> list[Measured]:
    if not KEPT.exists():
        return []
    return [Measured(**entry) for entry in json.loads(KEPT.read_text())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
