"""What a launch adds to a mapping by itself, so that the editor shows it and an edit respects it.

    draft ── with_launch_rules ─▶ the mapping as a launch takes it: additions are suggestions
    edited ── folded ─▶ the draft again: untouched additions are left to the launch, and what a
                        person took away is skipped, or the next launch would add it again

A launch adds fields of the same name or label where the mapping says ``auto_map``
(`core.domain.automap.completed`), and lookups that have a policy.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.domain import automap
from core.domain.describe import SObject
from core.domain.plan import (
    CopyRule,
    FieldRule,
    ObjectMapping,
    Operation,
    Plan,
    ReviewState,
)

_SAME_NAME = (1.0, "same API name")
_SAME_LABEL = (0.95, "same label")


@dataclass(frozen=True, slots=True)
class Around:
    """What of a plan decides which lookups a launch adds to a mapping."""

    #: target objects of the plan
    targets: tuple[str, ...]
    #: whether the plan says how users are found
    users: bool


def around(plan: Plan) -> Around:
    """The surroundings of a plan's mappings."""
    return Around(tuple(entry.target for entry in plan.objects), plan.users is not None)


def with_launch_rules(
    entry: ObjectMapping, source: SObject, target: SObject, *, beside: Around
) -> ObjectMapping:
    """The mapping with every copy that a launch would add, as suggestions nobody has looked at."""
    if entry.operation is Operation.PRESERVE or entry.operation.is_delete:
        return entry
    taken = entry.model_copy(update={"skip": (*entry.skip, *_stamped(entry, target))})
    done = automap.completed(taken, source, target, in_plan=beside.targets, users=beside.users)
    added = {name: rule for name, rule in done.fields.items() if name not in entry.fields}
    added.update(_by_policy(entry, source, target, known=added))
    if not added:
        return entry
    fields = {name: _suggested(name, rule) for name, rule in added.items()}
    return entry.model_copy(update={"fields": {**fields, **entry.fields}})


def folded(
    shown: ObjectMapping,
    changed: ObjectMapping,
    *,
    draft: ObjectMapping,
    sides: tuple[SObject, SObject],
    beside: Around,
) -> ObjectMapping:
    """The mapping to save after an edit of the one that was shown.

    Args:
        shown: `with_launch_rules` of the draft, from which the edit began.
        changed: what the edit made of it.
        draft: as saved before the edit.
        sides: source and target as described.
    """
    if changed is shown:
        return draft
    added = {name: rule for name, rule in shown.fields.items() if name not in draft.fields}
    fields = {n: r for n, r in changed.fields.items() if n not in added or r != added[n]}
    plain = changed.model_copy(update={"fields": fields})
    gone = {name for name in shown.fields if name not in changed.fields}
    again = with_launch_rules(plain, *sides, beside=beside).fields
    skipped = tuple(name for name in again if name in gone)
    return plain.model_copy(update={"skip": (*plain.skip, *skipped)}) if skipped else plain


def _stamped(entry: ObjectMapping, target: SObject) -> tuple[str, ...]:
    """The key field that a launch fills from the key itself."""
    name = entry.key.target[0] if len(entry.key.target) == 1 else ""
    is_stamped = name in target.fields and not target.fields[name].is_reference
    return (target.fields[name].name,) if is_stamped else ()


def _by_policy(
    entry: ObjectMapping, source: SObject, target: SObject, *, known: Collection[str]
) -> dict[str, FieldRule]:
    """Copies of lookups that have a policy and no rule."""
    spoken = {name.lower() for name in (*entry.fields, *entry.skip, *known)}
    return {
        target.fields[name].name: CopyRule(source=policy.source or name)
        for name, policy in entry.lookups.items()
        if name in target.fields
        and name.lower() not in spoken
        and (policy.source or name) in source.fields
    }


def _suggested(target: str, rule: FieldRule) -> FieldRule:
    is_named = isinstance(rule, CopyRule) and rule.source.lower() == target.lower()
    confidence, reason = _SAME_NAME if is_named else _SAME_LABEL
    return rule.model_copy(
        update={
            "review": ReviewState.SUGGESTED,
            "confidence": confidence,
            "reasons": (reason, "a launch takes it"),
        }
    )
