"""What is kept in memory between two reruns of an editor: parsed drafts, objects as they are shown.

A draft of one revision never changes, so its parsed form can be shared; an edit shares every object
mapping that it did not touch, and with it what was counted over its fields. Nothing here is asked
before the database has said that the person may see the plan, and at which revision it is.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from core.domain.plan import ObjectMapping, Plan, mapping_document, plan_document
from core.plans.field_rows import MappingProgress
from core.plans.launch_rules import Around

PLANS_KEPT = 8
SHOWN_KEPT = 2_000
COUNTS_KEPT = 1_000
#: object mappings whose documents are kept; one of 500 fields takes about 200 kB
SPELT_KEPT = 200
#: a describe that was refreshed shows in the list of objects after this long
SHOWN_FOR_S = 30.0

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Shown:
    """One object mapping as the editor shows it."""

    #: with what a launch adds by itself
    entry: ObjectMapping
    progress: MappingProgress
    #: set while an org does not answer: when it last said what is shown of it
    since: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """What was made of a mapping, which is kept as an object so that its id stays taken."""

    entry: ObjectMapping
    beside: Around
    shown: Shown
    until: float


class _Newest(Generic[K, V]):
    """The values used last, at most so many. Thread-safe."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._values: OrderedDict[K, V] = OrderedDict()
        self._mutex = threading.Lock()

    def find(self, key: K) -> V | None:
        with self._mutex:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def keep(self, key: K, value: V) -> None:
        with self._mutex:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._kept:
                self._values.popitem(last=False)


_plans: _Newest[tuple[UUID, int], Plan] = _Newest(PLANS_KEPT)
_open_fields: _Newest[tuple[UUID, int], int] = _Newest(COUNTS_KEPT)
_shown: _Newest[tuple[UUID, int], _Held] = _Newest(SHOWN_KEPT)
#: by the id of a mapping: itself, so that the id stays taken, and its document
_spelt: _Newest[int, tuple[ObjectMapping, dict[str, Any]]] = _Newest(SPELT_KEPT)


def known_plan(plan_id: UUID, revision: int) -> Plan | None:
    """The draft at that revision, if it was parsed or saved here."""
    return _plans.find((plan_id, revision))


def keep_plan(plan_id: UUID, revision: int, plan: Plan) -> Plan:
    """Remembers a draft; returns it."""
    _plans.keep((plan_id, revision), plan)
    return plan


def document_of(plan: Plan) -> dict[str, Any]:
    """The plan's document; mappings that an edit left as they were are not spelt again. Not to be
    changed by whoever gets it."""
    document = plan_document(plan.model_copy(update={"objects": ()}))
    return {**document, "objects": [_document_of(entry) for entry in plan.objects]}


def _document_of(entry: ObjectMapping) -> dict[str, Any]:
    found = _spelt.find(id(entry))
    if found is not None and found[0] is entry:
        return found[1]
    made = mapping_document(entry)
    _spelt.keep(id(entry), (entry, made))
    return made


def known_to_review(plan_id: UUID, revision: int) -> int | None:
    """How many fields wait for a person, if the draft was opened at that revision."""
    return _open_fields.find((plan_id, revision))


def keep_to_review(plan_id: UUID, revision: int, fields: int) -> None:
    """Remembers how many fields of a draft wait for a person."""
    _open_fields.keep((plan_id, revision), fields)


def shown_of(
    plan_id: UUID, entry: ObjectMapping, beside: Around, *, make: Callable[[], Shown]
) -> Shown:
    """An object mapping as shown; made anew when it or the plan around it changed, or after a
    while."""
    key = (plan_id, id(entry))
    found = _shown.find(key)
    is_same = found is not None and found.entry is entry and found.beside == beside
    if found is not None and is_same and time.monotonic() < found.until:
        return found.shown
    made = _Held(entry, beside, make(), time.monotonic() + SHOWN_FOR_S)
    _shown.keep(key, made)
    return made.shown
