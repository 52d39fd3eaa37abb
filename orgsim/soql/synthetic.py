"""Fields that no describe lists: results of functions, and those of the Name entity."""

from __future__ import annotations

from functools import lru_cache

from orgsim.schema.kinds import BLANK
from orgsim.schema.model import Field


@lru_cache(maxsize=256)
def field_of(name: str, kind: str) -> Field:
    """Return a field of the describe type ``kind`` that is in no schema."""
    return Field({**BLANK, "name": name, "label": name, "type": kind})
