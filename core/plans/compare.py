"""What differs between two documents of a plan, place by place.

Object mappings are paired by name, their fields and lookups by target field, everything else by its
path. An order that means nothing (of fields, of lookups) makes no difference; the order of objects
does not either, since waves decide what loads when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.domain.plan import Plan, plan_document

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
    before, after = dict(_places(old)), dict(_places(new))
    places = sorted(before.keys() | after.keys())
    return tuple(
        PlanChange(place, before.get(place), after.get(place))
        for place in places
        if before.get(place) != after.get(place)
    )


def _places(plan: Plan) -> Iterator[tuple[str, Any]]:
    document = plan_document(plan)
    for name, value in document.items():
        if name != "objects":
            yield name, value
    for entry, mapping in zip(document["objects"], plan.objects, strict=True):
        yield from _object_places(mapping.name, entry)


def _object_places(name: str, entry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
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
