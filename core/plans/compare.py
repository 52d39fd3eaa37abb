"""What differs between two documents of a plan, place by place.

Object mappings are paired by name, their fields and lookups by target field, everything else by its
path. An order that means nothing (of fields, of lookups) makes no difference; the order of objects
does not either, since waves decide what loads when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.domain.plan import ObjectMapping, Plan, mapping_document, plan_document

#: values longer than this are cut in sentences; `before` and `after` stay whole
SHOWN_MAX = 80


@dataclass(frozen=True, slots=True)
class PlanChange:
    """One place that differs."""

    #: such as ``account.fields.Industry`` or ``contact.where``
    place: str
    #: plain values as in a plan file; None where the place did not exist
    before: Any
    after: Any

    @property
    def sentence(self) -> str:
        """The change in words, for lists and the audit trail."""
        if self.before is None:
            return f"{self.place} added: {_shown(self.after)}"
        if self.after is None:
            return f"{self.place} removed (was {_shown(self.before)})"
        return f"{self.place}: {_shown(self.before)} → {_shown(self.after)}"


def compare_plans(old: Plan, new: Plan) -> tuple[PlanChange, ...]:
    """All places that differ, by place; empty when the documents mean the same.

    >>> from core.domain.plan import parse_plan
    >>> text = "{orgbridge: 1, name: a, source: s, target: t, objects: [{source: Account}]}"
    >>> one = parse_plan(text)
    >>> [c.place for c in compare_plans(one, one.model_copy(update={"target": "u"}))]
    ['target']
    """
    before, after = dict(_head_places(old)), dict(_head_places(new))
    olds, news = ({entry.name: entry for entry in plan.objects} for plan in (old, new))
    for name in olds.keys() | news.keys():
        one, other = olds.get(name), news.get(name)
        if one is other:  # an edit shares what it did not touch
            continue
        before.update(_object_places(one) if one else ())
        after.update(_object_places(other) if other else ())
    places = sorted(before.keys() | after.keys())
    return tuple(
        PlanChange(place, before.get(place), after.get(place))
        for place in places
        if before.get(place) != after.get(place)
    )


def _head_places(plan: Plan) -> Iterator[tuple[str, Any]]:
    """What stands above the objects."""
    document = plan_document(plan.model_copy(update={"objects": ()}))
    for name, value in document.items():
        if name != "objects":
            yield name, value


def _object_places(mapping: ObjectMapping) -> Iterator[tuple[str, Any]]:
    name, entry = mapping.name, mapping_document(mapping)
    yield name, {"source": entry["source"], "target": entry.get("target", entry["source"])}
    for setting, value in entry.items():
        if setting in ("source", "target", "as"):
            continue
        if setting in ("fields", "lookups", "finally", "load", "key") and isinstance(value, dict):
            for part, inner in value.items():
                yield f"{name}.{setting}.{part}", inner
        else:
            yield f"{name}.{setting}", value


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"
