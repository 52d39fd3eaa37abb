"""In which order objects load: the lookup graph of a plan, its waves, and what waits.

    lookups of the plan ─┐
    object book ─────────┼─▶ edges (child → parent) ─▶ strongly connected components ─▶ waves
    after / defer ───────┘                                  └─▶ deferred lookups, or a named cycle

Inside a component a nillable **and** updateable lookup may wait for the second pass; no more of
them wait than the chosen order needs. Self lookups load parents first, by depth (`record_depth`). A
cycle of lookups that cannot wait is reported with its objects and fields (rule 4.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import permutations

from core.domain.describe import Field, SObject
from core.domain.object_book import ObjectBook, object_book
from core.domain.plan import ObjectMapping, Operation

#: components up to this size are ordered by trying all orders (720)
TRIED_OUT_MAX = 6


class EdgeKind(StrEnum):
    """Why one mapping must come before another."""

    LOOKUP = "lookup"  # a lookup that may wait for the second pass
    REQUIRED_LOOKUP = "required lookup"  # one that may not
    BOOK = "object book"  # the platform needs it though no lookup says so
    AFTER = "after"  # the plan says so
    DELETE = "delete"  # children are deleted before their parents


@dataclass(frozen=True, slots=True)
class Edge:
    """`child` loads after `parent` (names of mappings)."""

    child: str
    parent: str
    kind: EdgeKind
    reason: str
    #: target lookup, where one is the cause
    field: str | None = None

    @property
    def may_wait(self) -> bool:
        """The lookup can be filled in the second pass instead."""
        return self.kind is EdgeKind.LOOKUP


@dataclass(frozen=True, slots=True)
class Cycle:
    """Mappings that wait for each other and cannot be parted."""

    names: tuple[str, ...]
    edges: tuple[Edge, ...]

    @property
    def sentence(self) -> str:
        """The cycle in words, with the fields that close it."""
        steps = " → ".join(
            f"{edge.child}.{edge.field}" if edge.field else f"{edge.child} ({edge.kind.value})"
            for edge in self.edges
        )
        return f"These objects need each other first: {steps} → {self.edges[-1].parent}."


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """Waves of mapping names, and which lookups wait."""

    #: mappings of one wave need nothing of each other
    waves: tuple[tuple[str, ...], ...]
    edges: tuple[Edge, ...]
    #: mapping → target lookups that are filled in the second pass
    deferred: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: mapping → self lookups whose rows load parents first
    by_depth: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cycles: tuple[Cycle, ...] = ()
    #: (mapping, field, sentence): entries of `defer` that cannot wait
    wrong_defers: tuple[tuple[str, str, str], ...] = ()

    def wave_of(self, name: str) -> int:
        """The number of the wave (from 0) in which the mapping loads."""
        return next(number for number, wave in enumerate(self.waves) if name in wave)

    @property
    def order(self) -> tuple[str, ...]:
        """All mappings, parents first."""
        return tuple(name for wave in self.waves for name in wave)


def load_order(
    mappings: Sequence[ObjectMapping],
    targets: Mapping[str, SObject],
    *,
    book: ObjectBook | None = None,
) -> LoadOrder:
    """The order of the mappings, given the describes of their target objects (by API name).

    Objects without a describe take part with their `after` and the book only.
    """
    by_lower = {name.lower(): sobject for name, sobject in targets.items()}
    graph = _Graph(mappings, by_lower, book or object_book())
    edges = graph.edges()
    kept, waiting, cycles = _break_cycles([entry.name for entry in mappings], edges)
    deferred = _merge(graph.forced_defers(), waiting)
    return LoadOrder(
        waves=_waves([entry.name for entry in mappings], kept),
        edges=tuple(edges),
        deferred=deferred,
        by_depth=graph.self_lookups(deferred),
        cycles=tuple(cycles),
        wrong_defers=tuple(graph.wrong_defers()),
    )


def lookup_targets(
    mapping: ObjectMapping, field_described: Field, mappings: Sequence[ObjectMapping]
) -> tuple[ObjectMapping, ...]:
    """The mappings of a plan whose records a lookup may name, in the order they are asked.

    `through` picks them; else a `match` without `through` means records outside the plan; else all
    mappings whose target the lookup allows.
    """
    policy = mapping.lookup(field_described.name)
    if policy.through:
        return tuple(e for name in policy.through for e in mappings if e.name == name)
    if policy.match is not None:
        return ()
    allowed = {name.lower() for name in field_described.reference_to}
    if policy.object is not None:
        allowed &= {policy.object.lower()}
    return tuple(entry for entry in mappings if entry.target.lower() in allowed)


def written_lookups(mapping: ObjectMapping, target: SObject) -> tuple[Field, ...]:
    """The lookups of the target that the mapping may write."""
    named = {name.lower(): rule for name, rule in mapping.fields.items()}
    skipped = {name.lower() for name in mapping.skip}
    written = []
    for described in target.references:
        rule = named.get(described.name.lower())
        is_named = rule is not None and rule.is_applied and hasattr(rule, "source")
        is_policy = described.name.lower() in {name.lower() for name in mapping.lookups}
        is_auto = mapping.auto_map and rule is None and described.is_writeable
        if described.name.lower() not in skipped and (is_named or is_policy or is_auto):
            written.append(described)
    return tuple(written)


class _Graph:
    """Collects edges of the mappings of one plan."""

    def __init__(
        self, mappings: Sequence[ObjectMapping], targets: Mapping[str, SObject], book: ObjectBook
    ) -> None:
        self._mappings = mappings
        self._targets = targets
        self._book = book

    def edges(self) -> list[Edge]:
        edges: dict[tuple[str, str, str | None], Edge] = {}
        for mapping in self._mappings:
            for edge in (
                *self._explicit(mapping),
                *self._lookups(mapping),
                *self._book_of(mapping),
            ):
                if edge.child != edge.parent:
                    edges.setdefault((edge.child, edge.parent, edge.field), edge)
        explicit = {(e.child, e.parent) for e in edges.values() if e.kind is EdgeKind.AFTER}
        return [
            edge
            for edge in edges.values()
            # what the plan says overrides what the book says
            if not (edge.kind is EdgeKind.BOOK and (edge.parent, edge.child) in explicit)
        ]

    def forced_defers(self) -> dict[str, list[str]]:
        return {
            mapping.name: [d.name for d in self._deferred_fields(mapping)]
            for mapping in self._mappings
            if mapping.defer
        }

    def wrong_defers(self) -> Iterable[tuple[str, str, str]]:
        for mapping in self._mappings:
            target = self._targets.get(mapping.target.lower())
            for name in mapping.defer:
                if target is None:
                    continue
                if name not in target.fields:
                    yield mapping.name, name, f"{mapping.target} has no field {name}"
                elif not _may_wait(target.fields[name]):
                    yield mapping.name, name, _why_not_wait(target.fields[name])

    def self_lookups(self, deferred: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for mapping in self._mappings:
            target = self._targets.get(mapping.target.lower())
            if target is None or mapping.operation.is_delete:
                continue
            names = tuple(
                described.name
                for described in written_lookups(mapping, target)
                if mapping in lookup_targets(mapping, described, self._mappings)
                and described.name not in deferred.get(mapping.name, ())
            )
            if names:
                found[mapping.name] = names
        return found

    def _deferred_fields(self, mapping: ObjectMapping) -> list[Field]:
        target = self._targets.get(mapping.target.lower())
        if target is None:
            return []
        known = [target.fields[name] for name in mapping.defer if name in target.fields]
        return [described for described in known if _may_wait(described)]

    def _explicit(self, mapping: ObjectMapping) -> Iterable[Edge]:
        for name in mapping.after:
            yield Edge(mapping.name, name, EdgeKind.AFTER, "the plan says so")

    def _lookups(self, mapping: ObjectMapping) -> Iterable[Edge]:
        target = self._targets.get(mapping.target.lower())
        if target is None or mapping.operation is Operation.PRESERVE:
            return
        if mapping.operation.is_delete:
            yield from self._held_by_parents(mapping, target)
            return
        deferred = {described.name for described in self._deferred_fields(mapping)}
        in_key = _key_lookups(mapping, target)
        for described in _dedupe((*written_lookups(mapping, target), *in_key)):
            if described.name in deferred:
                continue
            for parent in lookup_targets(mapping, described, self._mappings):
                yield self._lookup_edge(mapping, described, parent, in_key=described in in_key)

    def _held_by_parents(self, mapping: ObjectMapping, target: SObject) -> Iterable[Edge]:
        """Every lookup counts, whether the plan maps it or not: with a parent its children go, or
        they keep it. Those that a delete only empties bind nothing."""
        for described in target.references:
            for parent in lookup_targets(mapping, described, self._mappings):
                above = self._targets.get(parent.target.lower())
                if above is None or above.holds(target.name, described.name):
                    reason = f"{described.name} points at it: children are deleted first"
                    yield Edge(parent.name, mapping.name, EdgeKind.DELETE, reason, described.name)

    def _lookup_edge(
        self, mapping: ObjectMapping, described: Field, parent: ObjectMapping, *, in_key: bool
    ) -> Edge:
        if in_key:
            reason = f"{described.name} is part of the key"
            return Edge(mapping.name, parent.name, EdgeKind.REQUIRED_LOOKUP, reason, described.name)
        if _may_wait(described):
            reason = f"{described.name} points at it"
            return Edge(mapping.name, parent.name, EdgeKind.LOOKUP, reason, described.name)
        reason = _why_not_wait(described)
        return Edge(mapping.name, parent.name, EdgeKind.REQUIRED_LOOKUP, reason, described.name)

    def _book_of(self, mapping: ObjectMapping) -> Iterable[Edge]:
        if mapping.operation.is_delete or mapping.operation is Operation.PRESERVE:
            return
        for implicit in self._book.entry(mapping.target).after:
            for parent in self._mappings:
                if parent.target.lower() == implicit.object.lower():
                    yield Edge(mapping.name, parent.name, EdgeKind.BOOK, implicit.reason)


def _may_wait(described: Field) -> bool:
    return described.nillable and described.updateable


def _why_not_wait(described: Field) -> str:
    if not described.updateable:
        return f"{described.name} can be written on insert only"
    return f"{described.name} is required"


def _key_lookups(mapping: ObjectMapping, target: SObject) -> tuple[Field, ...]:
    """Lookups that parts of the target key go through or are."""
    found = []
    for path in mapping.key.target:
        head, _, rest = path.partition(".")
        if rest and head.lower() in target.by_relationship:
            found.append(target.by_relationship[head.lower()])
        elif not rest and head in target.fields and target.fields[head].is_reference:
            found.append(target.fields[head])
    return tuple(found)


def _dedupe(fields: Iterable[Field]) -> list[Field]:
    return list({described.name: described for described in fields}.values())


def _break_cycles(
    names: Sequence[str], edges: Sequence[Edge]
) -> tuple[list[Edge], dict[str, list[str]], list[Cycle]]:
    """Edges that stay, lookups that wait, cycles that cannot be broken."""
    kept, waiting, cycles = list(edges), dict[str, list[str]](), list[Cycle]()
    for component in _components(names, edges):
        inside = [e for e in edges if e.child in component and e.parent in component]
        hard = [edge for edge in inside if not edge.may_wait]
        for knot in _components(component, hard):
            cycle = _one_cycle(knot, hard)
            cycles.append(cycle)
            # go on as if the knot were cut, so that the rest of the plan still gets an order
            hard = [e for e in hard if not (e.child in knot and e.parent in knot)]
            kept = [e for e in kept if not (e.child in knot and e.parent in knot and e in inside)]
        late = _late(_order_component(component, inside, hard), inside)
        for child, name in sorted(late, key=str):
            waiting.setdefault(child, []).append(str(name))
        kept = [e for e in kept if not (e.may_wait and (e.child, e.field) in late)]
    return kept, waiting, cycles


def _order_component(
    component: Sequence[str], inside: Sequence[Edge], hard: Sequence[Edge]
) -> list[str]:
    """Hard parents first, and as few lookups waiting as can be found."""
    greedy = _greedy_order(component, inside, hard)
    if len(component) > TRIED_OUT_MAX:
        return greedy
    allowed = (order for order in permutations(component) if _keeps(order, hard))
    best = min(allowed, key=lambda order: len(_late(order, inside)), default=tuple(greedy))
    return list(best) if len(_late(best, inside)) < len(_late(greedy, inside)) else greedy


def _greedy_order(
    component: Sequence[str], inside: Sequence[Edge], hard: Sequence[Edge]
) -> list[str]:
    """Among the mappings whose hard parents are placed, the one whose soft ones are most so."""
    left, placed = list(component), list[str]()
    while left:
        ready = [
            name for name in left if not any(e.child == name and e.parent in left for e in hard)
        ]
        chosen = min(
            ready,
            key=lambda name: sum(
                1 for e in inside if e.may_wait and e.child == name and e.parent in left
            ),
        )
        placed.append(chosen)
        left.remove(chosen)
    return placed


def _keeps(order: Sequence[str], hard: Sequence[Edge]) -> bool:
    position = {name: at for at, name in enumerate(order)}
    return all(position[edge.parent] < position[edge.child] for edge in hard)


def _late(order: Sequence[str], inside: Sequence[Edge]) -> set[tuple[str, str | None]]:
    """Lookups (mapping, field) whose parent comes after them in this order."""
    position = {name: at for at, name in enumerate(order)}
    return {
        (edge.child, edge.field)
        for edge in inside
        if edge.may_wait and position[edge.parent] > position[edge.child]
    }


def _components(names: Sequence[str], edges: Iterable[Edge]) -> list[list[str]]:
    """Strongly connected components of more than one mapping, in the order of `names`."""
    following: dict[str, list[str]] = {name: [] for name in names}
    for edge in edges:
        following[edge.child].append(edge.parent)
    reach = {name: _reachable(name, following) for name in names}
    seen: set[str] = set()
    components = []
    for name in names:
        if name not in seen:
            together = [o for o in names if o in reach[name] and name in reach[o]]
            seen.update(together)
            if len(together) > 1:
                components.append(together)
    return components


def _reachable(start: str, following: Mapping[str, Sequence[str]]) -> set[str]:
    seen: set[str] = set()
    todo = list(following[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(following[name])
    return seen


def _one_cycle(knot: Sequence[str], hard: Sequence[Edge]) -> Cycle:
    """A shortest closed walk through the first mapping of the knot."""
    start = knot[0]
    paths: list[list[Edge]] = [[e] for e in hard if e.child == start and e.parent in knot]
    seen: set[str] = set()
    while paths:
        path = paths.pop(0)
        end = path[-1].parent
        if end == start:
            return Cycle(names=tuple(edge.child for edge in path), edges=tuple(path))
        if end not in seen:
            seen.add(end)
            paths.extend([*path, e] for e in hard if e.child == end and e.parent in knot)
    return Cycle(names=tuple(knot), edges=tuple(e for e in hard if e.child in knot))


def _waves(names: Sequence[str], edges: Iterable[Edge]) -> tuple[tuple[str, ...], ...]:
    """Longest path from the roots; `edges` have no cycle."""
    parents: dict[str, set[str]] = {name: set() for name in names}
    for edge in edges:
        parents[edge.child].add(edge.parent)
    waves: list[tuple[str, ...]] = []
    placed: set[str] = set()
    while len(placed) < len(parents):
        wave = tuple(n for n in parents if n not in placed and parents[n] <= placed)
        waves.append(wave)
        placed.update(wave)
    return tuple(waves)


def _merge(
    forced: Mapping[str, list[str]], waiting: Mapping[str, list[str]]
) -> dict[str, tuple[str, ...]]:
    names = {*forced, *waiting}
    merged = {
        name: tuple(dict.fromkeys([*forced.get(name, ()), *waiting.get(name, ())]))
        for name in sorted(names)
    }
    return {name: fields for name, fields in merged.items() if fields}


def only(order: LoadOrder, names: Iterable[str]) -> LoadOrder:
    """The same order for some of the mappings (a run with ``--only``)."""
    wanted = set(names)
    waves = (tuple(name for name in wave if name in wanted) for wave in order.waves)
    return replace(order, waves=tuple(wave for wave in waves if wave))
