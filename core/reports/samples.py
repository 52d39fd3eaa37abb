"""One value that reads back otherwise than it was sent: what a person looks at, row by row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One field of one record."""

    mapping: str
    field: str
    source_id: str
    target_id: str
    #: None: the field was emptied
    sent: str | None
    #: None: the field is blank, or the record is gone (field Id)
    found: str | None
    #: a `Difference`
    difference: str
