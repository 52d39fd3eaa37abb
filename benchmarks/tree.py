"""What a command and everything that it starts cost: wall, processor, memory.

    python -m benchmarks.tree FOLDER LIMIT_S -- COMMAND…      its figures as one line of JSON

The measuring process is the reaper of all descendants (`PR_SET_CHILD_SUBREAPER`), also of those
that detach themselves, such as a database server: it waits until the last of them has ended, and
the kernel adds up their processor time exactly. Memory is the highest sum of their shares of
physical memory (PSS: pages that several share count once), looked at five times a second. What is
not done within its limit is killed with all its descendants; its figures are then lower bounds.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.practice_org import cpu_seconds

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_S = 0.2
#: exit status of a command that was ended at its limit, as that of coreutils' timeout
ENDED = 124


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command cost."""

    status: int
    #: until the command itself ended
    wall_s: float
    #: user and system time of the whole tree
    cpu_s: float
    #: of it, what database servers took, as last seen
    database_s: float
    #: highest sum of PSS over the tree
    peak_mb: float
    #: highest resident memory of the command's own process
    own_mb: float
    said: str


def measured(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    limit_s: float = math.inf,
) -> Cost:
    """Runs a command under a measuring process of its own, for ``limit_s`` at the most; a command
    that takes longer has the status `ENDED`.

    Raises:
        RuntimeError: the measuring process broke.
    """
    shell = [sys.executable, "-m", "benchmarks.tree", str(cwd or Path.cwd()), str(limit_s), "--"]
    done = subprocess.run(
        [*shell, *command], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parent.parent, env=env,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    return Cost(**json.loads(done.stdout))


def main(arguments: list[str]) -> int:
    """Measure the command behind ``--``; the figures go to standard output as JSON."""
    cwd, limit_s, command = arguments[0], float(arguments[1]), arguments[3:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    watch = _Watch(process.pid)
    watch.start()
    status, said = _outcome(process, limit_s)
    wall_s = time.monotonic() - began
    _reap_all()
    watch.over.set()
    watch.join()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = Cost(
        status=status, wall_s=round(wall_s, 2),
        cpu_s=round(spent.ru_utime + spent.ru_stime, 2),
        database_s=round(sum(watch.database_s.values()), 2),
        peak_mb=round(watch.peak_kb / 1024, 1), own_mb=round(watch.own_kb / 1024, 1),
        said=said[-20_000:],
    )  # fmt: skip
    sys.stdout.write(json.dumps({name: getattr(cost, name) for name in Cost.__slots__}))
    return 0


def _outcome(process: subprocess.Popen[str], limit_s: float) -> tuple[int, str]:
    """Exit status and output of a command, at the limit without it and its descendants."""
    try:
        said, _ = process.communicate(timeout=None if math.isinf(limit_s) else limit_s)
    except subprocess.TimeoutExpired:
        while left := _descendants(os.getpid()):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)
        return ENDED, f"ended after {limit_s:.0f} s"
    return process.returncode, said


class _Watch(threading.Thread):
    """Looks at the memory of all descendants now and then."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.peak_kb = self.own_kb = 0
        self.database_s: dict[int, float] = {}
        self._pid = pid

    def run(self) -> None:
        while not self.over.wait(_LOOK_S):
            tree = _descendants(os.getpid())
            self.peak_kb = max(self.peak_kb, sum(map(_pss_kb, tree)))
            self.own_kb = max(self.own_kb, _peak_rss_kb(self._pid))
            self.database_s.update((pid, cpu_seconds(pid)) for pid in tree if _is_database(pid))


def _reap_all() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(one) for one in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _is_database(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except OSError:
        return False


def _pss_kb(pid: int) -> int:
    return _kb(f"/proc/{pid}/smaps_rollup", "Pss:")


def _peak_rss_kb(pid: int) -> int:
    return _kb(f"/proc/{pid}/status", "VmHWM:")


def _kb(path: str, name: str) -> int:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
