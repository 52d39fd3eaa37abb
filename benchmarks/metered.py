"""Our terminal with a meter on its before-images: what keeping them for an undo costs of a command.

    python -m benchmarks.metered run bench --json

The terminal's own output, then one line: the processor time of the threads that read, compare and
seal what target rows held before they are changed. What polars' own threads do for them is in the
process's time only.
"""

from __future__ import annotations

import re
import runpy
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: the line that is added, and how it is found again
LINE = "before-images took {:.3f} s of processor time"
_FOUND = re.compile(LINE.replace("{:.3f}", r"([\d.]+)"))
#: where before-images are kept: the load of rows that are there, and the passes after it
PLACES = (
    ("core.migration.load", "keep_before"),
    ("core.migration.second_pass", "keep_fields"),
    ("core.migration.finally_", "keep_fields"),
)


class Meter:
    """Seconds of processor time of the calls of some functions. Thread-safe."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._lock = threading.Lock()

    def on(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time noted."""

        def timed(*given: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return act(*given, **named)
            finally:
                with self._lock:
                    self.spent_s += time.thread_time() - began

        return timed


def main(arguments: list[str]) -> None:
    """Carry one command of the terminal."""
    meter = Meter()
    for place, name in PLACES:
        module = __import__(place, fromlist=[name])
        setattr(module, name, meter.on(getattr(module, name)))
    sys.argv = ["cli.py", *arguments]
    try:
        runpy.run_path("cli.py", run_name="__main__")
    finally:
        sys.stdout.write(f"\n{LINE.format(meter.spent_s)}\n")


def seconds(said: str) -> float:
    """What a metered command said of its before-images; 0 where it said nothing."""
    found = _FOUND.search(said)
    return float(found[1]) if found else 0.0


if __name__ == "__main__":
    main(sys.argv[1:])
