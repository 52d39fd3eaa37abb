"""From a plan and both orgs' describes to the steps of a run.

Fields without a rule are matched by API name, then by label; a key that is stamped becomes a rule
of its own; lookups are told apart from plain fields and given the mappings that translate them; the
lookup graph gives the waves. Nothing is read from the orgs but describes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.domain.automap import completed
from core.domain.book_rules import BookNote, ByTheBook, by_the_book
from core.domain.describe import Field, SObject
from core.domain.ordering import Cycle, LoadOrder, load_order, lookup_targets
from core.domain.plan import (
    CopyRule,
    ExpressionRule,
    LookupPolicy,
    ObjectMapping,
    Operation,
    Plan,
    RuleBase,
)
from core.domain.rules import told_field
from core.errors import UserError
from core.migration.adopt import row_paths
from core.migration.persons import person_paths
from core.migration.spec import Lookup, Step

_USERS = frozenset({"user", "group"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """The steps of a run in loading order, and what stands in the way."""

    steps: tuple[Step, ...]
    order: LoadOrder
    #: the plan with every field said; what the run keeps
    mappings: tuple[ObjectMapping, ...]
    #: what the object book changed, and why
    notes: tuple[BookNote, ...] = ()

    @property
    def cycles(self) -> tuple[Cycle, ...]:
        """Lookups that wait for each other and cannot be parted."""
        return self.order.cycles

    def step(self, name: str) -> Step:
        """The step of a mapping."""
        return next(step for step in self.steps if step.name == name)


@dataclass(frozen=True, slots=True)
class _Described:
    """Both describes of one object mapping."""

    source: SObject
    target: SObject


def resolve(plan: Plan, sources: Mapping[str, SObject], targets: Mapping[str, SObject]) -> Resolved:
    """Everything said.

    Args:
        sources: describes of the source org by lower-case name; likewise `targets`.
    Raises:
        UserError: an object or field of the plan is not there; the message names the place.
    """
    effective: list[ObjectMapping] = []
    sides: list[_Described] = []
    notes: list[BookNote] = []
    for number, mapping in enumerate(plan.objects):
        place = f"objects[{number}]"
        described = _Described(
            _described(sources, mapping.source, plan.source, f"{place}.source"),
            _described(targets, mapping.target, plan.target, f"{place}.target"),
        )
        done = _effective(plan, mapping, described, place)
        effective.append(done.mapping)
        sides.append(described)
        notes.extend(done.notes)
    order = load_order(effective, targets)
    positions = {entry.name: at for at, entry in enumerate(effective)}
    steps = [
        _step(plan, effective, positions[name], order=order, wave=wave, sides=sides)
        for wave, names in enumerate(order.waves)
        for name in names
    ]
    return Resolved(tuple(steps), order, tuple(effective), tuple(notes))


def _effective(plan: Plan, mapping: ObjectMapping, sides: _Described, place: str) -> ByTheBook:
    """The mapping with every field said, and what the object book made of it."""
    target = sides.target
    if mapping.operation.is_delete or mapping.operation is Operation.PRESERVE:
        return ByTheBook(mapping.model_copy(update={"fields": {}, "auto_map": False}))
    named: dict[str, RuleBase] = {}
    for name, rule in mapping.applied_fields.items():
        if name not in target.fields:
            raise UserError(
                f"{told_field(target, name)}: {mapping.target} in {plan.target} has no field "
                f"{name} ({place}.fields.{name}).",
                state="Nothing was read or written.",
                next_step=target.advice(name),
            )
        named[target.fields[name].name] = rule
    skipped = {name.lower() for name in mapping.skip}
    for name, policy in mapping.lookups.items():
        is_open = name in target.fields and name.lower() not in skipped
        if is_open and target.fields[name].name not in named:
            named[target.fields[name].name] = CopyRule(source=policy.source or name)
    named.update(_stamp(mapping, target, named))
    said = mapping.model_copy(update={"fields": named})
    if mapping.auto_map:
        rejected = [n for n, rule in mapping.fields.items() if not rule.is_applied]
        open_ones = said.model_copy(update={"skip": (*mapping.skip, *rejected)})
        in_plan = [entry.target for entry in plan.objects]
        users = plan.users is not None
        done = completed(open_ones, sides.source, target, in_plan=in_plan, users=users)
        said = said.model_copy(update={"fields": dict(done.fields)})
    said = said.model_copy(update={"auto_map": False})
    return by_the_book(said, sides.source, target)


def _stamp(
    mapping: ObjectMapping, target: SObject, named: Mapping[str, RuleBase]
) -> dict[str, RuleBase]:
    """The rule that writes the key into the target's key field, unless the plan fills it itself."""
    key = mapping.key
    if len(key.target) != 1 or key.target[0] not in target.fields:
        return {}
    entry = target.fields[key.target[0]]
    if not entry.createable or entry.name in named or entry.is_reference:
        return {}
    if key.value is not None:
        return {entry.name: ExpressionRule(expression=key.value)}
    return {entry.name: CopyRule(source=key.source[0])}


