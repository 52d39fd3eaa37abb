"""What a proof says, as data: objects, fields, counts, checks, and the verdict over all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from core.domain.names import object_name
from core.domain.normalise import Difference

#: what became of rows; read is their sum (rule 6.1)
SEVEN = ("inserted", "updated", "unchanged", "skipped", "blocked", "failed", "not_processed")
#: classes of difference that are nobody's loss
HARMLESS = tuple(kind.value for kind in Difference if kind is not Difference.LOST)


class Verdict(StrEnum):
    """What a check, or the whole proof, comes to."""

    PROVEN = "proven"  # it holds
    NOTE = "note"  # it holds, with something to know
    BROKEN = "broken"  # it does not hold
    OPEN = "open"  # it was not looked at


@dataclass(frozen=True, slots=True)
class Check:
    """One claim and whether it holds."""

    title: str
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class FieldProof:
    """One field of one mapping: every value as sent against the target."""

    name: str
    is_lookup: bool
    #: values that were sent, blanks among them, in rows that the org took
    compared: int
    #: rows by class of difference
    differences: Mapping[str, int]
    #: number fields: the total as sent and as it stands in the same rows
    sum_sent: Decimal | None = None
    sum_found: Decimal | None = None
    #: lookups: rows whose parent was found, or not: left blank, or held back
    resolved: int = 0
    left_blank: int = 0
    held_back: int = 0

    @property
    def lost(self) -> int:
        """Values that were sent, accepted, and are not there."""
        return self.differences.get(Difference.LOST.value, 0)

    @property
    def sums_agree(self) -> bool:
        """Whether both totals are the same; true where there is none."""
        return self.sum_sent == self.sum_found


@dataclass(frozen=True, slots=True)
class Promise:
    """What a run meant to do with rows of one kind, and what it did."""

    bucket: str
    promised: int
    happened: int


@dataclass(frozen=True, slots=True)
class ObjectProof:
    """One mapping of the run."""

    name: str
    source: str
    target: str
    operation: str
    read: int
    #: by the seven words of the identity
    totals: Mapping[str, int]
    twins: int
    lookups_left_blank: int
    second_pass: int
    #: whether its rows were compared with the target
    is_compared: bool
    rows: int
    missing: int
    fields: tuple[FieldProof, ...]
    promises: tuple[Promise, ...]

    @property
    def told(self) -> str:
        """As people know it."""
        return object_name(self.name, self.target)

    @property
    def adds_up(self) -> bool:
        """Read is the sum of the seven (rule 6.1)."""
        return self.read == sum(self.totals.values())

    @property
    def not_arrived(self) -> int:
        """Rows that did not arrive as asked."""
        return sum(self.totals[name] for name in ("blocked", "failed", "not_processed"))

    @property
    def values(self) -> int:
        """Values compared."""
        return sum(field.compared for field in self.fields)

    @property
    def lost(self) -> int:
        """Values lost, rows that are gone counted as one each."""
        return sum(field.lost for field in self.fields) + self.missing

    def of_class(self, kind: str) -> int:
        """Values whose difference is of this class."""
        return sum(field.differences.get(kind, 0) for field in self.fields)


@dataclass(frozen=True, slots=True)
class CountProof:
    """Rows of one target object before and after the run."""

    target: str
    before: int
    inserted: int
    deleted: int
    after: int

    @property
    def expected(self) -> int:
        """Rows if nobody else had touched the object."""
        return self.before + self.inserted - self.deleted

    @property
    def beyond(self) -> int:
        """Rows more (or fewer, below zero) than this run accounts for."""
        return self.after - self.expected


@dataclass(frozen=True, slots=True)
class Reader:
    """With whose eyes one org was read (rule 1.3)."""

    role: str
    org: str
    user: str
    #: None: the org did not say
    sees_all: bool | None


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything a proof says."""

    run: str
    plan: str
    version: int | None
    mode: str
    status: str
    source: str
    target: str
    requested_by: str
    reason: str | None
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    watermark: dt.datetime | None
    readers: tuple[Reader, ...]
    objects: tuple[ObjectProof, ...]
    counts: tuple[CountProof, ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the checks; open only where nothing worse is known."""
        found = {check.verdict for check in self.checks}
        order = (Verdict.BROKEN, Verdict.OPEN, Verdict.NOTE)
        return next((verdict for verdict in order if verdict in found), Verdict.PROVEN)

    @property
    def restricted(self) -> tuple[Reader, ...]:
        """Readers who may not have seen everything: the proof holds for what they see."""
        return tuple(reader for reader in self.readers if reader.sees_all is not True)

    @property
    def heading(self) -> str:
        """Whose view the proof holds for; empty where all users see all data."""
        if not self.restricted:
            return ""
        seen = " and ".join(f"{reader.user} in {reader.org}" for reader in self.restricted)
        return f"As visible to {seen}"
