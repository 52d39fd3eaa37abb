"""Who saves, when, with which switches: what every write of rows is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orgsim.dml.outcomes import Outcomes, Refusal
from orgsim.schema.model import Schema
from orgsim.store import Store, Transaction
from orgsim.store.store import first_number


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """The request headers and job settings that change how rows are saved."""

    all_or_none: bool = False
    #: None: active assignment rules run; False: none; a text: that rule.
    assignment_rule: str | bool | None = None
    #: Duplicate rules that only alert let the row pass.
    allow_duplicates: bool = False
    update_only: bool = False
    #: Rows that the platform handles together: same keys inside one chunk collide.
    chunk_rows: int = 200


@dataclass(frozen=True, slots=True)
class OrgFacts:
    """What a save needs to know of the org itself."""

    organization_id: str
    pod: str
    #: Countries and states of the org's lists: code → {"name", "states": {code: name}}.
    countries: Mapping[str, Any] = field(default_factory=dict)
    currencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Save:
    """One caller's right to save rows: ``schema`` is what the caller sees, ``full`` the whole
    org."""

    store: Store
    schema: Schema
    full: Schema
    user_id: str
    #: Aware UTC; rows are stamped with whole seconds.
    now: datetime
    facts: OrgFacts
    permissions: frozenset[str] = frozenset()
    options: SaveOptions = SaveOptions()
    #: Called with the outcomes just before the commit, inside the transaction.
    before_commit: Callable[[Transaction, Outcomes], None] | None = None
    #: Planted faults: (object, operation, rows) → refusals by position.
    faults: Callable[[str, str, int], Mapping[int, Refusal]] | None = None
    #: How many more rows fit into the org's data storage; None: no limit.
    rows_left: Callable[[], int] | None = None

    @property
    def stamp(self) -> datetime:
        """``now`` as the store keeps it: naive UTC, whole seconds."""
        return self.now.replace(microsecond=0, tzinfo=None)

    def first_number(self, counter: str) -> int:
        """Where this org's counter of that name begins."""
        return first_number(self.facts.organization_id, counter)
