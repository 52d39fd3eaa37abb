"""What a terminal's or a worker's process does with memory that it needs no more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: 200 MB of columns of 4 MB are made and dropped; looked at for a while, since pages decay by time
_SCRIPT = """
import json, os, sys, time
from pathlib import Path
from core.allocators import keep_little_memory
if sys.argv[1] == "told":
    keep_little_memory()
import polars as pl
import pyarrow as pa

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000

switches = os.environ.get("_RJEM_MALLOC_CONF", "")
before = resident_mb()
kept = [pl.int_range(500_000, eager=True) for _ in range(50)]
assert resident_mb() > before + 150
del kept
ends = time.monotonic() + float(sys.argv[2])
while resident_mb() > before + 50 and time.monotonic() < ends:
    pl.int_range(1_000, eager=True).sort()
print(json.dumps([pa.default_memory_pool().backend_name, resident_mb() - before, switches]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the switches are those of glibc's systems")
def test_what_dropped_frames_held_goes_back_to_the_system() -> None:
    pool, left_mb, switches = _left("told", wait_s=60)

    assert pool == "system"
    assert left_mb <= 50
    # polars has settings of its own: of two the last one holds
    assert switches.endswith("narenas:2,dirty_decay_ms:100,muzzy_decay_ms:0")


def _left(how: str, *, wait_s: float) -> tuple[str, int, str]:
    command = [sys.executable, "-c", _SCRIPT, how, str(wait_s)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    pool, left_mb, switches = json.loads(done.stdout)
    return pool, left_mb, switches
