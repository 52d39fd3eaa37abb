"""``make bench``: every benchmark in turn; what they print becomes the last section of RESULTS.md.

Each runs in a process of its own, one after the other, so that none disturbs another; one that
misses its target, breaks or takes too long stops none of the others. The section begins with what
was missed, each figure stands below the load of the machine and the time it took, and the exit
status tells at the end whether anything was missed. The sections above it are kept: they say what
was made of earlier figures.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
FIXTURES = HERE.parent.parent / "shared" / "fixtures"
MARK = "## Measured by `make bench`"
#: command after ``python -m``; those that read the fixture sets are left out where they are missing
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("benchmarks.wire_speed", "300000"),
    ("benchmarks.practice_org", "100000"),
    ("benchmarks.rules",),
    ("benchmarks.csv_files",),
    ("benchmarks.logs",),
    ("benchmarks.pages", "20"),
    ("benchmarks.id_map", "20000000"),
    ("benchmarks.start_up",),
    ("benchmarks.latency", "60000"),
    ("benchmarks.workers", "600", "4"),
)
WITH_FIXTURES: tuple[tuple[str, ...], ...] = (
    ("benchmarks.automap", str(FIXTURES)),
    ("benchmarks.differences", str(FIXTURES)),
    ("benchmarks.duplicates", "1000000"),
)
#: all sizes and tools; takes an hour
SIDE_BY_SIDE = ("benchmarks.side_by_side", "--again")
LIMIT_S, SIDE_BY_SIDE_LIMIT_S = 900, 3 * 3600


@dataclass(frozen=True, slots=True)
class Ended:
    """One benchmark that has run."""

    #: as RESULTS.md shows it
    command: str
    said: str
    #: exit status; None: it was ended at its limit
    status: int | None
    #: load of the machine over the last minute, before and after
    load: tuple[float, float]
    seconds: float

    @property
    def verdict(self) -> str:
        """What was missed; empty when nothing was."""
        if self.status is None:
            return f"ended after {self.seconds:.0f} s"
        return f"exit status {self.status}: a target missed, or broken off" if self.status else ""


def main() -> int:
    """Runs all; 0 when every one ended well."""
    commands = [*COMMANDS, *(WITH_FIXTURES if FIXTURES.is_dir() else ()), SIDE_BY_SIDE]
    ends: list[Ended] = []
    for one in commands:
        ends.append(run(one, limit_s=SIDE_BY_SIDE_LIMIT_S if one == SIDE_BY_SIDE else LIMIT_S))
        # at once: what comes after may take an hour, and side_by_side writes there itself
        kept = RESULTS.read_text(encoding="utf-8").partition(MARK)[0].rstrip()
        RESULTS.write_text(f"{kept}\n\n{section(ends)}\n", encoding="utf-8")
    return int(any(end.verdict for end in ends))


def run(command: tuple[str, ...], *, limit_s: float = LIMIT_S) -> Ended:
    """One benchmark in a process of its own; what it prints is shown at once as well."""
    shown = " ".join(part if not part.startswith("/") else "FIXTURES" for part in command)
    sys.stdout.write(f"python -m {shown}\n")
    sys.stdout.flush()
    load, began = os.getloadavg()[0], time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=HERE.parent, capture_output=True, text=True, timeout=limit_s, check=False,
        )  # fmt: skip
        status: int | None = done.returncode
        said = (done.stdout if status == 0 else done.stdout + done.stderr[-2000:]).strip()
    except subprocess.TimeoutExpired as over:
        status, said = None, (over.stdout or b"").decode(errors="replace").strip()
    sys.stdout.write(said + "\n")
    loads = (load, os.getloadavg()[0])
    return Ended(f"python -m {shown}", said, status, loads, time.monotonic() - began)


def section(ends: list[Ended]) -> str:
    """The last section of RESULTS.md: what was missed, then every benchmark's own words."""
    today, cores = f"{dt.datetime.now(dt.UTC):%d %B %Y}", os.cpu_count()
    parts = [f"{MARK}, {today}, {cores} cores"]
    missed = [f"- `{end.command}`: {end.verdict}" for end in ends if end.verdict]
    parts.append("\n".join(["Missed:", *missed]) if missed else "Nothing was missed.")
    for end in ends:
        before, after = end.load
        told = f"load {before:.1f} before, {after:.1f} after; {end.seconds:.0f} s"
        parts.append(f"`{end.command}` ({told})\n\n```\n{end.said}\n```")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
