"""Rows on their way into an org: plain values, and references to rows that have no id yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

#: A value of a field. A text that starts with ``@`` in a lookup field refers to another row's
#: ``@ref``.
Value: TypeAlias = str | int | float | bool | date | datetime | None
Row: TypeAlias = dict[str, Value]

#: The key of a row's own name inside a data set; it is unique over all tables.
REF = "@ref"
#: The key of ``<parent sobject>|<parent ref>|<child relationship>`` of a row nested under its
#: parent.
PARENT = "@parent"


class DataSetError(ValueError):
    """A data set cannot be read; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one sobject. ``@ref`` names a row so that lookups of others can point at it.

    ``update`` changes rows that are there already instead of making new ones. With a ``key`` (paths
    of fields) rows that the org has by that key are changed and the others made; ``@ref`` is then
    ``<sobject>|<values joined by ;>``.
    """

    sobject: str
    rows: tuple[Row, ...]
    update: bool = False
    key: tuple[str, ...] = ()
