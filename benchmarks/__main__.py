"""``make bench``: every benchmark in turn; what they print becomes the last section of RESULTS.md.

Each runs in a process of its own, one after the other, so that none disturbs another. The sections
above it are kept: they say what was made of earlier figures.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
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
    # the larger sizes take an hour: python -m benchmarks.side_by_side
    ("benchmarks.side_by_side", "30000", "--again"),
)
WITH_FIXTURES: tuple[tuple[str, ...], ...] = (
    ("benchmarks.automap", str(FIXTURES)),
    ("benchmarks.differences", str(FIXTURES)),
    ("benchmarks.duplicates", "1000000"),
)
LIMIT_S = 900


def main() -> int:
    """Runs all; 0 when every one ended well."""
    commands = [*COMMANDS, *(WITH_FIXTURES if FIXTURES.is_dir() else ())]
    ends = [_run(command) for command in commands]
    cores = os.cpu_count()
    head = f"{MARK}, {dt.datetime.now(dt.UTC):%d %B %Y}, {cores} cores"
    body = "\n\n".join(text for text, _ in ends)
    kept = RESULTS.read_text(encoding="utf-8").partition(MARK)[0].rstrip()
    RESULTS.write_text(f"{kept}\n\n{head}\n{body}\n", encoding="utf-8")
    return max(code for _, code in ends)


def _run(command: tuple[str, ...]) -> tuple[str, int]:
    shown = " ".join(part if not part.startswith("/") else "FIXTURES" for part in command)
    sys.stdout.write(f"python -m {shown}\n")
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=HERE.parent, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    said = (done.stdout if done.returncode == 0 else done.stdout + done.stderr[-2000:]).strip()
    sys.stdout.write(said + "\n")
    return f"`python -m {shown}`\n\n```\n{said}\n```", done.returncode


if __name__ == "__main__":
    sys.exit(main())
