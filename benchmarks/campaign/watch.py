"""Watches over a slice: a case that takes too long is noted as hung, and the slice begins again.

    begin(case) ──▶ … ──▶ end()                       nothing happens
         └──────── DEADLINE_S later ──▶ stacks to a file · verdict "hung" · children killed · exec

A case that hangs may hold any thread and any connection, so the process is replaced whole; the
verdicts on disk say where to go on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

#: seconds until a case counts as hung; the slowest take ten
DEADLINE_S = 90.0


class Watchdog:
    """One deadline at a time. `hung` gets the stacks of all threads before the process is replaced.

    Args:
        stacks: file for the stacks.
        hung: notes the case; may take seconds.
        again: begins the process anew; without it the process ends with 3.
    """

    def __init__(
        self, stacks: Path, hung: Callable[[str], None], *, again: bool, deadline_s: float
    ) -> None:
        self._stacks = stacks
        self._hung = hung
        self._again = again
        self._deadline_s = deadline_s
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """The clock runs from now."""
        self._timer = threading.Timer(self._deadline_s, self._bite)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """The case is over."""
        if self._timer is not None:
            self._timer.cancel()

    def _bite(self) -> None:
        with self._stacks.open("w+", encoding="utf-8") as out:
            faulthandler.dump_traceback(out, all_threads=True)
            out.seek(0)
            self._hung(out.read())
        _kill_children()
        if self._again:
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606  ourselves, as we were started
        os._exit(3)


def where(stacks: str) -> str:
    """The places in which threads of the product stand, innermost first, in one line."""
    said = []
    for part in stacks.split("\n\n"):
        frames = [line for line in part.splitlines() if "/core/" in line]
        if frames:
            said.append(" < ".join(_place(line) for line in frames[:3]))
    return " | ".join(said) or "no thread is in the product"


def _place(line: str) -> str:
    """`File "/x/core/a/b.py", line 3 in f` as `a/b.py:3 f`."""
    path, _, rest = line.strip().removeprefix('File "').partition('", line ')
    number, _, name = rest.partition(" in ")
    return f"{path.rpartition('/core/')[2]}:{number} {name}"


def _kill_children() -> None:
    """Both orgs and the workers; the database goes when nobody holds it."""
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                with contextlib.suppress(OSError):
                    os.kill(int(child), signal.SIGKILL)
