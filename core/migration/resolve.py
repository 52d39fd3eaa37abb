"""From a plan and both orgs' describes to the steps of a run.

Fields without a rule are matched by API name, then by label; a key that is stamped becomes a rule
of its own; lookups are told apart from plain fields and given the mappings that translate them; the
lookup graph gives the waves. Nothing is read from the orgs but describes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.domain.book_rules import by_the_book
from core.domain.describe import COMPOUND_TYPES, Field, SObject
from core.domain.object_book import object_book
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
from core.errors import UserError
from core.migration.adopt import row_paths
from core.migration.persons import person_paths
from core.migration.spec import Lookup, Step

#: written by the platform, or by people with a special right who then say so in the plan
SYSTEM_FIELDS = frozenset(
    {
        "id",
        "isdeleted",
        "createddate",
        "createdbyid",
        "lastmodifieddate",
        "lastmodifiedbyid",
        "systemmodstamp",
        "masterrecordid",
        "lastactivitydate",
        "lastvieweddate",
        "lastreferenceddate",
    }
)
_USERS = frozenset({"user", "group"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """The steps of a run in loading order, and what stands in the way."""

    steps: tuple[Step, ...]
    order: LoadOrder
    #: the plan with every field said; what the run keeps
    mappings: tuple[ObjectMapping, ...]

    @property
    def cycles(self) -> tuple[Cycle, ...]:
        """Lookups that wait for each other and cannot be parted."""
        return self.order.cycles

    def step(self, name: str) -> Step:
        """The step of a mapping."""
        return next(step for step in self.steps if step.name == name)


def resolve(plan: Plan, sources: Mapping[str, SObject], targets: Mapping[str, SObject]) -> Resolved:
    """Everything said.

    Args:
        sources: describes of the source org by lower-case name; likewise `targets`.
    Raises:
        UserError: an object or field of the plan is not there; the message names the place.
    """
    effective = tuple(
        _effective(plan, number, mapping, sources, targets)
        for number, mapping in enumerate(plan.objects)
    )
    order = load_order(effective, targets)
    steps = []
    for wave, names in enumerate(order.waves):
        for name in names:
            position = next(i for i, entry in enumerate(effective) if entry.name == name)
            entry = effective[position]
            described = sources[entry.source.lower()], targets[entry.target.lower()]
            steps.append(
                _step(plan, effective, position, order=order, wave=wave, described=described)
            )
    return Resolved(tuple(steps), order, effective)


def _effective(
    plan: Plan,
    number: int,
    mapping: ObjectMapping,
    sources: Mapping[str, SObject],
    targets: Mapping[str, SObject],
) -> ObjectMapping:
    place = f"objects[{number}]"
    source = _described(sources, mapping.source, plan.source, f"{place}.source")
    target = _described(targets, mapping.target, plan.target, f"{place}.target")
    if mapping.operation.is_delete or mapping.operation is Operation.PRESERVE:
        return mapping.model_copy(update={"fields": {}, "auto_map": False})
    named: dict[str, RuleBase] = {}
    for name, rule in mapping.applied_fields.items():
        if name not in target.fields:
            raise UserError(
                f"{place}.fields.{name}: {mapping.target} in {plan.target} has no field {name}.",
                state="Nothing was read or written.",
                next_step="Correct the name, or give the connected user access to the field.",
            )
        named[target.fields[name].name] = rule
    for name, policy in mapping.lookups.items():
        if name in target.fields and target.fields[name].name not in named:
            named[target.fields[name].name] = CopyRule(source=policy.source or name)
    named.update(_stamp(mapping, target, named))
    if mapping.auto_map:
        named.update(_auto(plan, mapping, source, target, named))
    said = mapping.model_copy(update={"fields": named, "auto_map": False})
    return by_the_book(said, source, target).mapping


def _auto(
    plan: Plan, mapping: ObjectMapping, source: SObject, target: SObject, named: Iterable[str]
) -> dict[str, CopyRule]:
    taken = {name.lower() for name in (*named, *mapping.skip)}
    book = object_book().entry(mapping.target)
    never = {name.lower() for name in (*book.never_send, *book.derived)}
    by_label: dict[str, list[Field]] = {}
    for entry in source.fields.values():
        by_label.setdefault(entry.label.strip().lower(), []).append(entry)
    found: dict[str, CopyRule] = {}
    for entry in target.fields.values():
        lower = entry.name.lower()
        if lower in taken or lower in never or lower in SYSTEM_FIELDS or not _is_plain(entry):
            continue
        same = source.fields[entry.name] if entry.name in source.fields else None
        labelled = by_label.get(entry.label.strip().lower(), []) if entry.label else []
        match = same or (labelled[0] if len(labelled) == 1 else None)
        if match is None or not _fits(match, entry):
            continue
        if entry.is_reference and not _is_translated(plan, mapping, entry, source, target):
            continue
        found[entry.name] = CopyRule(source=match.name)
    return found


def _is_plain(entry: Field) -> bool:
    return (
        entry.is_writeable
        and not entry.calculated
        and not entry.auto_number
        and not entry.deprecated_and_hidden
        and entry.type not in COMPOUND_TYPES
        and entry.type != "base64"
    )


def _fits(source: Field, target: Field) -> bool:
    if source.type == target.type:
        return True
    if source.is_reference or target.is_reference or source.type in COMPOUND_TYPES:
        return False
    if target.is_text and target.type not in ("picklist", "multipicklist"):
        return True
    return (source.is_number and target.is_number) or (source.is_text and target.is_text)


def _is_translated(
    plan: Plan, mapping: ObjectMapping, entry: Field, source: SObject, target: SObject
) -> bool:
    if entry.reference_to == ("RecordType",):
        return any(not r.master for r in source.record_types) and any(
            not r.master for r in target.record_types
        )
    if lookup_targets(mapping, entry, plan.objects):
        return True
    return plan.users is not None and bool(_USERS & {n.lower() for n in entry.reference_to})


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
    mappings: tuple[ObjectMapping, ...],
    position: int,
    *,
    order: LoadOrder,
    wave: int,
    described: tuple[SObject, SObject],
) -> Step:
    mapping = mappings[position]
    source, target = described
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
    extra = (*extra, *person_paths(target, source))
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


def _described(found: Mapping[str, SObject], name: str, org: str, place: str) -> SObject:
    sobject = found.get(name.lower())
    if sobject is None:
        raise UserError(
            f"{place}: the org {org} has no object {name}, or the connected user may not see it.",
            state="Nothing was read or written.",
            next_step="Correct the name, or give the user access to the object.",
        )
    return sobject
