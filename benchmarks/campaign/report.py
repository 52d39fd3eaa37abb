"""Writes CAMPAIGN.md: cases per fault and operation, what was wrong, seeds, commits, time."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.campaign import results
from benchmarks.campaign.cases import OPERATIONS, case_of
from benchmarks.campaign.strikes import ACTS, JOBS, PLACES, ROWS, WAYS

_HEAD = """# Campaign of faults

What a run is worth when something breaks: generated cases between two practice orgs (random objects
with self lookups, cycles of two and three, details and polymorphic lookups; awkward values, twins,
refused rows; plans by stamped, composite and shared keys and by the ledger; bulk and collections),
one fault each at a random moment, resumed until the run is over, then judged row by row by an
oracle that reads both orgs' stores and knows nothing of the engine: missing 0, extra 0, doubled 0,
wrong lookup 0, wrong field 0, and the run's own figures as counted. After an undo writable fields
are as before; what automation stamps is not compared.

    make campaign                                              all of it
    python -m benchmarks.campaign --replay SEED                one case again
"""
#: rows and jobs that the org itself refuses or lets fail
IN_THE_ORG = "rows or job"
#: written by hand: what is behind the misses, what is not played
CAUSES = Path(__file__).resolve().parent / "causes.md"


def write(folder: Path, into: Path) -> int:
    """Writes the report of a folder of verdicts; 1 where something is wrong, else 0."""
    played = results.read(folder)
    cases = [one for one in played if one["kind"] in OPERATIONS]
    others = [one for one in played if one["kind"] not in OPERATIONS]
    wrong = [one for one in played if one["wrong"]]
    parts = [_HEAD, _figures(cases, wrong), _table(cases), _moments(cases), _rough(others)]
    parts += [_wrong(wrong), _mended(results.mended(folder)), CAUSES.read_text(encoding="utf-8")]
    into.write_text("\n".join(part for part in parts if part), encoding="utf-8")
    return 1 if wrong else 0


def _figures(cases: Sequence[Mapping[str, Any]], wrong: Sequence[Mapping[str, Any]]) -> str:
    struck = sum(bool(one["struck"]) for one in cases)
    resumed = sum(one["resumes"] for one in cases)
    seconds = sum(one["seconds"] for one in cases)
    commits = Counter(one["commit"] for one in cases)
    told = ", ".join(f"{name} ({n})" for name, n in sorted(commits.items()))
    bad = sum(one["kind"] in OPERATIONS for one in wrong)
    return (
        f"## {len(cases):,} cases, {bad} wrong\n\n"
        f"{dt.datetime.now(dt.UTC):%d %B %Y}, {os.cpu_count()} cores. The moment of the fault came"
        f" in {struck:,} of them; runs were resumed {resumed:,} times; {seconds / 3600:.1f} h of"
        " playing.\n\n"
        f"Cases by commit: {told or 'none'}.\n"
    )


def _table(cases: Sequence[Mapping[str, Any]]) -> str:
    told = [(one["strike"], one["kind"], bool(one["wrong"])) for one in cases]
    return _counted("## Fault × operation: cases (wrong)\n", told, list(OPERATIONS))


def _moments(cases: Sequence[Mapping[str, Any]]) -> str:
    """Where a chunk stood when it was struck: the request that was sent, held or answered."""
    head = (
        "## Fault × moment: cases in which it came (wrong)\n\n"
        "The request that was struck, before or after the org's work. A chunk is planned until its"
        " job is\ncreated, then uploaded, closed, looked at, and its results are read; rows of"
        " collections know one state.\n"
    )
    told = [
        (one["strike"], case_of(one["seed"]).strike.place or IN_THE_ORG, bool(one["wrong"]))
        for one in cases
        if one["struck"]
    ]
    return _counted(head, told, [*PLACES, IN_THE_ORG])


def _counted(head: str, told: Sequence[tuple[str, str, bool]], known: Sequence[str]) -> str:
    """A table of fault by column, how many of them were wrong, with sums."""
    counted = Counter((name, column) for name, column, _ in told)
    bad = Counter((name, column) for name, column, is_wrong in told if is_wrong)
    columns = [one for one in known if any(key[1] == one for key in counted)]
    faults = ("nothing", *WAYS, *ROWS, *JOBS, *ACTS)
    names = [name for name in faults if any(key[0] == name for key in counted)]
    lines = [
        head,
        f"| fault | {' | '.join(columns)} | all |",
        f"|---{'|---:' * (len(columns) + 1)}|",
    ]
    for name in names:
        cells = [_cell(counted[name, column], bad[name, column]) for column in columns]
        every = sum(counted[name, column] for column in columns)
        lines.append(f"| {name} | {' | '.join(cells)} | {every} |")
    sums = [str(sum(counted[name, column] for name in names)) for column in columns]
    lines.append(f"| all | {' | '.join(sums)} | {len(told)} |")
    return "\n".join(lines) + "\n"


def _cell(count: int, wrong: int) -> str:
    return f"{count} (**{wrong}**)" if wrong else str(count or "")


def _rough(others: Iterable[Mapping[str, Any]]) -> str:
    counted: Counter[tuple[str, str]] = Counter()
    bad: Counter[tuple[str, str]] = Counter()
    for one in others:
        counted[one["kind"], one["strike"]] += 1
        bad[one["kind"], one["strike"]] += bool(one["wrong"])
    if not counted:
        return ""
    lines = [
        "## Heavier blows and people's actions\n",
        "| what | done to | times | wrong |",
        "|---|---|---:|---:|",
    ]
    for (kind, strike), n in sorted(counted.items()):
        lines.append(f"| {strike} | {kind} | {n} | {bad[kind, strike]} |")
    return "\n".join(lines) + "\n"


def _wrong(wrong: Sequence[Mapping[str, Any]]) -> str:
    if not wrong:
        return "## Misses\n\nNone.\n"
    return "\n".join(["## Misses\n", *_listed(wrong)]) + "\n"


def _mended(once: Sequence[Mapping[str, Any]]) -> str:
    if not once:
        return ""
    head = "## Wrong once, right when played again after a mend of the product or of the oracle\n"
    return "\n".join([head, *_listed(once)]) + "\n"


def _listed(wrong: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for one in sorted(wrong, key=lambda entry: (entry["kind"], entry["strike"], entry["seed"])):
        first = str(one["wrong"][0]).replace("\n", " ")[:160]
        lines.append(f"- `{one['seed']}` {one['kind']}, {one['strike']} ({one['commit']}): {first}")
    return lines
