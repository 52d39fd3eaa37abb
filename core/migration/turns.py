"""Which objects of a run go side by side, and the threads on which they do (rule 3.11).

    steps in loading order ─▶ `earlier`: those that each must wait for ─▶ turns ─▶ `go`

Of two steps that have anything to do with each other (a lookup, the object book, the plan's
`after`, the same target object, a parent whose row both lock) the later one of the loading order
waits for the earlier one, so that a run does the same things in the same order however many threads
it has. Whatever is left may overlap. Each step keeps its own place in the database; what is side by
side shares nothing but id maps, the orgs' connections and the run's places for chunks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations

from core.db.run_state import TakenOverError
from core.domain.object_book import object_book
from core.domain.ordering import Edge
from core.domain.plan import IdsRule
from core.migration.context import HALT, StopRequested
from core.migration.deciding import DecisionNeeded
from core.migration.spec import Step

log = logging.getLogger(__name__)

#: objects that are loaded at once, and objects that are read at once beside them: what each holds
#: in memory is bounded (a page while it is read, nothing while the org prepares it). An org seldom
#: carries out more than four reads together, and begins the next one of its queue while the end of
#: another has yet to be noticed
LOADS_AT_ONCE = 3
READS_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing to do for one mapping, once others are done."""

    name: str
    act: Callable[[], object]
    #: names of turns that come first
    after: Collection[str] = ()
    #: it reads the source and is cheap: it has threads of its own
    is_reading: bool = False


def earlier(steps: Sequence[Step], edges: Collection[Edge]) -> Mapping[str, frozenset[str]]:
    """Names of the steps that each step must wait for, all of them before it in loading order."""
    bound = {frozenset((edge.child, edge.parent)) for edge in edges}
    found: dict[str, set[str]] = {step.name: set() for step in steps}
    for one, other in combinations(steps, 2):
        if frozenset((one.name, other.name)) in bound or _meet(one, other):
            found[other.name].add(one.name)
    return {name: frozenset(names) for name, names in found.items()}


def locked(step: Step) -> frozenset[str]:
    """Objects of the target, in small letters, of which rows are locked while the step writes: its
    own, masters, and those that the object book names."""
    held = object_book().entry(step.target.name).locks
    names = {step.target.name}
    for field in step.target.references:
        if field.is_master_detail or field.cascade_delete or field.name in held:
            names.update(field.reference_to)
    return frozenset(name.lower() for name in names)


def go(turns: Sequence[Turn], *, halt: Callable[[], None]) -> None:
    """Takes every turn; returns when all are done.

    Args:
        halt: tells turns under way to end at the next safe place, since another one has failed.
    Raises:
        what ended the first turn that failed, after all turns under way have come to their own end.
    """
    left, done = list(turns), set[str]()
    flying: dict[Future[object], Turn] = {}
    faults: list[BaseException] = []
    with ExitStack() as stack:
        pools = {
            reading: stack.enter_context(ThreadPoolExecutor(width, thread_name_prefix="turn"))
            for reading, width in ((True, READS_AT_ONCE), (False, LOADS_AT_ONCE))
        }
        stack.callback(_give_up, flying, halt)
        while flying or (left and not faults):
            for turn in [] if faults else _ready(left, done):
                left.remove(turn)
                flying[pools[turn.is_reading].submit(turn.act)] = turn
            landed, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in landed:
                turn, fault = flying.pop(future), future.exception()
                done.add(turn.name)
                if fault is not None:
                    faults.append(fault)
                    _give_up(flying, halt)
    if faults:
        raise _weightiest(faults)


def _give_up(flying: dict[Future[object], Turn], halt: Callable[[], None]) -> None:
    """Takes back what has not begun; what has begun is told to end."""
    for future in [one for one in flying if one.cancel()]:
        del flying[future]
    if flying:
        halt()


def _ready(left: Sequence[Turn], done: Collection[str]) -> list[Turn]:
    return [turn for turn in left if all(name in done for name in turn.after)]


def _weightiest(faults: Sequence[BaseException]) -> BaseException:
    """What the run ends with; the others are in the log."""
    chosen = min(faults, key=_rank)
    for fault in faults:
        if fault is not chosen and not isinstance(fault, StopRequested):
            log.warning("another object stopped too", extra={"why": str(fault)})
    return chosen


def _rank(fault: BaseException) -> int:
    if isinstance(fault, StopRequested):
        return 3 if fault.wish == HALT else 2
    if isinstance(fault, DecisionNeeded):
        return 1
    return -1 if isinstance(fault, TakenOverError) else 0


def _meet(one: Step, other: Step) -> bool:
    """Two steps have to do with each other beyond the edges of the loading order."""
    if any(_stands_alone(step) for step in (one, other)):
        return True
    if _names(one, other) or _names(other, one):
        return True
    return bool(locked(one) & locked(other))


def _stands_alone(step: Step) -> bool:
    """Nothing goes beside it: the plan says so, deletes take others' rows along, and hidden ids are
    rewritten with what has arrived so far."""
    if step.mapping.load.serial or step.operation.is_delete:
        return True
    return any(isinstance(rule, IdsRule) for rule in step.rules.values())


def _names(one: Step, other: Step) -> bool:
    return any(other.name in lookup.parents for lookup in one.lookups)
