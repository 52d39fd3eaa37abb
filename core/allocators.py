"""Tells this process's allocators to give memory back that rows no longer need.

A run makes and drops frames of a few megabytes on a dozen threads. Left to themselves glibc, Arrow
and polars' jemalloc keep what was freed, each in an arena per thread: a third of the peak held no
rows (docs/speed.md). Called once, before polars is imported; costs about 5 % of processor
time where frames are made. Does nothing where the C library has no such switch.
"""

from __future__ import annotations

import ctypes
import os

#: mallopt(3): names and numbers of glibc
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: blocks from this size on are the kernel's again as soon as they are freed
_LARGE_BYTES = 1_000_000
#: arenas of a process, whatever the number of its threads
_ARENAS = 2
#: read by jemalloc and Arrow when they are loaded. Pages that jemalloc holds as "muzzy" count as
#: used until the kernel is short of memory; polars' own setting keeps them for ever
_SWITCHES = {
    "_RJEM_MALLOC_CONF": f"narenas:{_ARENAS},dirty_decay_ms:100,muzzy_decay_ms:0",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


def keep_little_memory() -> None:
    """Sets the switches of all allocators; they hold for this process and those that it starts."""
    # not os.putenv: polars puts its own settings and those of os.environ together when it is
    # imported, and what it does not see there is lost
    os.environ.update(_SWITCHES)
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return
    set_option(_ARENA_MAX, _ARENAS)
    set_option(_MMAP_THRESHOLD, _LARGE_BYTES)
    set_option(_TRIM_THRESHOLD, _LARGE_BYTES)