def _step(
    plan: Plan,
    mappings: Sequence[ObjectMapping],
    position: int,
    *,
    order: LoadOrder,
    wave: int,
    sides: Sequence[_Described],
) -> Step:
    mapping = mappings[position]
    source, target = sides[position].source, sides[position].target
    deferred = {name.lower() for name in order.deferred.get(mapping.name, ())}
    rules: dict[str, RuleBase] = {}
    lookups: list[Lookup] = []
    for name, rule in mapping.fields.items():
        entry = target.fields[name]
        if not (entry.is_reference and isinstance(rule, CopyRule)):
            rules[name] = rule
            continue
        policy = _policy(plan, mapping, entry)
        parents = tuple(m.name for m in lookup_targets(mapping, entry, mappings))
        lookups.append(
            Lookup(
                field=entry,
                source=rule.source,
                policy=policy,
                parents=parents,
                deferred=name.lower() in deferred,
                own=mapping.name in parents and name.lower() not in deferred,
            )
        )
    extra = (*_match_paths(lookups, source), *row_paths(target, source))
    extra = (*extra, *person_paths(target, source), *_written_keys(lookups, source))
    return Step(mapping, source, target, rules, tuple(lookups), wave, position, extra)


def _policy(plan: Plan, mapping: ObjectMapping, entry: Field) -> LookupPolicy:
    given = {name.lower() for name in mapping.lookups}
    is_user = bool(_USERS & {name.lower() for name in entry.reference_to})
    if entry.name.lower() not in given and is_user and plan.users is not None:
        return plan.users
    return mapping.lookup(entry.name)


def _match_paths(lookups: Iterable[Lookup], source: SObject) -> Iterable[str]:
    """Paths through the lookup's own relationship that a `match` compares by."""
    for lookup in lookups:
        match = lookup.policy.match
        if match is None or lookup.source not in source.fields:
            continue
        relation = source.fields[lookup.source].relationship_name
        if relation and "." not in match.source:
            yield f"{relation}.{match.source}"


def _written_keys(lookups: Iterable[Lookup], source: SObject) -> Iterable[str]:
    """What a file says in the place of a record's id, read along for the reader of a failure."""
    for lookup in lookups:
        if lookup.source not in source.fields:  # a path through another record
            continue
        relation = source.fields[lookup.source].relationship_name
        if relation and relation in source.fields:
            yield source.fields[relation].name


def _described(found: Mapping[str, SObject], name: str, org: str, place: str) -> SObject:
    sobject = found.get(name.lower())
    if sobject is None:
        raise UserError(
            f"The org {org} has no object {name}, or the connected user may not see it ({place}).",
            state="Nothing was read or written.",
            next_step="Correct the name, or give the user access to the object.",
        )
    return sobject
