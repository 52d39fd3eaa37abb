"""Names inside a plan that must point at other parts of it: mapping names used once, and known."""

from __future__ import annotations

from core.domain.plan.document import ObjectMapping, Plan


def wrong_references(plan: Plan) -> list[tuple[str, str]]:
    """(place, sentence) of every name that is used twice or points nowhere; empty when all hold."""
    return [
        *_repeated_names(plan),
        *(
            wrong
            for number, mapping in enumerate(plan.objects)
            for wrong in _unknown_names(plan, number, mapping)
        ),
    ]


def _repeated_names(plan: Plan) -> list[tuple[str, str]]:
    first: dict[str, int] = {}
    wrong: list[tuple[str, str]] = []
    for number, mapping in enumerate(plan.objects):
        earlier = first.setdefault(mapping.name.lower(), number)
        if earlier != number:
            wrong.append(
                (
                    f"objects[{number}].as",
                    f"the name '{mapping.name}' is already that of objects[{earlier}]; "
                    "give one of them another name with `as:`",
                )
            )
    return wrong


def _unknown_names(plan: Plan, number: int, mapping: ObjectMapping) -> list[tuple[str, str]]:
    names = {entry.name for entry in plan.objects}
    known = ", ".join(sorted(names))
    wrong = [
        (f"objects[{number}].after", f"there is no mapping '{name}' here; there are {known}")
        for name in mapping.after
        if name not in names
    ]
    if mapping.name in mapping.after:
        wrong.append((f"objects[{number}].after", "a mapping cannot come after itself"))
    for field_name, policy in mapping.lookups.items():
        wrong.extend(
            (
                f"objects[{number}].lookups.{field_name}.through",
                f"there is no mapping '{name}' here; there are {known}",
            )
            for name in policy.through
            if name not in names
        )
    return wrong
