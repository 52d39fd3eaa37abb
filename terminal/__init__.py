"""The terminal's sub-commands, one file per subject; cli.py imports the one that is asked for."""

from __future__ import annotations
