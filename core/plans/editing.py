"""Edits of a plan document, each a function from one frozen plan to the next.

    Plan ── set_rule · skip_field · review · accept_at_least · merge_suggestions ──▶ Plan
         ── add_objects · remove_object · change_object · set_lookup ──────────────▶ Plan

A suggestion never replaces what a person reviewed, and a rejected suggestion is not made again.
Nothing here reads an org or a database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from core.domain.plan import (
    FieldRule,
    LookupPolicy,
    ObjectMapping,
    Plan,
    ReviewState,
    RuleBase,
    plan_document,
    plan_from_document,
)
from core.errors import NotFoundError, UserError

Change = Callable[[ObjectMapping], ObjectMapping]


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """A target field of one object mapping of a plan."""

    #: name of the object mapping (`as`)
    mapping: str
    #: API name of the target field, in any case
    field: str


def set_rule(plan: Plan, at: FieldPlace, rule: RuleBase) -> Plan:
    """Fills a target field by a rule that a person chose; it counts as reviewed."""
    approved = rule.model_copy(update={"review": ReviewState.APPROVED})
    return _with_rule(plan, at, approved)


def move_rule(plan: Plan, at: FieldPlace, new_target: str) -> Plan:
    """Lets a rule fill another target field; the old one becomes unmapped."""
    name, rule = _rule_at(plan, at)

    def change(current: ObjectMapping) -> ObjectMapping:
        fields = {n: r for n, r in current.fields.items() if n != name}
        taken, _ = _found(fields, new_target)
        if taken is not None:
            raise UserError(
                f"{taken} is already filled by another rule.",
                state="Nothing was changed.",
                next_step="Unmap it first, or choose another target field.",
            )
        fields[new_target] = rule.model_copy(update={"review": ReviewState.APPROVED})
        return _copy(current, fields=fields, skip=_skip_without(current, new_target))

    return change_object(plan, at.mapping, change)


def unmap(plan: Plan, at: FieldPlace) -> Plan:
    """Takes the rule of a target field away."""

    def change(entry: ObjectMapping) -> ObjectMapping:
        name, _ = _found(entry.fields, at.field)
        return _copy(entry, fields={n: r for n, r in entry.fields.items() if n != name})

    return change_object(plan, at.mapping, change)


def skip_field(plan: Plan, at: FieldPlace) -> Plan:
    """Leaves a target field alone, and says so: it no longer counts as unmapped."""

    def change(entry: ObjectMapping) -> ObjectMapping:
        name, _ = _found(entry.fields, at.field)
        fields = {n: r for n, r in entry.fields.items() if n != name}
        return _copy(entry, fields=fields, skip=(*_skip_without(entry, at.field), at.field))

    return change_object(plan, at.mapping, change)


def unskip_field(plan: Plan, at: FieldPlace) -> Plan:
    """The opposite of `skip_field`: the field is unmapped again."""
    return change_object(
        plan, at.mapping, lambda entry: _copy(entry, skip=_skip_without(entry, at.field))
    )


def review(plan: Plan, at: FieldPlace, state: ReviewState) -> Plan:
    """Sets what people say of a rule."""
    _, rule = _rule_at(plan, at)
    return _with_rule(plan, at, rule.model_copy(update={"review": state}))


def accept_at_least(plan: Plan, confidence: float, *, mapping: str | None = None) -> Plan:
    """Approves every suggested rule of at least that confidence (0–1)."""

    def accepted(rule: RuleBase) -> RuleBase:
        sure = (rule.confidence or 0) >= confidence
        if rule.review is ReviewState.SUGGESTED and sure:
            return rule.model_copy(update={"review": ReviewState.APPROVED})
        return rule

    def change(entry: ObjectMapping) -> ObjectMapping:
        return _copy(entry, fields={n: accepted(r) for n, r in entry.fields.items()})

    names = [mapping] if mapping else [entry.name for entry in plan.objects]
    for name in names:
        plan = change_object(plan, name, change)
    return plan


def merge_suggestions(plan: Plan, mapping: str, suggestions: Mapping[str, RuleBase]) -> Plan:
    """Adds suggested rules (by target field) where no person has spoken.

    Earlier suggestions are replaced; approved, questioned, rejected and skipped fields stay.
    """

    def change(entry: ObjectMapping) -> ObjectMapping:
        spoken = {
            name.lower()
            for name, rule in entry.fields.items()
            if rule.review is not ReviewState.SUGGESTED
        }
        spoken.update(name.lower() for name in entry.skip)
        fields: dict[str, FieldRule] = {
            name: rule for name, rule in entry.fields.items() if name.lower() in spoken
        }
        for name, rule in suggestions.items():
            if name.lower() not in spoken:
                fields[name] = rule.model_copy(update={"review": ReviewState.SUGGESTED})  # type: ignore[assignment]  # a rule of the union stays one
        return _copy(entry, fields=fields)

    return change_object(plan, mapping, change)


def set_lookup(plan: Plan, at: FieldPlace, policy: LookupPolicy) -> Plan:
    """Sets how a lookup of the target finds its record."""

    def change(entry: ObjectMapping) -> ObjectMapping:
        kept = {n: p for n, p in entry.lookups.items() if n.lower() != at.field.lower()}
        return _copy(entry, lookups={**kept, at.field: policy})

    return change_object(plan, at.mapping, change)


def add_objects(plan: Plan, entries: Sequence[Mapping[str, Any]]) -> Plan:
    """Adds object mappings given as they would stand in a plan file.

    Raises:
        UserError: an entry is wrong or its name is taken; nothing was added.
    """
    document = plan_document(plan)
    document["objects"] = [*document["objects"], *(dict(entry) for entry in entries)]
    return plan_from_document(document)


def remove_object(plan: Plan, mapping: str) -> Plan:
    """Takes an object mapping out, and its name out of the `after` and `through` of others.

    Raises:
        UserError: it is the last one: a plan has at least one object.
    """
    _mapping(plan, mapping)
    rest = tuple(_forget(entry, mapping) for entry in plan.objects if entry.name != mapping)
    if not rest:
        raise UserError(
            "A plan has at least one object.",
            state="Nothing was removed.",
            next_step="Add another object first, or delete the plan.",
        )
    return plan.model_copy(update={"objects": rest})


def change_settings(plan: Plan, mapping: str, settings: Mapping[str, Any]) -> Plan:
    """Replaces settings of one object mapping, spelt as in a plan file (operation, key, where …).

    A value of None restores the default.

    Raises:
        UserError: a setting is unknown or wrong; the message names it. Nothing was changed.
    """
    document = plan_document(plan)
    for entry in document["objects"]:
        if _entry_name(entry) == mapping:
            entry.update(settings)
            for name in [name for name, value in settings.items() if value is None]:
                entry.pop(name)
    return plan_from_document(document)


def change_object(plan: Plan, mapping: str, change: Change) -> Plan:
    """The plan with one object mapping replaced by what `change` makes of it.

    Raises:
        NotFoundError: the plan has no mapping of that name.
    """
    _mapping(plan, mapping)
    entries = tuple(change(entry) if entry.name == mapping else entry for entry in plan.objects)
    return plan.model_copy(update={"objects": entries})


def _with_rule(plan: Plan, at: FieldPlace, rule: RuleBase) -> Plan:
    def change(entry: ObjectMapping) -> ObjectMapping:
        name, _ = _found(entry.fields, at.field)
        fields = {**entry.fields, (name or at.field): rule}
        return _copy(entry, fields=fields, skip=_skip_without(entry, at.field))

    return change_object(plan, at.mapping, change)


def _rule_at(plan: Plan, at: FieldPlace) -> tuple[str, FieldRule]:
    name, rule = _found(_mapping(plan, at.mapping).fields, at.field)
    if name is None or rule is None:
        raise NotFoundError(
            f"{at.field} has no rule in {at.mapping}.", state="Nothing was changed."
        )
    return name, rule


def _mapping(plan: Plan, name: str) -> ObjectMapping:
    try:
        return plan.mapping(name)
    except KeyError as error:
        raise NotFoundError(
            f"The plan has no object named {name}.",
            state="Nothing was changed.",
            next_step="It may have been removed by somebody else; reload the plan.",
        ) from error


def _copy(entry: ObjectMapping, **changes: Any) -> ObjectMapping:
    """A copy that was validated, since an edit comes from a person."""
    values = {name: getattr(entry, name) for name in ObjectMapping.model_fields}
    try:
        return ObjectMapping.model_validate({**values, **changes})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{entry.name}: {place}: {first['msg']}.", state="Nothing was changed."
        ) from error


def _found(fields: Mapping[str, FieldRule], name: str) -> tuple[str | None, FieldRule | None]:
    """The field as the plan spells it, and its rule; the platform ignores case."""
    for known, rule in fields.items():
        if known.lower() == name.lower():
            return known, rule
    return None, None


def _skip_without(entry: ObjectMapping, target_field: str) -> tuple[str, ...]:
    return tuple(name for name in entry.skip if name.lower() != target_field.lower())


def _forget(entry: ObjectMapping, mapping: str) -> ObjectMapping:
    lookups = {
        name: policy.model_copy(
            update={"through": tuple(step for step in policy.through if step != mapping)}
        )
        for name, policy in entry.lookups.items()
    }
    after = tuple(name for name in entry.after if name != mapping)
    return entry.model_copy(update={"lookups": lookups, "after": after})


def _entry_name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("as") or str(entry.get("target") or entry["source"]).lower())
