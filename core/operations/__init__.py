"""Everything that one can launch: the protocol, the registry, and one file per operation."""

from __future__ import annotations
