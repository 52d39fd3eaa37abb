"""Exit statuses, a stable contract for scripts and CI."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the shell gets."""

    OK = 0  # every row ok
    FAILED = 1  # refused or failed; also a wrong command line
    LEFT_ROWS = 2  # finished, but rows failed, were blocked, not processed, or lookups left blank
    WAITS = 3  # a decision or an approval is asked for; worker and lock are released
    INTERRUPTED = 130  # resumable
